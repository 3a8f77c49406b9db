"""Errors of dense depth maps (NYUD2-DIR), over the pixels whose depth is known."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, same_shape


def _pixels(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, pred = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    same_shape(pred, true)
    known = ~np.isnan(true)
    if not known.any():
        raise InputError("y_true has no pixel with a known depth")
    if (true[known] <= 0).any():
        raise InputError(f"depths must be above 0, got {true[known].min()!r}; mark unknown pixels as NaN")
    return true[known], pred[known]


def absolute_relative_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of |e| / depth, any shape, NaN where the depth is unknown."""
    true, pred = _pixels(y_true, y_pred)
    return float((np.abs(pred - true) / true).mean())


def log10_error(y_true: ArrayLike, y_pred: ArrayLike) -> float | None:
    """Mean of |log10 prediction - log10 depth|; ``None`` where a prediction is not above 0."""
    true, pred = _pixels(y_true, y_pred)
    return None if (pred <= 0).any() else float(np.abs(np.log10(pred) - np.log10(true)).mean())


def delta_accuracy(y_true: ArrayLike, y_pred: ArrayLike, *, power: int = 1) -> float:
    """Share of pixels with max(prediction / depth, depth / prediction) <= 1.25 ** power.

    Example:
        >>> delta_accuracy([1.0, 1.0], [1.2, 2.0])
        0.5
    """
    true, pred = _pixels(y_true, y_pred)
    ratio = np.full(true.shape, np.inf)
    np.divide(true, pred, out=ratio, where=pred > 0)
    return float((np.maximum(ratio, pred / true) <= 1.25**power).mean())
