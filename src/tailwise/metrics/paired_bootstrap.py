"""Paired bootstrap: intervals for the difference of two models' errors on the same test rows.

Three resampling schemes: the rows of one pair of predictions (:func:`mae_change`), the rows of a table that several
cells share (:func:`paired_bootstrap`), and seeds crossed with rows (:func:`crossed_bootstrap`). The trained models stay
as they are in all of them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, row_weights, whole
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import error_sizes

_DRAWS_AT_ONCE = 1_000_000
_MAE_RESAMPLES, _CROSSED_RESAMPLES = 1000, 2000


def mae_change(
    y_true: ArrayLike, y_pred: ArrayLike, y_other: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> Interval:
    """Return the MAE of one prediction minus the MAE of another on the same rows, with its 95 % bootstrap interval.

    In target units, from 1,000 resamples with a fixed seed. A single row has no interval. Rows are drawn alike, and a
    drawn row counts by its weight, ``(n,)``.

    Raises:
        InputError: shapes that differ, values that are not finite.
    """
    gain = error_sizes(y_true, y_pred) - error_sizes(y_true, y_other)
    weight = row_weights(sample_weight, gain.size)
    value = float(np.average(gain, weights=weight))
    if gain.size < 2:
        return Interval(value)
    rng = np.random.default_rng(0)
    drawn = (rng.integers(0, gain.size, gain.size) for _ in range(_MAE_RESAMPLES))
    means = [np.average(gain[rows], weights=None if weight is None else weight[rows]) for rows in drawn]
    return Interval.of_draws(value, np.array(means))


def crossed_bootstrap(gains: NDArray[np.float64], *, seed: int = 0, sample_weight: ArrayLike | None = None) -> Interval:
    """Return the mean of ``(seeds, rows)`` differences with its 95 % bootstrap interval over seeds and rows.

    All seeds are tested on the same rows, so each resample draws seeds, and rows once for all seeds (Art Owen, *The
    Pigeonhole Bootstrap*, Annals of Applied Statistics 2007, which is conservative). A single row has no interval.

    Args:
        gains: differences of absolute errors, target units.
        seed: random seed of the resampling.
        sample_weight: ``(rows,)`` how much each row counts.

    Example:
        >>> crossed_bootstrap(np.full((3, 50), -2.0))
        Interval(value=-2.0, low=-2.0, high=-2.0)
    """
    n_seeds, n_rows = gains.shape
    weight = row_weights(sample_weight, n_rows)
    value = float(gains.mean() if weight is None else np.average(gains, axis=1, weights=weight).mean())
    if n_rows < 2:
        return Interval(value)
    rng = np.random.default_rng(seed)
    draws = np.empty(_CROSSED_RESAMPLES)
    for i in range(draws.size):
        rows = rng.integers(0, n_rows, n_rows)
        means = np.average(gains[:, rows], axis=1, weights=None if weight is None else weight[rows])
        draws[i] = means[rng.integers(0, n_seeds, n_seeds)].mean()
    return Interval.of_draws(value, draws)


def paired_bootstrap(
    errors_ours: Sequence[ArrayLike],
    errors_base: Sequence[ArrayLike],
    *,
    rows: Sequence[ArrayLike] | None = None,
    bins: Sequence[ArrayLike] | None = None,
    shares: Sequence[ArrayLike] | None = None,
    weights: Sequence[ArrayLike] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the mean difference of two methods' errors over cells, with its 95 % bootstrap interval over test rows.

    Each resample draws rows of the table with replacement. A drawn row counts in every cell that tested it, and for
    both methods: splits of one table share rows, and treating those as independent would make the interval too narrow.
    The interval consists of percentiles of the linearised mean. Anthony Davison and David Hinkley, *Bootstrap Methods
    and their Application*, 1997.

    The trained models are fixed. The interval therefore shows whether *these models* would differ on other rows, not
    whether the same methods would differ when trained again; that is tested by
    :func:`tailwise.compare.paired.compare_paired`, which gives the verdict.

    Args:
        errors_ours: ``(rows,)`` errors of the method for each cell, for example those of one region; cells may have
            different rows, and cells without rows are left out.
        errors_base: errors of the reference on the same rows.
        rows: ``(rows,)`` row numbers in the table for each cell; if not given, all rows are distinct.
        bins: ``(rows,)`` bins for each cell; if given, a cell's difference is the mean over bins of the mean
            differences within bins.
        shares: ``(rows,)`` weight of each row's bin in that mean, for each cell; all bins alike if not given.
        weights: ``(rows,)`` above 0, how much each row counts, for each cell: within its bin where bins are given.
        resamples: number of resamples.
        seed: random seed of the resampling.

    Returns:
        The mean over cells of each cell's mean difference, target units. A single row has no interval.

    Raises:
        InputError: cells or rows that do not match, no rows at all, errors that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> base = [rng.exponential(size=200) for _ in range(5)]
        >>> change = paired_bootstrap([0.9 * e for e in base], base)
        >>> change.low < change.value < change.high < 0
        True
    """
    whole(resamples, "resamples", least=1)
    gains = _gains(errors_ours, errors_base)
    numbers = _matching(gains, rows, "rows")
    strata = _matching(gains, bins, "bins")
    if shares is not None and strata is None:
        raise InputError("shares are those of bins; give bins too")
    with_rows = [cell for cell, gain in enumerate(gains) if gain.size]
    if not with_rows:
        raise InputError("no cell has a row; leave the region out")
    value, influences, row_numbers, first = 0.0, [], [], 0
    for cell in with_rows:
        mean, influence = _mean_and_influence(
            gains[cell],
            None if strata is None else strata[cell],
            None if shares is None else np.asarray(shares[cell], dtype=np.float64),
            None if weights is None else row_weights(weights[cell], gains[cell].size),
        )
        value += mean / len(with_rows)
        influences.append(influence / len(with_rows))
        row_numbers.append(np.arange(first, first + influence.size) if numbers is None else numbers[cell])
        first += influence.size
    _, row = np.unique(np.concatenate(row_numbers), return_inverse=True)
    by_row = np.bincount(row, weights=np.concatenate(influences)).astype(np.float64)
    if by_row.size == 1:
        return Interval(value)
    means = value + by_row.size * _resampled_means(by_row, resamples, np.random.default_rng(seed))
    return Interval.of_draws(value, means)


