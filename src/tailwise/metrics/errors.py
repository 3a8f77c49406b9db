"""Errors of predictions, each a function of ``y_true`` and ``y_pred`` in the target's units.

For labels ``(n, K)`` the size of an error is the distance between prediction and label.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import pearsonr, rankdata, spearmanr

from tailwise._checks import InputError, label_array, row_weights, same_shape
from tailwise.labels.bin_grid import BinGrid, label_rows
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins

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


def in_units(
    true: NDArray[np.float64], pred: NDArray[np.float64], bins: object
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return labels and predictions in the units of errors.

    Those of many dimensions are in standard deviations, those of dimensions with weights times the root of these.
    """
    unit = bins.unit if isinstance(bins, BinGrid | OutputBins) else None
    return (true, pred) if unit is None else (true / unit, pred / unit)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Mean of |e|, target units; for labels ``(n, K)`` the mean distance. Rows count by weights ``(n,)``, if given.

    Example:
        >>> mean_absolute_error([0, 0], [1, 4], sample_weight=[2, 1])
        2.0
    """
    return _mean(error_sizes(y_true, y_pred), sample_weight)


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Square root of the mean of |e|², target units; labels ``(n,)`` or ``(n, K)``, weights ``(n,)``."""
    return float(np.sqrt(_mean(np.square(error_sizes(y_true, y_pred)), sample_weight)))


def mean_error(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Mean of e = ŷ - y, target units; below 0 if predictions are too low. Weights are ``(n,)``."""
    true, pred = _pair(y_true, y_pred)
    return _mean(pred - true, sample_weight)


def geometric_mean_error(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """Geometric mean of |e|, target units, with errors below 1e-10 counted as 1e-10; labels ``(n,)`` or ``(n, K)``.

    Weights are ``(n,)``.

    Example:
        >>> round(geometric_mean_error([0, 0], [1, 4]), 6)
        2.0
    """
    return float(np.exp(_mean(np.log(np.maximum(error_sizes(y_true, y_pred), GM_FLOOR)), sample_weight)))


def balanced_mean_absolute_error(
    y_true: ArrayLike, y_pred: ArrayLike, bins: Bins | BinGrid | OutputBins, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean over the bins that occur in ``y_true`` of the mean |e| in each (Ren et al., CVPR 2022: bMAE).

    Labels are ``(n,)``, or ``(n, K)`` with a grid of bins. Weights ``(n,)`` count within a bin; bins count alike.

    Example:
        >>> balanced_mean_absolute_error([0, 0, 1], [1, 3, 6], Bins.from_edges([0, 1, 2]))
        3.5
    """
    size = error_sizes(*in_units(*label_pair(y_true, y_pred), bins))
    weight = row_weights(sample_weight, size.size)
    index = bins.index(y_true)
    count = np.bincount(index, weights=weight, minlength=bins.n_bins)
    total = np.bincount(index, weights=weighted(size, weight), minlength=bins.n_bins)
    return float((total[count > 0] / count[count > 0]).mean())


def pearson(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float | None:
    """Pearson correlation; ``None`` for fewer than three values or if one side is constant. Weights are ``(n,)``.

    Constant are values that differ by less than 1e-12 of their size: rounding would decide.
    """
    true, pred = _pair(y_true, y_pred)
    if true.size < 3 or any(np.ptp(side) <= 1e-12 * np.abs(side).max() for side in (true, pred)):
        return None
    weight = row_weights(sample_weight, true.size)
    return float(pearsonr(true, pred).statistic) if weight is None else _correlation(true, pred, weight)


def spearman(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float | None:
    """Spearman rank correlation; ``None`` for fewer than three values or if one side is constant.

    With weights ``(n,)`` a rank is the weight of all smaller values and half of that of equal ones, so that a weight of
    2 is a row given twice.
    """
    true, pred = _pair(y_true, y_pred)
    if true.size < 3 or np.ptp(true) == 0 or np.ptp(pred) == 0:
        return None
    weight = row_weights(sample_weight, true.size)
    if weight is None:
        return float(spearmanr(true, pred).statistic)
    return _correlation(ranks(true, weight), ranks(pred, weight), weight)


def ranks(values: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Return ``(n,)`` ranks of values, equal ones sharing their mean rank; see :func:`spearman` for weights."""
    if weight is None:
        return np.asarray(rankdata(values), dtype=np.float64)
    _, place = np.unique(values, return_inverse=True)
    of_value = np.bincount(place, weights=weight)
    return np.asarray((of_value.cumsum() - of_value / 2)[place], dtype=np.float64)


def weighted_median(values: NDArray[np.float64], weight: NDArray[np.float64] | None) -> float:
    """Return the median; with weights ``(n,)`` the lowest value with at least half of the weight at or below it."""
    if weight is None:
        return float(np.median(values))
    order = np.argsort(values, kind="stable")
    below = weight[order].cumsum()
    return float(values[order][np.searchsorted(below, below[-1] / 2)])


def weighted(values: NDArray[np.float64], weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return ``(n,)`` values times their weights; the values themselves without weights."""
    return values if weight is None else values * weight


def _mean(values: NDArray[np.float64], sample_weight: ArrayLike | None) -> float:
    weight = row_weights(sample_weight, values.size)
    return float(values.mean()) if weight is None else float(np.average(values, weights=weight))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64], weight: NDArray[np.float64]) -> float | None:
    """Return the weighted correlation; ``None`` if one side is constant where there is weight."""
    a, b = (values - np.average(values, weights=weight) for values in (a, b))
    size = np.sqrt((weight @ np.square(a)) * (weight @ np.square(b)))
    return float(np.clip((weight @ (a * b)) / size, -1.0, 1.0)) if size > 0 else None


def sera(
    y_true: ArrayLike, y_pred: ArrayLike, relevance: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Squared error-relevance area ∫₀¹ Σ_{φ_i ≥ t} e_i² dt = Σ φ_i e_i² (Ribeiro and Moniz, 2020).

    Args:
        y_true: ``(n,)`` labels.
        y_pred: ``(n,)`` predictions.
        relevance: ``(n,)`` φ of each label, in [0, 1].
        sample_weight: ``(n,)`` how often each row counts in the sum.

    Returns:
        The area, target units squared, a sum over the rows.
    """
    true, pred = _pair(y_true, y_pred)
    weight = row_weights(sample_weight, true.size)
    return float(weighted(label_array(relevance, "relevance"), weight) @ np.square(pred - true))
