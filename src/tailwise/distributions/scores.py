"""Scores of predictive distributions: accuracy, calibration and sharpness, by region of the target."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, row_weights, whole
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import Floats, per_row, probabilities, scalar

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
CONFIDENCE = 0.9
_PIT_BINS = 10
_CHANCE_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Predicted chances of a value above a threshold against how often it was, in bins of the predicted chance.

    Args:
        threshold: target units.
        n: rows of each bin, only of bins that have some.
        predicted: mean predicted chance in each.
        observed: fraction of labels above the threshold in each.
        brier: mean squared difference of chance and outcome (0 or 1) over all rows; lower is better.
    """

    threshold: float
    n: tuple[int, ...]
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    brier: float

    @property
    def error(self) -> float:
        """Mean difference of predicted and observed in size, bins weighted by their rows."""
        gaps = np.abs(np.subtract(self.predicted, self.observed))
        return float(np.average(gaps, weights=self.n))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"error": self.error}


@dataclass(frozen=True)
class DistributionScores:
    """Scores of the distributions of some rows; without rows n is 0 and everything else absent.

    Args:
        n: rows.
        crps: mean continuous ranked probability score, target units; lower is better.
        log_score: mean negative log density; lower is better, infinite where a label was ruled out.
        pinball: mean pinball loss of each quantile level, target units; lower is better.
        coverage: fraction of labels in the central interval of each confidence, ends included.
        width: mean width of that interval (sharpness), target units.
        pit: fraction of the probability integral transforms in each of ten equal bins; all .1 where calibrated.
        reliability: of the chance of a value above each threshold.
    """

    n: int
    crps: float | None = None
    log_score: float | None = None
    pinball: Mapping[float, float] | None = None
    coverage: Mapping[float, float] | None = None
    width: Mapping[float, float] | None = None
    pit: tuple[float, ...] | None = None
    reliability: tuple[Reliability, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; an infinite score is null, for which JSON has no number, and what is absent is left out."""
        if self.n == 0:
            return {"n": 0}
        plain: dict[str, Any] = {"n": self.n, "crps": self.crps, "pit": list(self.pit or ())}
        plain["log_score"] = self.log_score if self.log_score is not None and math.isfinite(self.log_score) else None
        for name in ("pinball", "coverage", "width"):
            plain[name] = {f"{key:g}": value for key, value in getattr(self, name).items()}
        return plain | {"reliability": [at.to_json() for at in self.reliability or ()]}


def score_regions(
    predictive: Predictive,
    y_true: ArrayLike,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    levels: Sequence[float] = LEVELS,
    confidence: float | Sequence[float] = CONFIDENCE,
    thresholds: Sequence[float] = (),
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
) -> dict[str, DistributionScores]:
    """Scores over all rows, or over the rows of each region.

    Args:
        predictive: distributions of n rows.
        y_true: ``(n,)`` labels, target units.
        regions: a mask ``(n,)`` for each name, e.g. from ``metrics.regions.region_rows``; by default one region, all.
        levels: quantile levels of the pinball losses.
        confidence: of the intervals.
        thresholds: target units, for the reliability of ``above``.
        seed: of the randomized PIT of labels that are atoms.
        sample_weight: ``(n,)`` above 0, how much each row counts.

    Raises:
        InputError: labels or masks that do not fit, levels outside (0, 1), thresholds that are not finite.

    Example:
        >>> from tailwise.distributions import Mixture
        >>> y = np.random.default_rng(0).normal(size=1000)
        >>> one = np.ones((1000, 1))
        >>> scores = score_regions(Mixture(one, 0 * one, one), y, {"high": y > 1})
        >>> scores["high"].n, round(scores["high"].coverage[0.9], 2)
        (149, 0.72)
    """
    y = label_array(y_true, "y_true")
    n = len(predictive)
    if y.size != n:
        raise InputError(f"y_true must have one label a row, {n}, got {y.size}")
    masks = {"all": np.ones(n, dtype=bool)} if regions is None else dict(regions)
    for name, mask in masks.items():
        if np.asarray(mask).shape != (n,) or np.asarray(mask).dtype != bool:
            raise InputError(
                f"region {name!r} must be a mask of shape ({n},), got {np.asarray(mask).dtype} {np.shape(mask)}"
            )
    cuts = [scalar(threshold, "threshold") for threshold in thresholds]
    tails, asked = probabilities(confidence, "confidence"), probabilities(levels, "levels")
    every = np.concatenate([asked, (1 - tails) / 2, (1 + tails) / 2])
    quantiles = predictive.quantile(every)
    low, high = quantiles[:, asked.size : asked.size + tails.size], quantiles[:, asked.size + tails.size :]
    columns = {
        "crps": predictive.crps(y),
        "log_score": predictive.log_score(y),
        "pinball": pinball(y, quantiles[:, : asked.size], asked),
        "coverage": ((low <= y[:, None]) & (y[:, None] <= high)).astype(np.float64),
        "width": high - low,
        "pit": pit(predictive, y, seed=seed),
    }
    chances = predictive.above(np.asarray(cuts)[None]) if cuts else np.zeros((n, 0))
    weight = row_weights(sample_weight, n)

    def scores(mask: NDArray[np.bool_]) -> DistributionScores:
        if not mask.any():
            return DistributionScores(0)
        of = None if weight is None else weight[mask]
        means = {name: np.average(values[mask], axis=0, weights=of) for name, values in columns.items()}
        return DistributionScores(
            n=int(mask.sum()),
            crps=float(means["crps"]),
            log_score=float(means["log_score"]),
            pinball=dict(zip(asked.tolist(), means["pinball"].tolist(), strict=True)),
            coverage=dict(zip(tails.tolist(), means["coverage"].tolist(), strict=True)),
            width=dict(zip(tails.tolist(), means["width"].tolist(), strict=True)),
            pit=tuple(pit_histogram(columns["pit"][mask], _PIT_BINS, sample_weight=of).tolist()),
            reliability=tuple(
                reliability(chances[mask, j], y[mask], cut, sample_weight=of) for j, cut in enumerate(cuts)
            ),
        )

    return {name: scores(np.asarray(mask)) for name, mask in masks.items()}


def pinball(y_true: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> Floats:
    """Pinball loss max(q (y - t), (q - 1) (y - t)) of predicted quantiles t, ``(n, k)``, target units.

    Args:
        y_true: ``(n,)`` labels.
        quantiles: ``(n, k)`` predicted quantiles.
        levels: ``(k,)`` their levels q in (0, 1).

    Raises:
        InputError: shapes that do not fit, levels outside (0, 1).

    Example:
        >>> pinball([10.0], [[8.0, 14.0]], [0.5, 0.9]).round(3).tolist()
        [[1.0, 0.4]]
    """
    y, q = label_array(y_true, "y_true"), probabilities(levels, "levels")
    points = per_row(quantiles, y.size, "quantiles")
    if points.shape[1] != q.size:
        raise InputError(f"quantiles must have one column a level, {q.size}, got shape {points.shape}")
    gap = y[:, None] - points
    return np.maximum(q * gap, (q - 1) * gap)


def pit(predictive: Predictive, y_true: ArrayLike, *, seed: int = 0) -> Floats:
    """Probability integral transform P(Y <= y), ``(n,)``: uniform on 0 to 1 where the distributions are calibrated.

    At an atom it is drawn evenly from P(Y < y) to P(Y <= y): Czado et al., *Predictive model assessment for count data*
    (Biometrics 2009).
    """
    y = label_array(y_true, "y_true")
    low, high = predictive.below(y), predictive.cdf(y)
    return np.asarray(low + np.random.default_rng(seed).random(y.size) * (high - low), dtype=np.float64)


def pit_histogram(values: ArrayLike, n_bins: int = _PIT_BINS, *, sample_weight: ArrayLike | None = None) -> Floats:
    """Fraction of transforms in each of ``n_bins`` equal bins of 0 to 1.

    High ends mean distributions that are too narrow, a high middle too wide ones, a slope predictions too high or low.
    Values count by weights ``(n,)``, if given.
    """
    transforms = label_array(values, "values")
    weight = row_weights(sample_weight, transforms.size)
    counts, _ = np.histogram(transforms, whole(n_bins, "n_bins", least=1), (0.0, 1.0), weights=weight)
    return np.asarray(counts / (transforms.size if weight is None else weight.sum()), dtype=np.float64)


def reliability(
    chance: ArrayLike,
    y_true: ArrayLike,
    threshold: float,
    *,
    n_bins: int = _CHANCE_BINS,
    sample_weight: ArrayLike | None = None,
) -> Reliability:
    """Compare predicted chances of a value above a threshold with how often it was.

    Args:
        chance: ``(n,)`` predicted chances, ``predictive.above(threshold)``.
        y_true: ``(n,)`` labels.
        threshold: target units.
        n_bins: equal bins of the chance.
        sample_weight: ``(n,)`` above 0, how much each row counts.

    Raises:
        InputError: chances outside 0 to 1, shapes that differ, a threshold that is not a number.
    """
    p, y, cut = label_array(chance, "chance"), label_array(y_true, "y_true"), scalar(threshold, "threshold")
    if p.shape != y.shape or p.min() < 0 or p.max() > 1:
        raise InputError(f"chance must be from 0 to 1, one a label, got {p.size} from {p.min():g} to {p.max():g}")
    happened = (y > cut).astype(np.float64)
    bins = np.minimum((p * whole(n_bins, "n_bins", least=1)).astype(np.int64), n_bins - 1)
    weight = row_weights(sample_weight, y.size)
    each = (None, p, happened) if weight is None else (weight, p * weight, happened * weight)
    counts, sums, hits = (np.bincount(bins, weights, n_bins) for weights in each)
    used = counts > 0
    rows = counts if weight is None else np.bincount(bins, minlength=n_bins)
    return Reliability(
        threshold=cut,
        n=tuple(rows[used].astype(int).tolist()),
        predicted=tuple((sums[used] / counts[used]).tolist()),
        observed=tuple((hits[used] / counts[used]).tolist()),
        brier=float(np.average((p - happened) ** 2, weights=weight)),
    )
