"""Errors of predictions, each a function of ``y_true`` and ``y_pred`` in the target's units."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import pearsonr, spearmanr

from tailwise._checks import label_array, same_shape
from tailwise.labels.bins import Bins

GM_FLOOR = 1e-10


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
    same_shape(pred, true)
    return true, pred


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of |e|, target units."""
    true, pred = _pair(y_true, y_pred)
    return float(np.abs(pred - true).mean())


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Square root of the mean of e², target units."""
    true, pred = _pair(y_true, y_pred)
    return float(np.sqrt(np.square(pred - true).mean()))


def mean_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Mean of e = ŷ - y, target units: below 0 where a model predicts too low."""
    true, pred = _pair(y_true, y_pred)
    return float((pred - true).mean())


def geometric_mean_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Geometric mean of |e|, target units, with errors below 1e-10 counted as 1e-10.

    Example:
        >>> round(geometric_mean_error([0, 0], [1, 4]), 6)
        2.0
    """
    true, pred = _pair(y_true, y_pred)
    return float(np.exp(np.log(np.maximum(np.abs(pred - true), GM_FLOOR)).mean()))


def balanced_mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, bins: Bins) -> float:
    """Mean over the bins that occur in ``y_true`` of the mean |e| in each (Ren et al., CVPR 2022: bMAE).

    Example:
        >>> balanced_mean_absolute_error([0, 0, 1], [1, 3, 6], Bins.from_edges([0, 1, 2]))
        3.5
    """
    true, pred = _pair(y_true, y_pred)
    index = bins.index(true)
    count = np.bincount(index, minlength=bins.n_bins)
    total = np.bincount(index, weights=np.abs(pred - true), minlength=bins.n_bins)
    return float((total[count > 0] / count[count > 0]).mean())


def pearson(y_true: ArrayLike, y_pred: ArrayLike) -> float | None:
    """Pearson correlation; ``None`` for fewer than three values or a constant side."""
    true, pred = _pair(y_true, y_pred)
    return None if true.size < 3 or np.ptp(true) == 0 or np.ptp(pred) == 0 else float(pearsonr(true, pred).statistic)


def spearman(y_true: ArrayLike, y_pred: ArrayLike) -> float | None:
    """Spearman rank correlation; ``None`` for fewer than three values or a constant side."""
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
