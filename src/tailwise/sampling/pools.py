"""Bumps of rare and of common rows, and the number of rows that a strategy wants of each bump."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, one_of, positive, true_or_false
from tailwise.labels.relevance import WHICH, Relevance, Which
from tailwise.sampling.mixed_table import Floats, Rows

Strategy = Literal["balance", "extreme"] | Sequence[float]
STRATEGIES = ("balance", "extreme")
RelevanceLike = Relevance | Callable[[Floats], ArrayLike] | ArrayLike


@dataclass(frozen=True)
class Bump:
    """Rows with neighbouring targets that are all rare or all common.

    Args:
        rows: positions of the rows, ascending.
        rare: relevance at or above the threshold.
        low: lowest target of the rows.
        high: highest target of the rows.
    """

    rows: Rows
    rare: bool
    low: float
    high: float

    def __str__(self) -> str:
        return f"{'rare' if self.rare else 'common'} {self.low:g} to {self.high:g}: {self.rows.size:,} rows"


def relevance_of(labels: Floats, relevance: RelevanceLike | None, which: Which) -> Floats:
    """Compute φ of each label: automatic from a box plot, through control points, or by any function.

    Raises:
        InputError: an unknown ``which``, control points that :class:`tailwise.Relevance` refuses, a function that does
            not return one value in [0, 1] per label.
    """
    one_of(which, "which", WHICH)
    if relevance is None:
        automatic = Relevance.extremes(labels, which=which)
        return np.zeros_like(labels) if automatic is None else automatic(labels)
    phi: Any = relevance if callable(relevance) else _through_points(relevance)
    rule = f"relevance must give each of the {labels.size:,} labels a value in [0, 1]"
    try:
        values = np.asarray(phi(labels), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{rule}, but it failed: {error}") from error
    if values.shape != labels.shape:
        raise InputError(f"{rule}, got an array of shape {values.shape}")
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        raise InputError(f"{rule}, got {float(values[bad][0])!r} for {float(labels[bad][0])!r}")
    return values


def _through_points(points: Any) -> Relevance:
    is_flat = (
        np.ndim(points) == 1
        if hasattr(points, "shape")
        else (isinstance(points, list | tuple) and not any(hasattr(row, "__len__") for row in points))
    )
    if is_flat:
        raise InputError(
            f"relevance must be control points (y, φ) or a function of the labels, got {len(points):,} numbers; write "
            "relevance=[(0, 0), (10, 1)], or a function that gives one φ a label"
        )
    return Relevance.from_points(points)


def find_bumps(labels: Floats, phi: Floats, threshold: float) -> list[Bump]:
    """Find the maximal runs of rare (φ >= threshold) and of common rows along the sorted targets, lowest first.

    Note:
        The default threshold of the resamplers is 0.8, not the usual 0.5 of this family of methods: with the automatic
        relevance, rare then means near a whisker of the box plot or beyond it, 6 % of normally distributed labels. With
        0.5 it would be 18 %; see ``tests/test_sampling.py``.
    """
    positive(threshold, "threshold", most=1.0)
    order = np.argsort(labels, kind="stable")
    rare = phi[order] >= threshold
    runs = np.split(order, np.flatnonzero(np.diff(rare)) + 1)
    return [
        Bump(np.sort(run), bool(phi[run[0]] >= threshold), float(labels[run[0]]), float(labels[run[-1]]))
        for run in runs
    ]


def multipliers(bumps: Sequence[Bump], strategy: Strategy) -> NDArray[np.float64]:
    """Compute C_b, the factor of a strategy on the number of rows of each bump.

    With n rows in m bumps and B = n / m: ``"balance"`` is C_b = B / |b|, the same number of rows of each bump;
    ``"extreme"`` gives numbers of rows in proportion to B² / |b|, n in total, so a smaller bump gets more rows.

    Raises:
        InputError: an unknown strategy; factors that are not one finite number above 0 per bump.
    """
    sizes = np.array([bump.rows.size for bump in bumps], dtype=np.float64)
    if isinstance(strategy, str):
        one_of(strategy, "strategy", STRATEGIES)
        even = sizes.sum() / sizes.size
        if strategy == "balance":
            return np.asarray(even / sizes)
        wanted = even**2 / sizes
        return np.asarray(wanted * (sizes.sum() / wanted.sum()) / sizes)
    try:
        factors = np.asarray(strategy, dtype=np.float64)
    except (TypeError, ValueError):
        factors = np.empty((0, 0))
    if factors.ndim != 1 or not (np.isfinite(factors) & (factors > 0)).all():
        raise InputError(f"strategy must be 'balance', 'extreme' or one factor above 0 per bump, got {strategy!r}")
    if factors.size != sizes.size:
        listed = "; ".join(map(str, bumps[:10])) + ("; ..." if len(bumps) > 10 else "")
        raise InputError(f"strategy has {factors.size} factors but the target has {len(bumps)} bumps ({listed})")
    return factors


def wanted_rows(bumps: Sequence[Bump], strategy: Strategy, *, over: bool = True, under: bool = True) -> list[int]:
    """Compute the rows wanted of each bump: C_b |b|, rounded, if that grows a rare bump or shrinks a common one.

    A bump that would change the other way keeps its size; a common bump keeps at least one row.

    Args:
        bumps: bumps of the target.
        strategy: see :func:`multipliers`.
        over: rare bumps may grow.
        under: common bumps may shrink.

    Raises:
        InputError: as :func:`multipliers`; given factors that would shrink a rare bump, grow a common bump, or resample
            in a direction that ``over`` and ``under`` exclude.
    """
    true_or_false(under, "under_sample")
    factors = multipliers(bumps, strategy)
    if not isinstance(strategy, str):
        for bump, factor in zip(bumps, factors, strict=True):
            low, high = (1.0, np.inf if over else 1.0) if bump.rare else (0.0 if under else 1.0, 1.0)
            if not low <= factor <= high:
                rule = "must be 1" if low == high else "must be at least 1" if bump.rare else "must be at most 1"
                raise InputError(f"strategy has the factor {factor:g} for a bump ({bump}), but its factor {rule}")
    wanted = []
    for bump, factor in zip(bumps, factors, strict=True):
        size = bump.rows.size
        asked = int(np.rint(factor * size))
        grown = max(asked, size) if over else size
        shrunk = max(min(asked, size), 1) if under else size
        wanted.append(grown if bump.rare else shrunk)
    return wanted
