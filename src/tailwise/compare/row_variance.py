"""Variance of a mean difference of errors over the test rows of one split."""

import numpy as np
from numpy.typing import NDArray


def variance_over_rows(
    gain: NDArray[np.float64],
    bins: NDArray[np.int64] | None = None,
    shares: NDArray[np.float64] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the variance that other test rows would give the mean of ``(n,)`` differences.

    Args:
        gain: differences of two models' errors on the same rows, target units.
        bins: ``(n,)`` bin of each row; the mean is then one over bins, and a bin with one row has the variance of the
            others.
        shares: ``(n,)`` weight of each row's bin in that mean; the same for all bins if not given.
        weight: ``(n,)`` above 0, how much each row counts, within its bin where bins are given.

    Returns:
        Target units squared; NaN of a single row.

    Example:
        >>> round(variance_over_rows(np.array([1.0, 2.0, 3.0])), 3)
        0.333
    """
    if gain.size < 2:
        return float("nan")
    if weight is not None:
        return _weighted(gain, np.zeros(gain.size, dtype=np.int64) if bins is None else bins, shares, weight)
    if bins is None:
        return float(gain.var(ddof=1) / gain.size)
    _, first, index, count = np.unique(bins, return_index=True, return_inverse=True, return_counts=True)
    means = np.bincount(index, weights=gain) / count
    squares = np.bincount(index, weights=np.square(gain - means[index]))
    degrees = count - 1
    pooled = squares.sum() / degrees.sum() if degrees.any() else gain.var(ddof=1)
    by_bin = np.where(degrees > 0, squares / np.maximum(degrees, 1), pooled)
    weights = np.ones(count.size) if shares is None else shares[first]
    return float(np.sum(np.square(weights / weights.sum()) * by_bin / count))


def _weighted(
    gain: NDArray[np.float64], bins: NDArray[np.int64], shares: NDArray[np.float64] | None, weight: NDArray[np.float64]
) -> float:
    """Return the variance of a mean over bins of weighted means, by the effective number of rows in each bin."""
    _, first, index, rows = np.unique(bins, return_index=True, return_inverse=True, return_counts=True)
    total = np.bincount(index, weights=weight)
    means = np.bincount(index, weights=weight * gain) / total
    squares = np.bincount(index, weights=np.square(weight * (gain - means[index]))) / np.square(total)
    several = rows > 1
    by_bin = np.where(several, squares * rows / np.maximum(rows - 1, 1), 0.0)
    alone = np.average(by_bin[several] * rows[several]) if several.any() else float(gain.var(ddof=1))
    by_bin = np.where(several, by_bin, alone)
    of_bin = np.ones(rows.size) if shares is None else shares[first]
    return float(np.sum(np.square(of_bin / of_bin.sum()) * by_bin))
