"""Metrics of every shot region, each with a bootstrap interval."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, row_weights
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import (
    balanced_mean_absolute_error,
    geometric_mean_error,
    in_units,
    label_pair,
    mean_absolute_error,
    mean_error,
    pearson,
    root_mean_squared_error,
    sera,
    spearman,
)
from tailwise.metrics.region_bootstrap import bootstrap_metrics, dimensions
from tailwise.metrics.region_errors import region_rows, zero_rows
from tailwise.metrics.relative import mean_percent_error, percent_of_mean, r_squared

METRICS = {
    "mae": ("MAE", "mean absolute error"),
    "mae_percent": ("MAE %", "MAE in percent of the mean true value of the region (absent where one is below 0)"),
    "rmse": ("RMSE", "root mean squared error"),
    "gm": ("GM", "geometric mean of the absolute errors"),
    "bmae": ("bMAE", "mean over bins of each bin's MAE: every value of the target counts the same"),
    "bias": ("bias", "mean of predicted minus true: below 0 is too low"),
    "r2": (
        "R²",
        "1 minus squared errors over squared deviations from the mean true value of the region: below 0 is worse than "
        "predicting that mean, and regions of similar values have a low one",
    ),
    "mape": ("MAPE %", "mean of error over true value, in percent (absent unless all true values are above 0)"),
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


@dataclass(frozen=True)
class RegionMetrics:
    """Number of rows and metrics of a region; a metric that cannot be computed is absent."""

    n: int
    metrics: dict[str, Interval]

    def to_json(self) -> dict[str, object]:
        """Return plain values: ``n`` and each metric with its interval."""
        return {"n": self.n, **{name: interval.to_json() for name, interval in self.metrics.items()}}


def region_metrics(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    shots: Shots,
    *,
    relevance: Relevance | None = None,
    resamples: int = 1000,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
) -> dict[str, RegionMetrics]:
    """Compute metrics over all rows and over the many-, medium-, few- and zero-shot rows.

    ``mae``, ``rmse``, ``gm`` (geometric mean of |e|), ``bmae`` (mean over bins of each bin's MAE) and ``bias`` (mean of
    ŷ - y) in the target's units, ``mae_percent`` (of the mean label) and ``mape`` in percent, ``r2``, ``pearson``,
    ``spearman``, and ``sera`` (target units squared, a sum); see :mod:`tailwise.metrics.relative`. Intervals are
    percentiles over resampled rows of the region; the Spearman correlation of a resample keeps the ranks among all
    rows of the region.

    For labels ``(n, K)`` the size |e| of an error is the distance between prediction and label, bins are cells of the
    grid, correlations are means over the K dimensions, and ``bias``, ``sera`` and relative errors are absent;
    :func:`dimension_metrics` gives the metrics of each dimension.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        y_pred: predictions of the same shape.
        shots: regions, from training labels.
        relevance: φ from training labels; without it SERA is absent.
        resamples: number of bootstrap resamples; 0 for none.
        seed: random seed of the resampling.
        sample_weight: ``(n,)`` how much each row counts in every metric; rows are resampled alike. Regions follow the
            number of training rows and ``n`` is a number of rows all the same.

    Returns:
        ``all``, ``many``, ``medium``, ``few``, ``zero``, and if ranges were removed from training ``seen``,
        ``interpolation``, ``extrapolation``; where at least a fifth of the labels are 0 also ``exactly 0`` and
        ``other than 0``, which are values and not regions of rare ones; a region without rows has n = 0 and no metrics.

    Raises:
        InputError: shapes that differ, values that are not finite, fewer than 0 resamples.
    """
    true, pred = label_pair(y_true, y_pred)
    if resamples < 0:
        raise InputError(f"resamples must be at least 0, got {resamples!r}")
    weight = row_weights(sample_weight, len(true))
    return {
        name: _one_region(true[rows], pred[rows], shots.bins, relevance, resamples, seed, _of(weight, rows))
        for name, rows in (region_rows(true, shots) | zero_rows(true)).items()
    }


def dimension_metrics(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    shots: Shots,
    *,
    resamples: int = 1000,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
) -> list[dict[str, RegionMetrics]]:
    """Compute the metrics of :func:`region_metrics` for each dimension of labels ``(n, K)``, in the grid's regions.

    ``bmae`` is over the bins of the dimension.

    Raises:
        InputError: labels without a grid of bins, and as :func:`region_metrics`.
    """
    true, pred = label_pair(y_true, y_pred)
    if not isinstance(shots.bins, BinGrid | OutputBins):
        raise InputError(f"labels of several dimensions need a grid of bins, got {shots.bins!r}")
    regions, weight = region_rows(true, shots), row_weights(sample_weight, len(true))
    return [
        {
            name: _one_region(true[rows, j], pred[rows, j], bins, None, resamples, seed, _of(weight, rows))
            for name, rows in regions.items()
        }
        for j, bins in enumerate(shots.bins.axes)
    ]


def _one_region(
    true: NDArray[np.float64],
    pred: NDArray[np.float64],
    bins: Bins | BinGrid | OutputBins,
    relevance: Relevance | None,
    resamples: int,
    seed: int,
    weight: NDArray[np.float64] | None,
) -> RegionMetrics:
    """Compute all metrics of the rows of one region."""
    if len(true) == 0 or (weight is not None and not weight.any()):
        return RegionMetrics(len(true), {})
    sized = in_units(true, pred, bins)
    phi = None if relevance is None else relevance(true)
    values: dict[str, float | None] = {
        "mae": mean_absolute_error(*sized, sample_weight=weight),
        "rmse": root_mean_squared_error(*sized, sample_weight=weight),
        "gm": geometric_mean_error(*sized, sample_weight=weight),
        "bmae": balanced_mean_absolute_error(true, pred, bins, sample_weight=weight),
        "bias": mean_error(true, pred, sample_weight=weight) if true.ndim == 1 else None,
        "r2": r_squared(true, pred, sample_weight=weight) if true.ndim == 1 else None,
        "mae_percent": percent_of_mean(true, pred, sample_weight=weight) if true.ndim == 1 else None,
        "mape": mean_percent_error(true, pred, sample_weight=weight) if true.ndim == 1 else None,
        "pearson": _mean_of(partial(pearson, sample_weight=weight), true, pred),
        "spearman": _mean_of(partial(spearman, sample_weight=weight), true, pred),
        "sera": None if phi is None else sera(true, pred, phi, sample_weight=weight),
    }
    wanted = len(true) > 1 and resamples
    draws = bootstrap_metrics(true, pred, bins, phi, resamples, seed, weight) if wanted else {}
    metrics = {name: Interval.of_draws(value, draws.get(name)) for name, value in values.items() if value is not None}
    return RegionMetrics(len(true), metrics)


def _of(weight: NDArray[np.float64] | None, rows: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    return None if weight is None else weight[rows]


def _mean_of(
    correlation: Callable[[ArrayLike, ArrayLike], float | None], true: NDArray[np.float64], pred: NDArray[np.float64]
) -> float | None:
    """Mean correlation over the dimensions; ``None`` if the correlation of a dimension is undefined."""
    correlations = [correlation(*pair) for pair in zip(dimensions(true), dimensions(pred), strict=True)]
    defined = [value for value in correlations if value is not None]
    return float(np.mean(defined)) if len(defined) == len(correlations) else None
