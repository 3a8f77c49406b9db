"""Rows of the shot regions, and their errors without intervals."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import row_weights
from tailwise.labels.gaps import GAP_REGIONS
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.errors import GM_FLOOR, error_sizes, in_units, label_pair, weighted


def region_errors(
    y_true: ArrayLike, y_pred: ArrayLike, shots: Shots, *, sample_weight: ArrayLike | None = None
) -> dict[str, dict[str, float]]:
    """Return ``n``, ``mae``, ``rmse``, ``gm``, ``bmae`` and ``bias`` of all rows and of each shot region.

    Errors are those of :func:`~tailwise.metrics.region_metrics.region_metrics`, without intervals; labels ``(n, K)``
    have no ``bias``. The errors are summed by bin once and a region is a set of bins, which is much faster.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        y_pred: predictions of that shape.
        shots: regions, from training labels.
        sample_weight: ``(n,)`` how much each row counts in the errors; ``n`` is the number of rows all the same.

    Returns:
        ``all`` and the regions that have rows.

    Raises:
        InputError: shapes that differ, values that are not finite.

    Example:
        >>> from tailwise.labels.bins import Bins
        >>> shots = Shots.from_labels([1.0] * 50 + [2.0], Bins.from_edges([0.5, 1.5, 2.5]))
        >>> errors = region_errors([1.0, 1.0, 2.0], [1.0, 2.0, 5.0], shots)
        >>> errors["many"]["mae"], errors["few"]["mae"], errors["all"]["bmae"]
        (0.5, 3.0, 1.75)
    """
    true, pred = label_pair(y_true, y_pred)
    size = error_sizes(*in_units(true, pred, shots.bins))
    weight = row_weights(sample_weight, size.size)
    index, bins = shots.bins.index(true), shots.bins.n_bins
    signed_errors = (pred - true,) if true.ndim == 1 else ()
    contributions = (None, size, size * size, np.log(np.maximum(size, GM_FLOOR)), *signed_errors)
    # Totals by bin: rows or their weight, |e|, |e|², log |e|, e; and the mean |e| of each bin that has rows.
    columns = [weight if values is None else weighted(values, weight) for values in contributions]
    totals = np.stack([np.bincount(index, weights=values, minlength=bins) for values in columns])
    rows = totals[0] if weight is None else np.bincount(index, minlength=bins)
    has_rows = totals[0] > 0
    bin_mae = totals[1] / np.where(has_rows, totals[0], 1)
    regions = [("all", has_rows), *((name, has_rows & (shots.bin_codes == i)) for i, name in enumerate(REGIONS))]
    errors = {}
    for name, region_bins in regions:
        if region_bins.any():
            n, absolute, squared, logs, *signed = totals[:, region_bins].sum(axis=1).tolist()
            errors[name] = {
                "n": float(rows[region_bins].sum()),
                "mae": absolute / n,
                "rmse": math.sqrt(squared / n),
                "gm": math.exp(logs / n),
                "bmae": float(bin_mae[region_bins].mean()),
                **({"bias": signed[0] / n} if signed else {}),
            }
    return errors


def error_as_rows_come(
    y_true: ArrayLike, y_pred: ArrayLike, shots: Shots, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean absolute error of rows that come as :attr:`Shots.population` says.

    The mean error of each bin counts by the bin's share of the rows (post-stratification), or of their weights if they
    have some; bins without rows here are left out. So rows of a balanced split show how a model does on rows as they
    come.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        y_pred: predictions of that shape.
        shots: bins and the training rows in each.
        sample_weight: ``(n,)`` how much each row counts within its bin.

    Raises:
        InputError: shapes that differ, values that are not finite.

    Example:
        >>> from tailwise.labels.bins import Bins
        >>> shots = Shots.from_labels([1.0] * 90 + [2.0] * 10, Bins.from_edges([0.5, 1.5, 2.5]))
        >>> round(error_as_rows_come([1.0, 2.0], [2.0, 5.0], shots), 3)
        1.2
    """
    true, pred = label_pair(y_true, y_pred)
    return mean_as_rows_come(true, error_sizes(*in_units(true, pred, shots.bins)), shots, sample_weight=sample_weight)


def mean_as_rows_come(
    y_true: NDArray[np.float64],
    values: NDArray[np.float64],
    shots: Shots,
    *,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the mean of values of rows whose labels come as :attr:`Shots.population` says.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels, target units.
        values: ``(n,)`` values of the rows, such as the sizes of their errors.
        shots: bins and the training rows in each, see :func:`error_as_rows_come`.
        sample_weight: ``(n,)`` how much each row counts within its bin.
    """
    weight = row_weights(sample_weight, len(y_true))
    index, bins = shots.bins.index(y_true), shots.bins.n_bins
    rows = np.bincount(index, weights=weight, minlength=bins)
    totals = np.bincount(index, weights=weighted(values, weight), minlength=bins)
    share = np.where(rows > 0, shots.population, 0)
    if not share.any():
        return float(totals.sum() / rows.sum())
    return float((share * totals / np.where(rows > 0, rows, 1)).sum() / share.sum())


def validation_errors(
    y_true: ArrayLike, y_pred: ArrayLike, shots: Shots, *, sample_weight: ArrayLike | None = None
) -> dict[str, float]:
    """Return ``mae``, ``rmse``, ``bmae`` and ``both`` over all rows and the MAE of each region that has rows.

    ``both`` is the geometric mean of ``bmae`` and of the error as rows come. Rows count by weights ``(n,)``, if given.
    """
    errors = region_errors(y_true, y_pred, shots, sample_weight=sample_weight)
    over_all = {name: errors["all"][name] for name in ("mae", "rmse", "bmae")}
    come = error_as_rows_come(y_true, y_pred, shots, sample_weight=sample_weight)
    over_all["both"] = math.sqrt(over_all["bmae"] * come)
    return over_all | {name: errors[name]["mae"] for name in REGIONS if name in errors}


ZERO_ROWS = ("exactly 0", "other than 0")
LEAST_ZEROS = 0.2


def zero_rows(y_true: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """Return ``(n,)`` masks of the rows whose label is 0 and of the others, where at least a fifth are 0.

    Empty where fewer labels are 0, or all of them, and for labels ``(n, K)``.
    """
    zero = np.asarray(y_true) == 0
    if zero.ndim > 1 or not zero.size or not LEAST_ZEROS <= zero.mean() < 1:
        return {}
    return dict(zip(ZERO_ROWS, (zero, ~zero), strict=True))


def region_rows(y_true: ArrayLike, shots: Shots) -> dict[str, NDArray[np.bool_]]:
    """Return ``(n,)`` masks of the rows of ``all``, ``many``, ``medium``, ``few`` and ``zero``.

    If ranges were removed from training, also of ``seen``, ``interpolation`` and ``extrapolation``.
    """
    codes = shots.codes(y_true)
    rows = {"all": np.ones(codes.size, dtype=bool)} | {name: codes == i for i, name in enumerate(REGIONS)}
    if shots.gaps is not None:
        kinds = shots.gaps.codes(y_true)
        rows |= {name: kinds == i for i, name in enumerate(GAP_REGIONS)}
    return rows
