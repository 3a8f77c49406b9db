"""Prediction intervals calibrated on held-out rows, separately for each shot region of the predictions."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, positive, row_weights, same_shape, whole
from tailwise.labels.shots import REGIONS, Shots

_MOST_KEPT = 5_000
_ROUNDING = 1e-9  # per cent: 50 * (1 - 0.9) is below 5, and one row in 20 would be none


@dataclass(frozen=True, eq=False)
class RegionIntervals:
    """Conformal intervals of finished predictions, calibrated for each region of the *predicted* value.

    Errors are larger and biased in regions where training labels are rare. Therefore the signed residuals y - ŷ of
    calibration rows are kept by region (many, medium, few, zero) of ŷ, and an interval leaves out (1 - c) / 2 in each
    tail of the residuals of its region: with n residuals and k = ⌊(n + 1)(1 - c) / 2⌋ it extends from ŷ plus the k-th
    smallest to ŷ plus the k-th largest residual. If calibration rows and new rows come from the same distribution, it
    covers at least a fraction c of the new rows in each category, and at most c + 2 / (n + 1) if all residuals differ.
    This holds for rows grouped by *predicted* value: rows with a rare *true* value and a common prediction may be
    covered less.

    Mondrian conformal predictive systems: Boström, Johansson and Löfström, *Mondrian conformal predictive
    distributions* (COPA 2021), computed by ``crepes``.

    Note:
        Rows that also trained the model, selected its epoch or fitted a correction of its predictions may have smaller
        residuals than new rows, and the intervals are then too narrow. Rows of a balanced split have more rare labels
        than new rows as they come; the coverage is then not exact, and intervals of common predictions tend to be too
        wide.

    Note:
        At most 5,000 residuals per category are kept, evenly spaced order statistics with both ends, rounded outwards.
        The lower bound of the coverage still holds; the coverage rises by no more than 0.001, and confidences above
        1 - 2 / 5001 have infinite ends for any number of rows.

    Args:
        shots: regions, from training labels.
        categories: index of the residuals of each region, in the order of ``REGIONS``.
        residuals: y - ŷ of the calibration rows of each category, target units.

    Raises:
        InputError: residuals that are missing or not finite.

    Example:
        >>> from tailwise.labels.bins import Bins
        >>> shots = Shots(Bins.from_edges([0, 10, 20]), np.array([500, 5]), many=100, few=20)
        >>> y_pred = np.repeat([5.0, 15.0], 19)
        >>> y_true = y_pred + np.concatenate([np.linspace(-0.9, 0.9, 19), np.linspace(0, 36, 19)])
        >>> fitted = RegionIntervals.fit(y_true, y_pred, shots, least=19)
        >>> fitted.intervals([2.0, 12.0], 0.9).round(3).tolist()
        [[1.1, 2.9], [12.0, 48.0]]
    """

    shots: Shots
    categories: tuple[int, ...]
    residuals: tuple[NDArray[np.float64], ...]

    def __post_init__(self) -> None:
        if len(self.categories) != len(REGIONS) or not set(self.categories) <= set(range(len(self.residuals))):
            raise InputError(
                f"categories must name one of {len(self.residuals)} lists of residuals for each of "
                f"{', '.join(REGIONS)}, got {self.categories!r}"
            )
        object.__setattr__(self, "residuals", tuple(np.sort(label_array(r, "residuals")) for r in self.residuals))

    @classmethod
    def fit(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        shots: Shots,
        *,
        least: int = 30,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Calibrate on rows that the model was not trained on.

        A region with fewer than ``least`` predictions is merged with the next more common region (zero with few, few
        with medium, medium with many; many with the next region that has enough). With fewer rows than ``least`` there
        is one category.

        Args:
            y_true: ``(n,)`` labels of calibration rows, target units.
            y_pred: ``(n,)`` predictions for these rows.
            shots: regions, from training labels.
            least: smallest number of rows in a category. The coverage holds for any; finite intervals need 19 rows for
                90 %, 39 for 95 %.
            sample_weight: ``(n,)`` above 0, how often a row would come. The residuals kept of a category are then
                weighted quantiles, as many as its effective number of rows, and the coverage is approximate.

        Raises:
            InputError: shapes that differ, values that are not finite, no rows, ``least`` below 1.
        """
        true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
        same_shape(pred, true)
        codes, weight = shots.codes(pred), row_weights(sample_weight, true.size)
        least = whole(least, "least", least=1)
        squares = None if weight is None else np.bincount(codes, weight**2, len(REGIONS))
        categories = merged_regions(np.bincount(codes, weight, len(REGIONS)), least, squares)
        category, residuals = np.asarray(categories)[codes], true - pred
        rows = [category == i for i in range(max(categories) + 1)]
        kept = (_thinned(residuals[of], None if weight is None else weight[of]) for of in rows)
        return cls(shots, categories, tuple(kept))

    def intervals(self, y_pred: ArrayLike, confidence: float = 0.9) -> NDArray[np.float64]:
        """Return the ``(n, 2)`` ends of each interval, target units; infinite, with a warning, for too few rows.

        Args:
            y_pred: ``(n,)`` predictions of the calibrated model.
            confidence: fraction of new rows to cover, in (0, 1).

        Raises:
            InputError: predictions that are not ``(n,)`` or not finite, a confidence outside (0, 1).
        """
        pred, nominal = label_array(y_pred, "y_pred"), positive(confidence, "confidence")
        if nominal >= 1:
            raise InputError(f"confidence must be a fraction below 1, such as 0.9, got {confidence!r}")
        tail = 50 * (1 - nominal) + _ROUNDING
        category = np.asarray(self.categories)[self.shots.codes(pred)]
        ends = self._ends(tail)
        present = np.unique(category)
        infinite = present[np.isinf(ends[present, 0])].tolist()
        if infinite:
            self._warn_of(infinite, nominal, tail)
        return np.asarray(pred[:, None] + ends[category], dtype=np.float64)

    @property
    def rows(self) -> dict[str, int]:
        """Number of residuals behind the intervals of each region."""
        return {name: self.residuals[i].size for name, i in zip(REGIONS, self.categories, strict=True)}

    @property
    def shared(self) -> list[str]:
        """Regions that are calibrated together, in words: ``"Medium, few and zero"``."""
        groups = []
        for i in range(len(self.residuals)):
            names = [region for region, category in zip(REGIONS, self.categories, strict=True) if category == i]
            if len(names) > 1:
                groups.append(f"{', '.join(names[:-1])} and {names[-1]}".capitalize())
        return groups

    def _ends(self, tail: float) -> NDArray[np.float64]:
        """Return the ``(k, 2)`` offsets of the ends by category; ``tail`` per cent are left out on either side."""
        sizes = [r.size for r in self.residuals]
        numbers = np.arange(len(sizes))
        with warnings.catch_warnings():
            from crepes import ConformalPredictiveSystem  # its import enables every UserWarning of the process

            warnings.simplefilter("ignore", UserWarning)
            system = ConformalPredictiveSystem().fit(np.concatenate(self.residuals), bins=np.repeat(numbers, sizes))
            # One prediction of 0 per category, because crepes adds every residual to every prediction.
            ends = system.predict(
                np.zeros(len(sizes)), bins=numbers, lower_percentiles=tail, higher_percentiles=100 - tail
            )
        return np.asarray(ends, dtype=np.float64)

    def _warn_of(self, infinite: list[int], confidence: float, tail: float) -> None:
        """Warn about categories with too few rows."""
        sizes = {i: self.residuals[i].size for i in infinite}
        needed = math.ceil(100 / tail) - 1
        warn_of_infinite(self.categories, sizes, confidence, needed, enough=needed <= _MOST_KEPT)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {
            "shots": self.shots.to_json(),
            "categories": list(self.categories),
            "residuals": [r.tolist() for r in self.residuals],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build intervals from the values of :meth:`to_json`."""
        residuals = tuple(np.asarray(r, dtype=np.float64) for r in saved["residuals"])
        return cls(Shots.from_json(saved["shots"]), tuple(saved["categories"]), residuals)


def warn_of_infinite(
    categories: Sequence[int], sizes: Mapping[int, int], confidence: float, needed: int, *, enough: bool
) -> None:
    """Warn, at the caller's caller of the public method, about categories with too few rows for finite intervals.

    Args:
        categories: category of each region.
        sizes: calibration rows of the categories with infinite intervals.
        confidence: of the intervals.
        needed: rows that finite intervals need.
        enough: whether more calibration rows would help.
    """
    regions = {i: " and ".join(r for r, c in zip(REGIONS, categories, strict=True) if c == i) for i in sizes}
    which = ", ".join(f"{regions[i]} ({n:,} calibration rows)" for i, n in sizes.items())
    more = "calibrate on more rows, or " if enough else ""
    warnings.warn(
        f"intervals of confidence {confidence:g} are infinite for predictions in {which}: at least {needed:,} rows "
        f"are needed; {more}ask for a lower confidence",
        stacklevel=4,
    )


def merged_regions(counts: NDArray[Any], least: int, squares: NDArray[Any] | None = None) -> tuple[int, ...]:
    """Return the category of each region, merged until each has at least ``least`` rows or one is left.

    Args:
        counts: rows of each region, or the sum of their weights.
        least: smallest number of rows of a category.
        squares: sum of the squared weights of each region, of weighted rows; their number is then the effective one.

    >>> merged_regions(np.array([500, 40, 20, 3]), 30)
    (0, 1, 1, 1)
    """
    second = counts if squares is None else squares

    def size(group: list[int]) -> float:
        total = float(counts[group].sum())
        return total**2 / float(second[group].sum()) if total else 0.0

    groups = [[region] for region in range(counts.size)]
    for i in range(len(groups) - 1, 0, -1):
        if size(groups[i]) < least:
            groups[i - 1] += groups.pop(i)
    if len(groups) > 1 and size(groups[0]) < least:
        groups[0] += groups.pop(1)
    return tuple(i for i, group in enumerate(groups) for _ in group)


def _thinned(residuals: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Sort residuals; if there are too many, keep evenly spaced ones, each rounded to the nearer end.

    Of weighted rows m residuals are kept, their effective number: the k-th has a weight of at least k / m on the side
    of the nearer end.
    """
    if weight is not None:
        m = min(max(int(weight.sum() ** 2 / (weight**2).sum() + _ROUNDING), 1), _MOST_KEPT)
        upper, lower = _weighted_steps(residuals, weight, m), -_weighted_steps(-residuals, weight, m)[::-1]
        return np.where(np.arange(m) < (m - 1) / 2, lower, upper)
    ordered = np.sort(residuals)
    if ordered.size <= _MOST_KEPT:
        return ordered
    place = np.linspace(0, ordered.size - 1, _MOST_KEPT)
    outward = np.where(place < (ordered.size - 1) / 2, np.floor(place), np.ceil(place))
    return ordered[outward.astype(np.int64)]


def _weighted_steps(values: NDArray[np.float64], weight: NDArray[np.float64], m: int) -> NDArray[np.float64]:
    """Return, for k = 1 to m, the lowest value with a cumulative weight of at least k / m."""
    order = np.argsort(values, kind="stable")
    cumulative = weight[order].cumsum()
    goals = np.arange(1, m + 1) / m * (1 - _ROUNDING)
    return np.asarray(values[order][np.searchsorted(cumulative / cumulative[-1], goals)], dtype=np.float64)
