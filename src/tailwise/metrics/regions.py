"""Metrics of every shot region, each with a bootstrap interval."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from tailwise._checks import InputError
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.gaps import GAP_REGIONS
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.errors import (
    GM_FLOOR,
    balanced_mean_absolute_error,
    error_sizes,
    geometric_mean_error,
    label_pair,
    mean_absolute_error,
    mean_error,
    pearson,
    root_mean_squared_error,
    sera,
    spearman,
)

METRICS = {
    "mae": ("MAE", "mean absolute error"),
    "rmse": ("RMSE", "root mean squared error"),
    "gm": ("GM", "geometric mean of the absolute errors"),
    "bmae": ("bMAE", "mean over bins of each bin's MAE: every value of the target counts the same"),
    "bias": ("bias", "mean of predicted minus true: below 0 is too low"),
    "pearson": ("Pearson", "linear correlation"),
    "spearman": ("Spearman", "rank correlation"),
    "sera": ("SERA", "sum of squared errors, each weighted by how extreme its true value is (absent where none is)"),
}

DISTANCE_METRICS = {
    "mae": ("distance", "mean Euclidean distance between prediction and true value"),
    "rmse": ("RMSE", "root mean squared distance"),
    "gm": ("GM", "geometric mean of the distances"),
    "bmae": ("balanced", "mean over cells of each cell's mean distance: every cell counts the same"),
    "pearson": ("Pearson", "linear correlation, mean over the targets"),
    "spearman": ("Spearman", "rank correlation, mean over the targets"),
}

_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % bootstrap interval; the ends are missing where fewer than two rows exist."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """Plain values."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class RegionMetrics:
    """Number of rows of a region and its metrics by name; a metric that cannot be computed is absent."""

    n: int
    metrics: dict[str, Interval]

    def to_json(self) -> dict[str, object]:
        """Plain values: ``n`` and each metric with its interval."""
        return {"n": self.n, **{name: interval.to_json() for name, interval in self.metrics.items()}}


def region_metrics(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    shots: Shots,
    *,
    relevance: Relevance | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, RegionMetrics]:
    """Metrics over all rows and over the many-, medium-, few- and zero-shot rows.

    ``mae``, ``rmse``, ``gm`` (geometric mean of |e|), ``bmae`` (mean over bins of each bin's MAE) and ``bias`` (mean of
    ŷ - y) in the target's units, ``pearson``, ``spearman``, and ``sera`` (target units squared, a sum). Intervals are
    percentiles over resampled rows of the region; a resample's Spearman correlation keeps the ranks of the whole.

    Of labels ``(n, K)`` the size |e| of an error is the distance between prediction and label, bins are cells of the
    grid, the correlations are means over the K dimensions, and there are no ``bias`` and ``sera``; of each dimension by
    itself see :func:`dimension_metrics`.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        y_pred: predictions of that shape.
        shots: regions, from training labels.
        relevance: φ from training labels; without it SERA is absent.
        resamples: number of bootstrap resamples; 0 for none.
        seed: of the resampling.

    Returns:
        ``all``, ``many``, ``medium``, ``few``, ``zero``, and where ranges were removed from training ``seen``,
        ``interpolation``, ``extrapolation``; a region without rows has n = 0 and no metrics.

    Raises:
        InputError: shapes that differ, values that are not finite, fewer than 0 resamples.
    """
    true, pred = label_pair(y_true, y_pred)
    if resamples < 0:
        raise InputError(f"resamples must be at least 0, got {resamples!r}")
    return {
        name: _one_region(true[here], pred[here], shots.bins, relevance, resamples, seed)
        for name, here in region_rows(true, shots).items()
    }


def dimension_metrics(
    y_true: ArrayLike, y_pred: ArrayLike, shots: Shots, *, resamples: int = 1000, seed: int = 0
) -> list[dict[str, RegionMetrics]]:
    """Of labels ``(n, K)`` for each dimension by itself what :func:`region_metrics` gives, in the grid's regions.

    ``bmae`` is over the bins of the dimension.

    Raises:
        InputError: labels without a grid of bins, and what :func:`region_metrics` raises.
    """
    true, pred = label_pair(y_true, y_pred)
    if not isinstance(shots.bins, BinGrid):
        raise InputError(f"labels of several dimensions need a grid of bins, got {shots.bins!r}")
    rows = region_rows(true, shots)
    return [
        {name: _one_region(true[here, j], pred[here, j], bins, None, resamples, seed) for name, here in rows.items()}
        for j, bins in enumerate(shots.bins.axes)
    ]


