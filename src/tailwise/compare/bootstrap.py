"""How far the difference of trained models hangs on the rows they were tested on: a paired bootstrap over rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, whole
from tailwise.metrics.regions import Interval

_DRAWS_AT_ONCE = 1_000_000


def paired_bootstrap(
    errors_ours: Sequence[ArrayLike],
    errors_base: Sequence[ArrayLike],
    *,
    rows: Sequence[ArrayLike] | None = None,
    bins: Sequence[ArrayLike] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean difference of two methods' errors over cells, with its 95 % bootstrap interval over the test rows.

    Each resample draws rows of the table with replacement. A drawn row counts in every cell that tested it, and for
    both methods: cells that split one table again share rows, and taking those for new ones would make the interval too
    narrow. The interval is by percentiles of the linearised mean. Anthony Davison and David Hinkley, *Bootstrap Methods
    and their Application*, 1997.

    The trained models stay as they are. So it answers whether *these models* would differ so on other rows, and nothing
    about the same methods trained again: :func:`tailwise.compare.statistics.compare_paired` does, and decides.

    Args:
        errors_ours: for each cell the ``(rows,)`` errors of the method, of one region, say; cells may differ in
            rows, and those without rows are left out.
        errors_base: those of the reference on the same rows.
        rows: for each cell ``(rows,)`` numbers of its rows in the table; all rows are apart if not given.
        bins: for each cell ``(rows,)`` bins of its rows: a cell's difference is then the mean over bins of each bin's.
        resamples: how many.
        seed: of the resampling.

    Returns:
        The mean over cells of each cell's mean difference, target units. No ends where one row is all.

    Raises:
        InputError: cells or rows that do not match, no rows at all, errors that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> base = [rng.exponential(size=200) for _ in range(5)]
        >>> found = paired_bootstrap([0.9 * e for e in base], base)
        >>> found.low < found.value < found.high < 0
        True
    """
    whole(resamples, "resamples", least=1)
    gains = _gains(errors_ours, errors_base)
    places = _beside(gains, rows, "rows")
    strata = _beside(gains, bins, "bins")
    there = [cell for cell, gain in enumerate(gains) if gain.size]
    if not there:
        raise InputError("no cell has a row; leave the region out")
    value, moves, which, first = 0.0, [], [], 0
    for cell in there:
        mean, move = _mean_and_moves(gains[cell], None if strata is None else strata[cell])
        value += mean / len(there)
        moves.append(move / len(there))
        which.append(np.arange(first, first + move.size) if places is None else places[cell])
        first += move.size
    _, row = np.unique(np.concatenate(which), return_inverse=True)
    of_row = np.bincount(row, weights=np.concatenate(moves)).astype(np.float64)
    if of_row.size == 1:
        return Interval(value)
    drawn = value + of_row.size * _means_of_draws(of_row, resamples, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Interval(value, low, high)


def _mean_and_moves(gain: NDArray[np.float64], bins: NDArray[np.int64] | None) -> tuple[float, NDArray[np.float64]]:
    """A cell's mean, over all rows or over bins, and how much one more of each row would move it."""
    if bins is None:
        mean = float(gain.mean())
        return mean, (gain - mean) / gain.size
    _, index, count = np.unique(bins, return_inverse=True, return_counts=True)
    means = np.bincount(index, weights=gain) / count
    return float(means.mean()), (gain - means[index]) / (count[index] * count.size)


def _gains(ours: Sequence[ArrayLike], base: Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
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


def _beside(
    gains: Sequence[NDArray[np.float64]], given: Sequence[ArrayLike] | None, name: str
) -> list[NDArray[np.int64]] | None:
    """Whole numbers of the same rows as the errors."""
    if given is None:
        return None
    arrays = [np.asarray(one, dtype=np.int64) for one in given]
    if [a.shape for a in arrays] != [g.shape for g in gains]:
        raise InputError(f"{name} must be (rows,) for each cell, as the errors are")
    return arrays


def _means_of_draws(values: NDArray[np.float64], times: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``times`` means of as many values drawn with replacement."""
    means = np.empty(times)
    at_once = max(1, _DRAWS_AT_ONCE // values.size)
    for start in range(0, times, at_once):
        part = means[start : start + at_once]
        part[:] = values.take(rng.integers(0, values.size, (part.size, values.size), dtype=np.int32)).mean(axis=1)
    return means
