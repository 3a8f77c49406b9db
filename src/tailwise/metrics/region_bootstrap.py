"""Bootstrap of all metrics of one region at once."""

import numpy as np
from numpy.typing import NDArray

from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins
from tailwise.metrics.errors import GM_FLOOR, error_sizes, in_units, ranks, weighted
from tailwise.metrics.relative import relative_draws, relative_moments

_DRAWS_AT_ONCE = 200_000  # fit into the cache of a CPU


def dimensions(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of each dimension, ``(K, n)``, with K = 1 for scalar values."""
    return np.atleast_2d(y.T)


def bootstrap_metrics(
    true: NDArray[np.float64],
    pred: NDArray[np.float64],
    bins: Bins | BinGrid | OutputBins,
    phi: NDArray[np.float64] | None,
    resamples: int,
    seed: int,
    weight: NDArray[np.float64] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Compute every metric of every resample, ``(resamples,)`` by name.

    A metric follows from means over rows, so a resample needs only the number of times that each row was drawn. Rows
    are drawn alike; a drawn row counts by its weight, ``(n,)``.
    """
    n = len(true)
    index = bins.index(true)
    order = np.argsort(index, kind="stable")  # rows of a bin become neighbours, as reduceat needs them
    true, pred, phi = true[order], pred[order], None if phi is None else phi[order]
    weight = None if weight is None else weight[order]
    first_of_bin = np.flatnonzero(np.diff(index[order], prepend=-1))
    size = error_sizes(*in_units(true, pred, bins))
    pairs = list(zip(dimensions(true), dimensions(pred), strict=True))
    moments = np.column_stack(
        [
            size,
            np.square(size),
            np.log(np.maximum(size, GM_FLOOR)),
            pred - true if true.ndim == 1 else np.zeros(n),
            np.zeros(n) if phi is None else phi * np.square(size),
            *(term for pair in pairs for term in _correlation_terms(*pair, weight)),
            *(term for a, b in pairs for term in _correlation_terms(ranks(a, weight), ranks(b, weight), weight)),
            *(relative_moments(true, pred) if true.ndim == 1 else []),
        ]
    )
    if weight is not None:
        moments, size = moments * weight[:, None], weighted(size, weight)
    rows_in_bin = np.diff(first_of_bin, append=n) if weight is None else np.add.reduceat(weight, first_of_bin)
    with_rows = rows_in_bin > 0
    bin_mean = np.add.reduceat(size, first_of_bin) / np.where(with_rows, rows_in_bin, 1)

    rng = np.random.default_rng(seed)
    rows_at_once = max(1, _DRAWS_AT_ONCE // n)
    parts: list[NDArray[np.float64]] = []
    for start in range(0, resamples, rows_at_once):
        rows = min(rows_at_once, resamples - start)
        times = np.empty((rows, n))
        for times_of_row in times:
            times_of_row[:] = _times_drawn(rng, n)
        drawn = times if weight is None else times * weight
        count = np.add.reduceat(drawn, first_of_bin, axis=1)
        in_bin = np.add.reduceat(times * size, first_of_bin, axis=1)
        # A bin without drawn rows keeps its mean over all rows; without it the mean over bins would favour common bins.
        bmae = np.where(count > 0, in_bin / np.where(count > 0, count, 1), bin_mean)[:, with_rows].mean(axis=1)
        total = n if weight is None else count.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):  # a resample may have drawn rows of weight 0 alone
            parts.append(np.column_stack([times @ moments / total, bmae]))
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
    if true.ndim == 1:
        draws |= relative_draws(mean[:, 5 + 2 * terms : -1])
    return draws if phi is None else {**draws, "sera": mean[:, 4] * (n if weight is None else weight.sum())}


def _times_drawn(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Return the number of times that each of n rows is drawn in n draws."""
    # 32 random bits times n, shifted back: twice as fast as integers(0, n), and uniform up to n parts in 2^32.
    bits: NDArray[np.uint64] = rng.bit_generator.random_raw((n + 1) // 2)
    row = np.multiply(bits.view(np.uint32)[:n], np.uint64(n), dtype=np.uint64)
    row >>= np.uint64(32)
    return np.bincount(row.view(np.int64), minlength=n)


def _correlation_terms(
    a: NDArray[np.float64], b: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> list[NDArray[np.float64]]:
    """Return a, b, a², b², ab of standardised values; their means give the correlation."""
    a, b = ((v - np.average(v, weights=weight)) / (v.std() or 1.0) for v in (a, b))
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
