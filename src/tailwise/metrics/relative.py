"""Errors relative to the labels: in percent, and the explained fraction of their variance; of scalar labels.

Each is ``None`` where it has no meaning.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import row_weights
from tailwise.metrics.errors import label_pair


def r_squared(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float | None:
    """R² = 1 - Σe² / Σ(y - ȳ)², where ȳ is the mean of these labels; below 0 is worse than predicting ȳ.

    In a region of similar labels Σ(y - ȳ)² is small, so R² is low there even where errors are. ``None`` for fewer than
    two labels or equal ones. Weights are ``(n,)``.

    Example:
        >>> r_squared([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
        0.5
    """
    true, pred = label_pair(y_true, y_pred)
    if true.size < 2:
        return None
    weight = row_weights(sample_weight, true.size)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.average(np.square(true - np.average(true, weights=weight)), weights=weight)
        return _finite(1 - np.average(np.square(pred - true), weights=weight) / spread) if spread > 0 else None


def percent_of_mean(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float | None:
    """Mean |e| in percent of the mean label; ``None`` if a label is below 0 or all are 0. Weights are ``(n,)``.

    Example:
        >>> percent_of_mean([0.0, 200.0], [20.0, 180.0])
        20.0
    """
    true, pred = label_pair(y_true, y_pred)
    weight = row_weights(sample_weight, true.size)
    mean = np.average(true, weights=weight)
    if not true.min() >= 0 < mean:
        return None
    with np.errstate(over="ignore"):
        return _finite(100 * np.average(np.abs(pred - true), weights=weight) / mean)


def mean_percent_error(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float | None:
    """Mean of 100 |e| / y (MAPE); ``None`` unless all labels are above 0. Weights are ``(n,)``.

    It punishes predictions that are too high more than those that are too low, which lose 100 % at most.

    Example:
        >>> mean_percent_error([100.0, 200.0], [110.0, 180.0])
        10.0
    """
    true, pred = label_pair(y_true, y_pred)
    if true.min() <= 0:
        return None
    with np.errstate(over="ignore"):
        return _finite(100 * np.average(np.abs(pred - true) / true, weights=row_weights(sample_weight, true.size)))


def relative_moments(true: NDArray[np.float64], pred: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return terms of each row whose means give :func:`relative_draws`: of labels ``(n,)``."""
    with np.errstate(over="ignore", invalid="ignore"):
        scale = true.std() or 1.0
        centred = (true - true.mean()) / scale
        size = np.abs(pred - true)
        percent = size / true if true.min() > 0 else np.zeros(true.size)
        return [centred, np.square(centred), np.square(size / scale), size, true, percent]


def relative_draws(means: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return R² and both errors in percent of resamples, from the means ``(resamples, 6)`` of the terms.

    A resample of equal labels has no R², and gives NaN or an infinite value.
    """
    centre, square, error, size, label, percent = means.T
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return {
            "r2": np.asarray(1 - error / (square - np.square(centre))),
            "mae_percent": np.asarray(100 * size / label),
            "mape": 100 * percent,
        }


def _finite(value: float) -> float | None:
    """Return a number; ``None`` of one beyond the range of floats."""
    return float(value) if np.isfinite(value) else None
