"""Metrics of prediction intervals: coverage and width by region."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from tailwise._checks import InputError, label_array, row_weights, same_shape
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.confidence import Interval

CONFIDENCE = 0.9  # of the intervals that a run reports
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Coverage:
    """Coverage and width of the intervals of some rows.

    Args:
        n: number of rows.
        coverage: fraction of rows whose interval contains the true value, ends included, with a 95 % Wilson interval.
        mean_width: mean of high - low, target units; infinite if one interval is.
        median_width: median of high - low, target units.
    """

    n: int
    coverage: Interval
    mean_width: float
    median_width: float

    def to_json(self) -> dict[str, object]:
        """Return plain values; an infinite width is ``None``, because JSON has no infinity."""
        return {
            "n": self.n,
            "coverage": self.coverage.to_json(),
            "mean_width": self.mean_width if math.isfinite(self.mean_width) else None,
            "median_width": self.median_width if math.isfinite(self.median_width) else None,
        }


@dataclass(frozen=True)
class RegionCoverage:
    """Coverage of a region by true and by predicted value, each ``None`` if it has no rows.

    Args:
        by_true: over rows whose true value lies in the region.
        by_predicted: over rows whose predicted value lies in the region; intervals calibrated by region have their
            nominal coverage here.
    """

    by_true: Coverage | None
    by_predicted: Coverage | None

    def to_json(self) -> dict[str, object]:
        """Return plain values; a coverage without rows is absent."""
        both = {"by_true": self.by_true, "by_predicted": self.by_predicted}
        return {name: coverage.to_json() for name, coverage in both.items() if coverage is not None}


@dataclass(frozen=True)
class MeasuredIntervals:
    """Coverage of one kind of intervals on test rows.

    Args:
        name: of the kind: ``"around predictions"``, or ``"of distributions, balance 0"``.
        as_rows_come: over all rows, weighted to how training rows come.
        by_true: over the rows whose true value lies in each region that has some.
    """

    name: str
    as_rows_come: Coverage
    by_true: Mapping[str, Coverage]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        regions = {name: coverage.to_json() for name, coverage in self.by_true.items()}
        return {"intervals": self.name, "as_rows_come": self.as_rows_come.to_json(), "by_true": regions}


def coverage_by_region(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    shots: Shots,
    *,
    sample_weight: ArrayLike | None = None,
) -> dict[str, RegionCoverage]:
    """Compute coverage and width of intervals over all rows, and by region of the true and of the predicted value.

    Args:
        y_true: ``(n,)`` labels, target units.
        y_pred: ``(n,)`` predictions.
        low: ``(n,)`` lower ends, may be -inf.
        high: ``(n,)`` upper ends, may be inf.
        shots: regions, from training labels.
        sample_weight: ``(n,)`` above 0; how much each row counts, see :func:`weighted_coverage`.

    Returns:
        Coverage of ``all`` (with equal ``by_true`` and ``by_predicted``) and of the regions that have rows.

    Raises:
        InputError: shapes that differ, labels or predictions that are not finite, ends that are NaN or not in order.

    Example:
        >>> from tailwise.labels.bins import Bins
        >>> shots = Shots(Bins.from_edges([0, 10, 20]), np.array([500, 5]), many=100, few=20)
        >>> regions = coverage_by_region([1.0, 2.0, 13.0], [1.5, 2.5, 9.0], [0.0, 0.0, 8.0], [3.0, 4.0, 10.0], shots)
        >>> regions["few"].by_true.coverage.value, regions["many"].by_predicted.n, regions["all"].by_true.mean_width
        (0.0, 3, 3.0)
    """
    true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
    same_shape(pred, true)
    lower, upper = _ends(low, high, true)
    inside, width = (lower <= true) & (true <= upper), upper - lower
    weight = row_weights(sample_weight, true.size)

    def of(rows: NDArray[np.bool_]) -> Coverage | None:
        if weight is None:
            return _coverage(inside[rows], width[rows])
        return weighted_coverage(true[rows], lower[rows], upper[rows], weight[rows])

    over_all = of(np.ones(true.size, dtype=bool))
    regions = {"all": RegionCoverage(over_all, over_all)}
    true_codes, pred_codes = shots.codes(true), shots.codes(pred)
    for i, name in enumerate(REGIONS):
        both = [of(codes == i) for codes in (true_codes, pred_codes)]
        if both != [None, None]:
            regions[name] = RegionCoverage(*both)
    return regions


def weighted_coverage(
    y_true: ArrayLike, low: ArrayLike, high: ArrayLike, weight: ArrayLike | None = None
) -> Coverage | None:
    """Return coverage and width of the intervals of some rows, weighted; ``None`` without rows.

    Args:
        y_true: ``(n,)`` labels, target units.
        low: ``(n,)`` lower ends, may be -inf.
        high: ``(n,)`` upper ends, may be inf.
        weight: ``(n,)`` above 0; how often each row would come. The Wilson interval takes their effective number, the
            median width does not use them.

    Raises:
        InputError: shapes that differ, labels that are not finite, ends that are NaN or not in order.

    Example:
        >>> weighted_coverage([1.0, 9.0], [0.0, 0.0], [2.0, 2.0], [3.0, 1.0]).coverage.value
        0.75
    """
    if np.size(y_true) == 0:
        return None
    true = label_array(y_true, "y_true")
    share = np.ones(true.size) if weight is None else label_array(weight, "weight")
    same_shape(share, true)
    lower, upper = _ends(low, high, true)
    inside, width = ((lower <= true) & (true <= upper)).astype(np.float64), upper - lower
    value, n = float(np.average(inside, weights=share)), float(share.sum() ** 2 / (share**2).sum())
    half = _NORMAL_95 / (1 + _NORMAL_95**2 / n) * math.sqrt(value * (1 - value) / n + _NORMAL_95**2 / (4 * n**2))
    middle = (value + _NORMAL_95**2 / (2 * n)) / (1 + _NORMAL_95**2 / n)
    mean = math.inf if np.isinf(width).any() else float(np.average(width, weights=share))
    fraction = Interval(value, max(middle - half, 0.0), min(middle + half, 1.0))
    return Coverage(true.size, fraction, mean, float(np.median(width)))


def _ends(
    low: ArrayLike, high: ArrayLike, true: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends as ``(n,)`` vectors with low <= high."""
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
    """Summarise which intervals contain the true value and their widths; ``None`` without rows."""
    if inside.size == 0:
        return None
    ends = binomtest(int(inside.sum()), inside.size).proportion_ci(method="wilson")
    fraction = Interval(float(inside.mean()), float(ends.low), float(ends.high))
    return Coverage(inside.size, fraction, float(width.mean()), float(np.median(width)))
