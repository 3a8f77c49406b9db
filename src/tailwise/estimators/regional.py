"""Regressors of three regions of the target, blended by a global one."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tailwise._checks import InputError, label_array, not_negative
from tailwise.data.rows import TableLike
from tailwise.estimators.around import RegressorAround

_TAIL = 0.15
_OVERLAP = 0.25


class RegionalRegressor(RegressorAround):
    """Lower, centre and upper expert of the target, blended by the prediction of a model of all rows.

    Each expert is trained on the rows whose label lies in its region, widened by an overlap. A global model's
    prediction g chooses the expert; within a band around a boundary the two experts beside it are blended, with
    fractions that change linearly from one side of the band to the other.

    Args:
        estimator: the regressor; ``HistGradientBoostingRegressor()`` if not given. Four clones of it are fitted.
        boundaries: the two labels between the regions, target units; ``None`` takes the 15 and the 85 % quantile of the
            labels.
        overlap: how far a region's training rows reach beyond a boundary, target units; ``None`` takes a quarter of a
            standard deviation of the labels.
        band: half-width of the band of blending around a boundary, target units; ``None`` takes the overlap, at most
            half the distance of the boundaries.

    Attributes:
        estimator_: the fitted model of all rows.
        experts_: the fitted experts, lowest region first; empty if the boundaries of ``None`` are equal, which leaves
            the model of all rows.
        boundaries_: the boundaries.
        band_: half-width of the band.

    Raises:
        InputError: boundaries that do not increase, a band wider than half the distance of the boundaries, a region
            without training rows, a ``sample_weight`` that the estimator does not take.

    Note:
        Boundaries, overlap and band are settings of a published program without a stated rule; the defaults are
        tailwise's.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> X = np.linspace(-3, 3, 200).reshape(-1, 1)
        >>> y = X[:, 0] ** 3
        >>> plain, regional = Ridge().fit(X, y), RegionalRegressor(Ridge()).fit(X, y)
        >>> bool(np.abs(regional.predict(X) - y).mean() < np.abs(plain.predict(X) - y).mean())
        True
    """

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        boundaries: tuple[float, float] | None = None,
        overlap: float | None = None,
        band: float | None = None,
    ) -> None:
        self.estimator, self.boundaries = estimator, boundaries
        self.overlap, self.band = overlap, band

    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit clones of the estimator to all rows and to the rows of each region.

        Args:
            X: ``(n, p)`` data frame or array.
            y: ``(n,)`` targets.
            sample_weight: ``(n,)`` weights, for estimators that take them.
            fit_params: passed on to each ``fit``, as they are.
        """
        labels = label_array(self._labels(y))
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, labels)
        fit_params = self._routed(fit_params)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True)
        else:
            X = validate_data(self, X, ensure_all_finite="allow-nan")
        check_consistent_length(X, labels)
        self._fit(X, labels, weight, fit_params)
        low, high, overlap = self._regions(labels)
        self.experts_ = []
        if low == high:
            return self
        rows = (labels < low + overlap, (labels >= low - overlap) & (labels < high + overlap), labels >= high - overlap)
        for name, inside in zip(("lower", "centre", "upper"), rows, strict=True):
            if not inside.any():
                raise InputError(
                    f"boundaries {low:g} and {high:g} leave no training row to the {name} region; move them"
                )
            chosen = np.flatnonzero(inside)
            given = {} if weight is None else {"sample_weight": weight[chosen]}
            expert = clone(self._inner())
            self.experts_.append(expert.fit(_safe_indexing(X, chosen), labels[chosen], **given, **fit_params))
        return self

    def predict(self, X: TableLike) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions."""
        check_is_fitted(self)
        gate = np.asarray(self.estimator_.predict(X), dtype=np.float64)
        if not self.experts_:
            return gate
        lower, upper = (self._above(gate, boundary) for boundary in self.boundaries_)
        fractions = (1 - lower, lower - upper, upper)
        experts = (np.asarray(expert.predict(X), dtype=np.float64) for expert in self.experts_)
        return np.asarray(sum(share * pred for share, pred in zip(fractions, experts, strict=True)), dtype=np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def _regions(self, labels: NDArray[np.float64]) -> tuple[float, float, float]:
        """Return the boundaries and the overlap, and store what ``predict`` needs."""
        overlap = _OVERLAP * float(labels.std()) if self.overlap is None else not_negative(self.overlap, "overlap")
        if self.boundaries is None:
            low, high = (float(q) for q in np.quantile(labels, [_TAIL, 1 - _TAIL]))
        else:
            ends = label_array(self.boundaries, "boundaries")
            if ends.size != 2 or not ends[0] < ends[1]:
                raise InputError(f"boundaries must be two increasing labels, got {self.boundaries!r}")
            low, high = float(ends[0]), float(ends[1])
        most = (high - low) / 2
        if self.band is not None and not_negative(self.band, "band") > most:
            raise InputError(
                f"band must be at most half the distance of the boundaries, {most:g}, got {self.band!r}; lower it or "
                "move the boundaries"
            )
        self.boundaries_ = (low, high)
        self.band_ = min(overlap, most) if self.band is None else float(self.band)
        return low, high, overlap

    def _above(self, gate: NDArray[np.float64], boundary: float) -> NDArray[np.float64]:
        """Return the fraction of what lies above a boundary, 0 to 1 across the band."""
        if self.band_ == 0:
            return (gate >= boundary).astype(np.float64)
        return np.clip((gate - boundary + self.band_) / (2 * self.band_), 0, 1)
