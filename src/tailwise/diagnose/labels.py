"""Describe the labels: statistics, rows by bin, effect of weights, relevance."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tailwise.diagnose.facts import Density, EmptyRange, Region, RelevanceSummary, Target, Weighting
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import REGIONS, Shots

Array = NDArray[np.float64]

_RELEVANT = 0.8


def describe_target(y: Array, name: str, missing: int) -> Target:
    """Return statistics of the labels.

    Args:
        y: ``(n,)`` labels.
        name: name of the target.
        missing: number of rows without a label.
    """
    first, third = np.quantile(y, [0.25, 0.75])
    spread = float(third - first)
    return Target(
        name=name,
        rows=len(y),
        missing=missing,
        distinct=len(np.unique(y)),
        low=float(y.min()),
        high=float(y.max()),
        mean=float(y.mean()),
        median=float(np.median(y)),
        std=float(y.std()),
        skew=_skew(y),
        log_skew=_skew(np.log(y)) if y.min() > 0 else None,
        reach=float(max(first - y.min(), y.max() - third)) / spread if spread > 0 else None,
    )


def _skew(y: Array) -> float:
    return float(np.mean(((y - y.mean()) / (y.std() or 1.0)) ** 3))


def bin_rule(bins: Bins, bin_width: float | None, n_bins: int | None) -> str:
    """Return how the width of the bins was chosen, as text."""
    if bin_width is not None:
        return "the width given"
    if n_bins is not None:
        return "the number given"
    one_a_value = bins.edges[0] % 1 == 0.5 and (bins.widths == 1).all()
    return "one for each whole number" if one_a_value else "a round width with about √n bins, 10 to 100"


def describe_density(shots: Shots, rule: str) -> Density:
    """Describe rows by bin and by region, and ranges without rows.

    Args:
        shots: bins and regions of the labels.
        rule: how the width of the bins was chosen, as text.
    """
    counts, codes, edges = shots.counts, shots.bin_codes, shots.scalar_bins.edges.astype(np.float64)
    regions = []
    for code, name in enumerate(REGIONS):
        rows = int(counts[codes == code].sum())
        regions.append(Region(name, int((codes == code).sum()), rows, rows / int(counts.sum())))
    seen = np.flatnonzero(counts)
    empty = tuple(
        EmptyRange(float(edges[before + 1]), float(edges[after]), int(after - before - 1))
        for before, after in pairwise(seen)
        if after > before + 1
    )
    return Density(
        rule=rule,
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        smoothed=tuple(LDS().effective(counts, power=1.0).tolist()),
        bin_regions=tuple(REGIONS[code] for code in codes),
        many=float(shots.many),
        few=float(shots.few),
        regions=tuple(regions),
        empty=empty,
        empty_share=sum(run.high - run.low for run in empty) / float(edges[seen[-1] + 1] - edges[seen[0]]),
        ratio=float(counts.max() / counts[seen].min()),
    )


def describe_weightings(counts: NDArray[np.int64]) -> tuple[Weighting, ...]:
    """Return the effect of inverse weights, of their square roots, and of those smoothed.

    Args:
        counts: ``(n_bins,)`` rows by bin.
    """
    seen = counts > 0
    rows = counts[seen].astype(np.float64)
    smoothed = LDS().effective(counts, power=0.5)[seen]
    weightings = []
    for method, weight in (("inv", 1 / rows), ("sqinv", 1 / np.sqrt(rows)), ("sqinv+lds", 1 / smoothed)):
        total = (rows * weight).sum()
        effective = float(total**2 / (rows * weight**2).sum())
        largest = float(weight.max() * rows.sum() / total)
        weightings.append(Weighting(method, effective, effective / float(rows.sum()), largest))
    return tuple(weightings)


def describe_relevance(y: Array) -> RelevanceSummary | None:
    """Return control points of φ and the number of relevant rows; ``None`` if no label is extreme.

    Args:
        y: ``(n,)`` labels.
    """
    relevance = Relevance.extremes(y)
    if relevance is None:
        return None
    extreme, median = relevance(y) >= _RELEVANT, np.median(y)
    return RelevanceSummary(
        points=tuple(relevance.points.tolist()),
        values=tuple(relevance.values.tolist()),
        low_rows=int((extreme & (y < median)).sum()),
        high_rows=int((extreme & (y > median)).sum()),
    )