def region_errors(y_true: ArrayLike, y_pred: ArrayLike, shots: Shots) -> dict[str, dict[str, float]]:
    """``n``, ``mae``, ``rmse``, ``gm``, ``bmae`` and ``bias`` of all rows and of each shot region, without intervals.

    Of labels ``(n, K)`` the same as :func:`region_metrics` has of them, so without ``bias``.

    The errors are summed by bin once, and regions are bins put together: much faster than :func:`region_metrics`.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        y_pred: predictions of that shape.
        shots: regions, from training labels.

    Returns:
        ``all`` and the regions that have rows.

    Raises:
        InputError: shapes that differ, values that are not finite.

    Example:
        >>> shots = Shots.from_labels([1.0] * 50 + [2.0], Bins.from_edges([0.5, 1.5, 2.5]))
        >>> errors = region_errors([1.0, 1.0, 2.0], [1.0, 2.0, 5.0], shots)
        >>> errors["many"]["mae"], errors["few"]["mae"], errors["all"]["bmae"]
        (0.5, 3.0, 1.75)
    """
    true, pred = label_pair(y_true, y_pred)
    size = error_sizes(true, pred)
    index, bins = shots.bins.index(true), shots.bins.n_bins
    signed_errors = (pred - true,) if true.ndim == 1 else ()
    contributions = (None, size, size * size, np.log(np.maximum(size, GM_FLOOR)), *signed_errors)
    # Totals by bin: rows, |e|, |e|², log |e|, e; and the mean |e| of each bin that has rows.
    totals = np.stack([np.bincount(index, weights=values, minlength=bins) for values in contributions])
    seen = totals[0] > 0
    bin_mae = totals[1] / np.maximum(totals[0], 1)
    found = {}
    for name, here in (("all", seen), *((name, seen & (shots.bin_codes == i)) for i, name in enumerate(REGIONS))):
        if here.any():
            n, absolute, squared, logs, *signed = totals[:, here].sum(axis=1).tolist()
            found[name] = {
                "n": n,
                "mae": absolute / n,
                "rmse": math.sqrt(squared / n),
                "gm": math.exp(logs / n),
                "bmae": float(bin_mae[here].mean()),
                **({"bias": signed[0] / n} if signed else {}),
            }
    return found


def validation_errors(y_true: ArrayLike, y_pred: ArrayLike, shots: Shots) -> dict[str, float]:
    """``mae``, ``rmse``, ``bmae`` over all rows and the MAE of each region that has rows."""
    errors = region_errors(y_true, y_pred, shots)
    over_all = {name: errors["all"][name] for name in ("mae", "rmse", "bmae")}
    return over_all | {name: errors[name]["mae"] for name in REGIONS if name in errors}


def region_rows(y_true: ArrayLike, shots: Shots) -> dict[str, NDArray[np.bool_]]:
    """``(n,)`` masks of the rows of ``all``, ``many``, ``medium``, ``few`` and ``zero``.

    Where ranges were removed from training also ``seen``, ``interpolation`` and ``extrapolation``.
    """
    codes = shots.codes(y_true)
    rows = {"all": np.ones(codes.size, dtype=bool)} | {name: codes == i for i, name in enumerate(REGIONS)}
    if shots.gaps is not None:
        kinds = shots.gaps.codes(y_true)
        rows |= {name: kinds == i for i, name in enumerate(GAP_REGIONS)}
    return rows


