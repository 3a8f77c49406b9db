"""Conformal intervals from predictive distributions, calibrated by the shot region of the prediction."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, positive, same_shape, whole
from tailwise.calibration.intervals import merged_regions, warn_of_infinite
from tailwise.distributions.predictive import Predictive
from tailwise.labels.shots import REGIONS, Shots

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)

_MOST_KEPT = 999
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class DistributionIntervals:
    """Central intervals of predictive distributions, widened or narrowed to cover what they state in each region.

    Conformalized quantile regression: Romano, Patterson and Candès (NeurIPS 2019), for each region (many, medium, few,
    zero) of the *predicted* value, merged as in :class:`tailwise.calibration.intervals.RegionIntervals`. The interval
    [q_lo, q_hi] of a distribution is moved outwards on both sides by the ⌈(n + 1) c⌉-th smallest of the scores
    max(q_lo - y, y - q_hi) of the n calibration rows of its region. If calibration rows and new rows come from the same
    distribution, it covers at least a fraction c of the new rows in each category, and at most c + 1 / (n + 1) if all
    scores differ. Unlike those of ``RegionIntervals`` the intervals are as wide as each row's distribution, and only
    the coverage of both tails together is calibrated.

    For any confidence c the interval that is moved is the central one of the level nearest to c in ``LEVELS``; scores
    are kept for these levels. The coverage holds for any level, so nothing is interpolated. Where the nearest level
    changes, the ends of one row's interval may jump.

    Note:
        At most 999 scores for each level and category are kept, evenly spaced order statistics rounded up. The lower
        bound of the coverage still holds; the coverage rises by no more than 0.001, and confidences above 0.999 have
        infinite ends for any number of rows.

    Args:
        shots: regions, from training labels.
        categories: index of the scores of each region, in the order of ``REGIONS``.
        scores: ``(levels, k)`` scores of each category, one row a level of ``LEVELS``, target units.

    Raises:
        InputError: scores that are missing, not finite or not one row a level.

    Example:
        >>> from tailwise.distributions import Mixture
        >>> from tailwise.labels.bins import Bins
        >>> rng = np.random.default_rng(0)
        >>> scale = rng.uniform(1, 5, 2000)
        >>> y = rng.normal(0, 2 * scale)  # the distributions below are half as wide
        >>> rows = Mixture(np.ones((2000, 1)), np.zeros((2000, 1)), scale[:, None])
        >>> fitted = DistributionIntervals.fit(y, rows, np.zeros(2000), Shots.from_labels(y, Bins.count(y, 5)))
        >>> low, high = fitted.intervals(rows, np.zeros(2000), 0.8).T
        >>> round(float(((low <= y) & (y <= high)).mean()), 2)
        0.8
    """

    shots: Shots
    categories: tuple[int, ...]
    scores: tuple[NDArray[np.float64], ...]

    def __post_init__(self) -> None:
        if len(self.categories) != len(REGIONS) or not set(self.categories) <= set(range(len(self.scores))):
            raise InputError(
                f"categories must name one of {len(self.scores)} arrays of scores for each of {', '.join(REGIONS)}, "
                f"got {self.categories!r}"
            )
        arrays = tuple(np.asarray(scores, dtype=np.float64) for scores in self.scores)
        for scores in arrays:
            if scores.ndim != 2 or len(scores) != len(LEVELS) or not scores.size or not np.isfinite(scores).all():
                raise InputError(f"scores must be finite, ({len(LEVELS)}, k) with k > 0, got shape {scores.shape}")
        object.__setattr__(self, "scores", tuple(np.sort(scores, axis=1) for scores in arrays))

    @classmethod
    def fit(
        cls,
        y_val: ArrayLike,
        predictive: Predictive,
        pred: ArrayLike,
        shots: Shots,
        *,
        sample_weight: ArrayLike | None = None,
        least: int = 30,
    ) -> Self:
        """Calibrate on rows that neither the model nor its distributions were fitted to.

        Args:
            y_val: ``(n,)`` labels of calibration rows, target units.
            predictive: their distributions.
            pred: ``(n,)`` their predictions, which name the region of a row.
            shots: regions, from training labels.
            sample_weight: ``(n,)`` above 0, where the rows are not drawn as new rows come: how often a row would come.
                Conformal quantiles are then weighted, and the coverage is approximate: in Podkopaev and Ramdas,
                *Distribution-free uncertainty quantification for classification under label shift* (UAI 2021), the
                new row has a weight that depends on its label, here the mean weight of the effective rows.
            least: smallest number of rows in a category, the effective number of weighted ones, see
                :meth:`tailwise.calibration.intervals.RegionIntervals.fit`. Finite intervals need 9 rows for 90 %, 19
                for 95 %.

        Raises:
            InputError: numbers of rows that differ, values that are not finite, no rows, ``least`` below 1.
        """
        true, predicted = label_array(y_val, "y_val"), label_array(pred, "pred")
        same_shape(predicted, true)
        _check_rows(predictive, predicted)
        weight = None if sample_weight is None else _weights(sample_weight, true)
        codes, counted = shots.codes(predicted), np.ones(true.size) if weight is None else weight
        sums, squares = (np.bincount(codes, counted**power, len(REGIONS)) for power in (1, 2))
        categories = merged_regions(sums, whole(least, "least", least=1), squares)
        category = np.asarray(categories)[codes]
        ends = predictive.quantile([(1 + sign * level) / 2 for sign in (-1, 1) for level in LEVELS])
        low, high = ends[:, : len(LEVELS)], ends[:, len(LEVELS) :]
        scores = np.maximum(low - true[:, None], true[:, None] - high).T
        rows = [category == i for i in range(max(categories) + 1)]
        kept = (_thinned(scores[:, of], None if weight is None else weight[of]) for of in rows)
        return cls(shots, categories, tuple(kept))

    def intervals(self, predictive: Predictive, pred: ArrayLike, confidence: float = 0.9) -> NDArray[np.float64]:
        """Return the ``(n, 2)`` ends of each interval, target units; infinite, with a warning, for too few rows.

        An interval that is moved inwards beyond its own middle is that point.

        Args:
            predictive: distributions of n rows.
            pred: ``(n,)`` their predictions.
            confidence: fraction of new rows to cover, in (0, 1).

        Raises:
            InputError: numbers of rows that differ, predictions that are not finite, a confidence outside (0, 1).
        """
        predicted, nominal = label_array(pred, "pred"), positive(confidence, "confidence")
        if nominal >= 1:
            raise InputError(f"confidence must be a fraction below 1, such as 0.9, got {confidence!r}")
        _check_rows(predictive, predicted)
        nearest = int(np.abs(np.array(LEVELS) - nominal).argmin())
        category = np.asarray(self.categories)[self.shots.codes(predicted)]
        offsets = np.array([_conformal_quantile(scores[nearest], nominal) for scores in self.scores])
        self._warn_of_infinite(np.unique(category), offsets, nominal)
        low, high = predictive.interval(LEVELS[nearest])
        ends = np.stack([low - offsets[category], high + offsets[category]], axis=1)
        crossed = ends[:, 0] > ends[:, 1]
        ends[crossed] = (low + high)[crossed, None] / 2
        return ends

    @property
    def rows(self) -> dict[str, int]:
        """Number of scores behind the intervals of each region, effective ones of weighted rows."""
        return {name: self.scores[i].shape[1] for name, i in zip(REGIONS, self.categories, strict=True)}

    def _warn_of_infinite(self, present: NDArray[np.int64], offsets: NDArray[np.float64], nominal: float) -> None:
        infinite = [int(i) for i in present if np.isinf(offsets[i])]
        if not infinite:
            return
        sizes = {i: self.scores[i].shape[1] for i in infinite}
        needed = math.ceil((nominal - _ROUNDING) / (1 - nominal))
        warn_of_infinite(self.categories, sizes, nominal, needed, enough=needed <= _MOST_KEPT)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {
            "shots": self.shots.to_json(),
            "categories": list(self.categories),
            "scores": [scores.tolist() for scores in self.scores],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build intervals from the values of :meth:`to_json`."""
        scores = tuple(np.asarray(scores, dtype=np.float64) for scores in saved["scores"])
        return cls(Shots.from_json(saved["shots"]), tuple(saved["categories"]), scores)


