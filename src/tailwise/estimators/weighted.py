"""Any regressor with weights of the label."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight

from tailwise._checks import InputError, label_array
from tailwise.data.rows import TableLike
from tailwise.estimators.around import RegressorAround
from tailwise.labels.bins import Bins


class WeightedRegressor(RegressorAround):
    """Any regressor that takes ``sample_weight``, trained with weights of the label.

    LightGBM, XGBoost, CatBoost, scikit-learn's boosting, forests and linear models.

    Args:
        estimator: the regressor; ``HistGradientBoostingRegressor()`` if not given. A clone of it is fitted.
        weights: parts that give weights, such as ``"sqinv+lds"``, ``"inv"``, ``"denseweight"``, ``"effective"`` (see
            ``tailwise methods``); or an object with ``sample_weight(y)``.
        weight_params: parameters of the parts, ``{"lds": {"sigma": 1.0}}``.
        bins: bins of the target; ``Bins.auto(y)`` if not given.

    Attributes:
        estimator_: the fitted regressor.
        weights_: the weights, ``weights_.sample_weight(y)`` for any labels; mean 1 over the rows of ``fit``.

    Note:
        A caller's ``sample_weight`` multiplies the weights of the labels, which are counted by rows: a row given twice
        is twice as common, a row of weight 2 is not.

    Raises:
        InputError: an estimator without ``sample_weight``, parts that give no weights.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.zeros(38), 50.0, 60.0]
        >>> plain, weighted = Ridge().fit(X, y), WeightedRegressor(Ridge(), weights="inv").fit(X, y)
        >>> bool(weighted.predict(X[-1:])[0] > plain.predict(X[-1:])[0])
        True
    """

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        weights: Any = "sqinv+lds",
        weight_params: dict[str, dict[str, Any]] | None = None,
        bins: Bins | None = None,
    ) -> None:
        self.estimator = estimator
        self.weights, self.weight_params, self.bins = weights, weight_params, bins

    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit a clone of the estimator.

        Args:
            X: ``(n, p)`` in any form that the estimator takes.
            y: ``(n,)`` targets.
            sample_weight: ``(n,)`` weights of the caller, which multiply those of the labels.
            fit_params: passed on to the estimator's ``fit``.
        """
        y = self._labels(y)
        labels = label_array(y)
        self.weights_ = self._weights(labels)
        weight = self.weights_.sample_weight(labels)
        if sample_weight is not None:
            weight = weight * _check_sample_weight(sample_weight, labels)
        self._fit(X, y, weight, self._routed(fit_params))
        return self

    def _weights(self, labels: NDArray[np.float64]) -> Any:
        if not isinstance(self.weights, str):
            if not hasattr(self.weights, "sample_weight"):
                raise InputError(
                    f"weights must be parts such as 'sqinv+lds' or have sample_weight(y), got {self.weights!r}"
                )
            return self.weights
        from tailwise.methods.label_weights import label_weights

        return label_weights(self.weights, labels, self.bins, **(self.weight_params or {}))