def mae_change(
    y_true: ArrayLike, y_pred: ArrayLike, y_other: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> Interval:
    """MAE of one prediction minus that of another on the same rows, target units, with a paired bootstrap interval.

    Raises:
        InputError: shapes that differ, values that are not finite.
    """
    gain = error_sizes(y_true, y_pred) - error_sizes(y_true, y_other)
    if gain.size < 2:
        return Interval(float(gain.mean()))
    rng = np.random.default_rng(seed)
    drawn = [gain[rng.integers(0, gain.size, gain.size)].mean() for _ in range(resamples)]
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Interval(float(gain.mean()), low, high)


def _one_region(
    true: NDArray[np.float64],
    pred: NDArray[np.float64],
    bins: Bins | BinGrid,
    relevance: Relevance | None,
    resamples: int,
    seed: int,
) -> RegionMetrics:
    if len(true) == 0:
        return RegionMetrics(0, {})
    phi = None if relevance is None else relevance(true)
    values: dict[str, float | None] = {
        "mae": mean_absolute_error(true, pred),
        "rmse": root_mean_squared_error(true, pred),
        "gm": geometric_mean_error(true, pred),
        "bmae": balanced_mean_absolute_error(true, pred, bins),
        "bias": mean_error(true, pred) if true.ndim == 1 else None,
        "pearson": _mean_of(pearson, true, pred),
        "spearman": _mean_of(spearman, true, pred),
        "sera": None if phi is None else sera(true, pred, phi),
    }
    drawn = _bootstrap(true, pred, bins, phi, resamples, seed) if len(true) > 1 and resamples else {}
    metrics = {}
    for name, value in values.items():
        if value is None:
            continue
        finite = drawn[name][np.isfinite(drawn[name])] if name in drawn else np.empty(0)
        low, high = np.quantile(finite, [0.025, 0.975]).tolist() if finite.size else (None, None)
        metrics[name] = Interval(value, low, high)
    return RegionMetrics(len(true), metrics)


def _dimensions(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of each dimension, ``(K, n)``, K = 1 for scalar ones."""
    return np.atleast_2d(y.T)


def _mean_of(
    correlation: Callable[[ArrayLike, ArrayLike], float | None], true: NDArray[np.float64], pred: NDArray[np.float64]
) -> float | None:
    """Mean over the dimensions; none where one has none."""
    found = [correlation(*pair) for pair in zip(_dimensions(true), _dimensions(pred), strict=True)]
    there = [value for value in found if value is not None]
    return float(np.mean(there)) if len(there) == len(found) else None


def _bootstrap(
    true: NDArray[np.float64],
    pred: NDArray[np.float64],
    bins: Bins | BinGrid,
    phi: NDArray[np.float64] | None,
    resamples: int,
    seed: int,
) -> dict[str, NDArray[np.float64]]:
    """Every metric of every resample: how often each row was drawn, times sums a row contributes."""
    n = len(true)
    index = bins.index(true)
    order = np.argsort(index, kind="stable")  # the rows of a bin stand together
    true, pred, phi = true[order], pred[order], None if phi is None else phi[order]
    first_of_bin = np.flatnonzero(np.diff(index[order], prepend=-1))
    size = error_sizes(true, pred)
    pairs = list(zip(_dimensions(true), _dimensions(pred), strict=True))
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
        # A bin that no draw hit keeps its own mean; leaving it out would favour the crowded bins.
        bmae = np.where(count > 0, in_bin / np.maximum(count, 1), bin_mean).mean(axis=1)
        parts.append(np.column_stack([times @ moments / n, bmae]))
    mean = np.concatenate(parts)
    terms = 5 * len(pairs)
    drawn = {
        "mae": mean[:, 0],
        "rmse": np.sqrt(mean[:, 1]),
        "gm": np.exp(mean[:, 2]),
        "bmae": mean[:, -1],
        "bias": mean[:, 3],
        "pearson": _mean_correlation(mean[:, 5 : 5 + terms]),
        "spearman": _mean_correlation(mean[:, 5 + terms : 5 + 2 * terms]),
    }
    return drawn if phi is None else {**drawn, "sera": n * mean[:, 4]}


def _times_drawn(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """How often each of n rows is drawn in n draws."""
    # 32 random bits times n, shifted back: twice as fast as integers(0, n), and as even to n parts in 2^32.
    bits = rng.integers(0, 2**64, size=(n + 1) // 2, dtype=np.uint64).view(np.uint32)[:n]
    row = bits.astype(np.uint64) * np.uint64(n) >> np.uint64(32)
    return np.bincount(row.view(np.int64), minlength=n)


def _correlation_terms(a: NDArray[np.float64], b: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """a, b, a², b², ab of standardised values, from whose means a correlation follows."""
    a, b = ((v - v.mean()) / (v.std() or 1.0) for v in (a, b))
    return [a, b, a * a, b * b, a * b]


def _mean_correlation(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the dimensions of the correlation that follows from five terms of each."""
    each = [_correlation(means[:, i : i + 5]) for i in range(0, means.shape[1], 5)]
    return np.asarray(np.mean(each, axis=0), dtype=np.float64)


def _correlation(means: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b, aa, bb, ab = means.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip((ab - a * b) / np.sqrt((aa - a * a) * (bb - b * b)), -1.0, 1.0), dtype=np.float64)