def _mean_and_influence(
    gain: NDArray[np.float64],
    bins: NDArray[np.int64] | None,
    shares: NDArray[np.float64] | None,
    weight: NDArray[np.float64] | None,
) -> tuple[float, NDArray[np.float64]]:
    """Return a cell's mean, over all rows or over bins, and the influence of each row on it."""
    if bins is None:
        mean = float(np.average(gain, weights=weight))
        return mean, (gain - mean) / gain.size if weight is None else (gain - mean) * weight / weight.sum()
    _, first, index, rows = np.unique(bins, return_index=True, return_inverse=True, return_counts=True)
    count = rows if weight is None else np.bincount(index, weights=weight)
    means = np.bincount(index, weights=gain if weight is None else gain * weight) / count
    of_bin = np.ones(count.size) if shares is None else shares[first]
    of_bin = of_bin / of_bin.sum()
    influence = (gain - means[index]) * (of_bin / count)[index]
    return float(of_bin @ means), influence if weight is None else influence * weight


def _gains(ours: Sequence[ArrayLike], base: Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
    """Return the differences of both methods' errors, cell by cell."""
    if len(ours) != len(base):
        raise InputError(f"both methods need the same cells, got {len(ours)} and {len(base)}")
    gains = []
    for cell, (one, other) in enumerate(zip(ours, base, strict=True)):
        a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
        if a.ndim != 1 or a.shape != b.shape:
            raise InputError(f"cell {cell}: both methods need (rows,) of the same rows, got {a.shape} and {b.shape}")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise InputError(f"cell {cell} has errors that are NaN or infinite; leave the cell out of both methods")
        gains.append(a - b)
    return gains


def _matching(
    gains: Sequence[NDArray[np.float64]], given: Sequence[ArrayLike] | None, name: str
) -> list[NDArray[np.int64]] | None:
    """Return integers of the same rows as the errors."""
    if given is None:
        return None
    arrays = [np.asarray(one, dtype=np.int64) for one in given]
    if [a.shape for a in arrays] != [g.shape for g in gains]:
        raise InputError(f"{name} must be (rows,) for each cell, like the errors")
    return arrays


def _resampled_means(values: NDArray[np.float64], times: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return ``times`` means of samples of the same size, drawn with replacement."""
    means = np.empty(times)
    at_once = max(1, _DRAWS_AT_ONCE // values.size)
    for start in range(0, times, at_once):
        part = means[start : start + at_once]
        part[:] = values.take(rng.integers(0, values.size, (part.size, values.size), dtype=np.int32)).mean(axis=1)
    return means