def _check_rows(predictive: Predictive, pred: NDArray[np.float64]) -> None:
    if len(predictive) != pred.size:
        raise InputError(f"predictive must have one distribution a prediction, {pred.size}, got {len(predictive)}")


def _conformal_quantile(scores: NDArray[np.float64], confidence: float) -> float:
    """Return the ⌈(n + 1) c⌉-th of n increasing scores, infinite if there are fewer.

    >>> _conformal_quantile(np.arange(9.0), 0.9), _conformal_quantile(np.arange(8.0), 0.9)
    (8.0, inf)
    """
    rank = max(math.ceil((scores.size + 1) * confidence - _ROUNDING), 1)
    return float(scores[rank - 1]) if rank <= scores.size else math.inf


def _weights(sample_weight: ArrayLike, y: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = label_array(sample_weight, "sample_weight")
    same_shape(weight, y)
    if not (weight > 0).all():
        raise InputError(f"sample_weight must be above 0, got {weight.min():g}")
    return weight


def _thinned(scores: NDArray[np.float64], weight: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Sort the scores of each level; if there are too many, keep evenly spaced ones.

    The k-th of m kept scores is the ⌈k (n + 1) / (m + 1)⌉-th of n, so that conformal quantiles are never lower. Of
    weighted rows m is their effective number, and the k-th kept score the lowest with a cumulative weight of k / m:
    the ⌈(m + 1) c⌉-th then has a cumulative weight of at least c among the rows and a new one of weight 1 / m.
    """
    order, n = np.argsort(scores, axis=1, kind="stable"), scores.shape[1]
    ordered = np.take_along_axis(scores, order, 1)
    if weight is not None:
        m = min(max(int(weight.sum() ** 2 / (weight**2).sum() + _ROUNDING), 1), _MOST_KEPT)
        cumulative = weight[order].cumsum(axis=1)
        goals = np.arange(1, m + 1) / m * (1 - _ROUNDING)
        ranks = np.stack([np.searchsorted(row / row[-1], goals) for row in cumulative])
        return np.take_along_axis(ordered, ranks, 1)
    if n <= _MOST_KEPT:
        return ordered
    ranks = -(-np.arange(1, _MOST_KEPT + 1) * (n + 1) // (_MOST_KEPT + 1))
    return ordered[:, ranks - 1]
