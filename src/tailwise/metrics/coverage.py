"""Metrics of prediction intervals: coverage and width by region, and a score of both."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from tailwise._checks import InputError, label_array, positive, same_shape
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.regions import Interval

CONFIDENCE = 0.9  # of the intervals that a run reports


@dataclass(frozen=True)
class Coverage:
    """How often the intervals of some rows hold the true value, and how wide they are.

    Args:
        n: rows.
        coverage: share of the rows whose interval holds the true value, ends included, with a 95 % Wilson interval.
        mean_width: mean of high - low, target units; infinite if one interval is.
        median_width: median of high - low, target units.
    """

    n: int
    coverage: Interval
    mean_width: float
    median_width: float

    def to_json(self) -> dict[str, object]:
        """Plain values; a width that is infinite is null, for which JSON has no number."""
        return {
            "n": self.n,
            "coverage": self.coverage.to_json(),
            "mean_width": self.mean_width if math.isfinite(self.mean_width) else None,
            "median_width": self.median_width if math.isfinite(self.median_width) else None,
        }


@dataclass(frozen=True)
class RegionCoverage:
    """Coverage of a region: of the rows truly in it, and of those predicted to be in it; None where there are none.

    Args:
        by_true: rows whose true value lies in the region: how the rare rows fare.
        by_predicted: rows whose predicted value does: what intervals by region promise.
    """

    by_true: Coverage | None
    by_predicted: Coverage | None

    def to_json(self) -> dict[str, object]:
        """Plain values; what has no rows is absent."""
        both = {"by_true": self.by_true, "by_predicted": self.by_predicted}
        return {name: found.to_json() for name, found in both.items() if found is not None}


def coverage_by_region(
    y_true: ArrayLike, y_pred: ArrayLike, low: ArrayLike, high: ArrayLike, shots: Shots
) -> dict[str, RegionCoverage]:
    """Coverage and width of intervals over all rows, and by region of the true and of the predicted value.

    Args:
        y_true: ``(n,)`` labels, target units.
        y_pred: ``(n,)`` predictions.
        low: ``(n,)`` low ends, may be -inf.
        high: ``(n,)`` high ends, may be inf.
        shots: regions, from training labels.

    Returns:
        ``all`` (where both are the same) and the regions that have rows.

    Raises:
        InputError: shapes that differ, labels or predictions that are not finite, ends that are NaN or not in order.

    Example:
        >>> from tailwise.labels.bins import Bins
        >>> shots = Shots(Bins.from_edges([0, 10, 20]), np.array([500, 5]), many=100, few=20)
        >>> found = coverage_by_region([1.0, 2.0, 13.0], [1.5, 2.5, 9.0], [0.0, 0.0, 8.0], [3.0, 4.0, 10.0], shots)
        >>> found["few"].by_true.coverage.value, found["many"].by_predicted.n, found["all"].by_true.mean_width
        (0.0, 3, 3.0)
    """
    true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
    same_shape(pred, true)
    lower, upper = _ends(low, high, true)
    inside, width = (lower <= true) & (true <= upper), upper - lower
    over_all = _coverage(inside, width)
    found = {"all": RegionCoverage(over_all, over_all)}
    truly, predicted = shots.codes(true), shots.codes(pred)
    for i, name in enumerate(REGIONS):
        of = [_coverage(inside[codes == i], width[codes == i]) for codes in (truly, predicted)]
        if of != [None, None]:
            found[name] = RegionCoverage(*of)
    return found


def interval_score(y_true: ArrayLike, low: ArrayLike, high: ArrayLike, confidence: float) -> float:
    """Mean of each interval's width, plus 2 / (1 - c) times how far the true value lies outside it; lower is better.

    Gneiting and Raftery, *Strictly proper scoring rules, prediction, and estimation* (JASA 2007): in the mean it is
    lowest for the interval between the true (1 - c) / 2 and (1 + c) / 2 quantiles.

    Args:
        y_true: ``(n,)`` labels, target units.
        low: ``(n,)`` low ends.
        high: ``(n,)`` high ends.
        confidence: c, the share that the intervals are to cover, in (0, 1).

    Returns:
        The score, target units; infinite if an interval is.

    Raises:
        InputError: shapes that differ, labels that are not finite, ends that are NaN or not in order, a confidence
            outside (0, 1).

    Example:
        >>> interval_score([1.0, 6.0], [0.0, 0.0], [4.0, 4.0], 0.5)
        8.0
    """
    true = label_array(y_true, "y_true")
    lower, upper = _ends(low, high, true)
    share = positive(confidence, "confidence")
    if share >= 1:
        raise InputError(f"confidence must be a share below 1, such as 0.9, got {confidence!r}")
    outside = np.maximum(lower - true, 0) + np.maximum(true - upper, 0)
    return float((upper - lower + 2 / (1 - share) * outside).mean())


def _ends(
    low: ArrayLike, high: ArrayLike, true: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends as vectors, one of each a row, in order."""
    lower, upper = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    for name, ends in (("low", lower), ("high", upper)):
        if ends.shape != true.shape:
            raise InputError(f"{name} must have one end a row, {true.shape}, got shape {ends.shape}")
    wrong = ~((lower <= upper) & (lower < np.inf) & (upper > -np.inf))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"an interval needs low <= high, but {int(wrong.sum())} do not have it; the first goes from {lower[row]:g} "
            f"to {upper[row]:g}, at position {row}"
        )
    return lower, upper


def _coverage(inside: NDArray[np.bool_], width: NDArray[np.float64]) -> Coverage | None:
    if inside.size == 0:
        return None
    ends = binomtest(int(inside.sum()), inside.size).proportion_ci(method="wilson")
    share = Interval(float(inside.mean()), float(ends.low), float(ends.high))
    return Coverage(inside.size, share, float(width.mean()), float(np.median(width)))
