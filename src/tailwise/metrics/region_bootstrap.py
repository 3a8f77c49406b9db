"""Bootstrap of all metrics of one region at once."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.metrics.errors import GM_FLOOR, error_sizes

_DRAWS_AT_ONCE = 200_000  # fit into the cache of a CPU


def dimensions(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of each dimension, ``(K, n)``, with K = 1 for scalar values."""
    return np.atleast_2d(y.T)


def bootstrap_metrics(
    true: NDArray[np.float64],
    pred: NDArray[np.float64],
    bins: Bins | BinGrid,
    phi: NDArray[np.float64] | None,
    resamples: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Compute every metric of every resample, ``(resamples,)`` by name.

    A metric follows from means over rows, so a resample needs only the number of times that each row was drawn.
    """
    n = len(true)
    index = bins.index(true)
    order = np.argsort(index, kind="stable")  # rows of a bin become neighbours, as reduceat needs them
    true, pred, phi = true[order], pred[order], None if phi is None else phi[order]
    first_of_bin = np.flatnonzero(np.diff(index[order], prepend=-1))
    size = error_sizes(true, pred)
    pairs = list(zip(dimensions(true), dimensions(pred), strict=True))
    moments = np.column_stack(
        [
            size,
            np.square(size),
            np.log(np.maximum(size, GM_FLOOR)),
            pred - true if true.ndim == 1 else np.zeros(n),
            np.zeros(n) if phi is None else phi * np.square(size),
            *(term for pair in pairs for term in _correlation_terms(*pair)),
            *(term for a, b in pairs for term in _correlation_terms(rankdata(a), rankdata(b))),
        ]
    )
    rows_in_bin = np.diff(first_of_bin, append=n)
    bin_mean = np.add.reduceat(size, first_of_bin) / rows_in_bin

    rng = np.random.default_rng(seed)
    rows_at_once = max(1, _DRAWS_AT_ONCE // n)
    parts: list[NDArray[np.float64]] = []
    for start in range(0, resamples, rows_at_once):
        rows = min(rows_at_once, resamples - start)
        times = np.empty((rows, n))
        for times_of_row in times:
            times_of_row[:] = _times_drawn(rng, n)
        count = np.add.reduceat(times, first_of_bin, axis=1)
        in_bin = np.add.reduceat(times * size, first_of_bin, axis=1)
        # A bin without drawn rows keeps its mean over all rows; without it the mean over bins would favour common bins.
        bmae = np.where(count > 0, in_bin / np.maximum(count, 1), bin_mean).mean(axis=1)
        parts.append(np.column_stack([times @ moments / n, bmae]))
    mean = np.concatenate(parts)
    terms = 5 * len(pairs)
    draws = {
        "mae": mean[:, 0],
        "rmse": np.sqrt(mean[:, 1]),
        "gm": np.exp(mean[:, 2]),
        "bmae": mean[:, -1],
        "bias": mean[:, 3],
        "pearson": _mean_correlation(mean[:, 5 : 5 + terms]),
        "spearman": _mean_correlation(mean[:, 5 + terms : 5 + 2 * terms]),
    }
    return draws if phi is None else {**draws, "sera": n * mean[:, 4]}


def _times_drawn(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Return the number of times that each of n rows is drawn in n draws."""
    # 32 random bits times n, shifted back: twice as fast as integers(0, n), and uniform up to n parts in 2^32.
    bits: NDArray[np.uint64] = rng.bit_generator.random_raw((n + 1) // 2)
    row = np.multiply(bits.view(np.uint32)[:n], np.uint64(n), dtype=np.uint64)
    row >>= np.uint64(32)
    return np.bincount(row.view(np.int64), minlength=n)


def _correlation_terms(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return a, b, a², b², ab of standardised values; their means give the correlation."""
    a, b = ((v - v.mean()) / (v.std() or 1.0) for v in (a, b))
    return [a, b, a * a, b * b, a * b]


def _mean_correlation(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean correlation over the dimensions, from the means of five terms of each dimension."""
    each = [_correlation(means[:, i : i + 5]) for i in range(0, means.shape[1], 5)]
    return np.asarray(np.mean(each, axis=0), dtype=np.float64)


def _correlation(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation from the means of the five terms."""
    a, b, aa, bb, ab = means.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip((ab - a * b) / np.sqrt((aa - a * a) * (bb - b * b)), -1.0, 1.0), dtype=np.float64)
