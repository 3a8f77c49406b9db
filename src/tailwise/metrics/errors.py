"""Errors of predictions, each a function of ``y_true`` and ``y_pred`` in the target's units.

For labels ``(n, K)`` the size of an error is the distance between prediction and label.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import pearsonr, spearmanr

from tailwise._checks import InputError, label_array, same_shape
from tailwise.labels.bin_grid import BinGrid, label_rows
from tailwise.labels.bins import Bins

GM_FLOOR = 1e-10


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
    same_shape(pred, true)
    return true, pred


def label_pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return labels and predictions as float64, both ``(n,)`` or both ``(n, K)`` with K of at least 2.

    Raises:
        InputError: shapes that differ, values that are not finite, a single column.
    """
    true, pred = label_rows(y_true, "y_true"), label_rows(y_pred, "y_pred")
    if true.shape[1:] == (1,):
        raise InputError(f"y_true of one target must be one-dimensional, (n,), got shape {true.shape}")
    same_shape(pred, true)
    return true, pred


def error_sizes(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Return ``(n,)`` sizes |e| of the errors, target units; for labels ``(n, K)`` the Euclidean length of e.

    Example:
        >>> error_sizes([1.0, 5.0], [2.0, 2.0]).tolist(), error_sizes([[0.0, 0.0]], [[3.0, -4.0]]).tolist()
        ([1.0, 3.0], [5.0])
    """
    true, pred = label_pair(y_true, y_pred)
    return np.abs(pred - true) if true.ndim == 1 else np.linalg.norm(pred - true, axis=1)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of |e|, target units; for labels ``(n, K)`` the mean distance."""
    return float(error_sizes(y_true, y_pred).mean())


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Square root of the mean of |e|², target units; labels ``(n,)`` or ``(n, K)``."""
    return float(np.sqrt(np.square(error_sizes(y_true, y_pred)).mean()))


def mean_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of e = ŷ - y, target units; below 0 if predictions are too low."""
    true, pred = _pair(y_true, y_pred)
    return float((pred - true).mean())


def geometric_mean_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Geometric mean of |e|, target units, with errors below 1e-10 counted as 1e-10; labels ``(n,)`` or ``(n, K)``.

    Example:
        >>> round(geometric_mean_error([0, 0], [1, 4]), 6)
        2.0
    """
    return float(np.exp(np.log(np.maximum(error_sizes(y_true, y_pred), GM_FLOOR)).mean()))


def balanced_mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, bins: Bins | BinGrid) -> float:
    """Mean over the bins that occur in ``y_true`` of the mean |e| in each (Ren et al., CVPR 2022: bMAE).

    Labels are ``(n,)``, or ``(n, K)`` with a grid of bins.

    Example:
        >>> balanced_mean_absolute_error([0, 0, 1], [1, 3, 6], Bins.from_edges([0, 1, 2]))
        3.5
    """
    size = error_sizes(y_true, y_pred)
    index = bins.index(y_true)
    count = np.bincount(index, minlength=bins.n_bins)
    total = np.bincount(index, weights=size, minlength=bins.n_bins)
    return float((total[count > 0] / count[count > 0]).mean())


def pearson(y_true: ArrayLike, y_pred: ArrayLike) -> float | None:
    """Pearson correlation; ``None`` for fewer than three values or if one side is constant."""
    true, pred = _pair(y_true, y_pred)
    return None if true.size < 3 or np.ptp(true) == 0 or np.ptp(pred) == 0 else float(pearsonr(true, pred).statistic)


def spearman(y_true: ArrayLike, y_pred: ArrayLike) -> float | None:
    """Spearman rank correlation; ``None`` for fewer than three values or if one side is constant."""
    true, pred = _pair(y_true, y_pred)
    return None if true.size < 3 or np.ptp(true) == 0 or np.ptp(pred) == 0 else float(spearmanr(true, pred).statistic)


def sera(y_true: ArrayLike, y_pred: ArrayLike, relevance: ArrayLike) -> float:
    """Squared error-relevance area ∫₀¹ Σ_{φ_i ≥ t} e_i² dt = Σ φ_i e_i² (Ribeiro and Moniz, 2020).

    Args:
        y_true: ``(n,)`` labels.
        y_pred: ``(n,)`` predictions.
        relevance: ``(n,)`` φ of each label, in [0, 1].

    Returns:
        The area, target units squared, a sum over the rows.
    """
    true, pred = _pair(y_true, y_pred)
    return float(label_array(relevance, "relevance") @ np.square(pred - true))
