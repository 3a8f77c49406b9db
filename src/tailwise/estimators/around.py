"""Base of estimators that fit a clone of another one."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.utils import column_or_1d
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, get_routing_for_object, process_routing
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from tailwise._checks import InputError
from tailwise.data.rows import TableLike


class RegressorAround(MetaEstimatorMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor that fits a clone of another; ``HistGradientBoostingRegressor()`` if none is given."""

    estimator: Any
    estimator_: Any

    def predict(self, X: TableLike) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions."""
        check_is_fitted(self)
        pred: NDArray[np.float64] = self.estimator_.predict(X)
        return pred

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that ``fit`` passes on when metadata routing is enabled."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        request = get_routing_for_object(super().get_metadata_routing())
        return MetadataRouter(owner=self).add_self_request(request).add(estimator=self._inner(), method_mapping=mapping)

    def _inner(self) -> Any:
        return HistGradientBoostingRegressor() if self.estimator is None else self.estimator

    def _labels(self, y: ArrayLike | None) -> NDArray[np.generic]:
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        labels: NDArray[np.generic] = column_or_1d(np.asarray(y), warn=True)
        return labels

    def _fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None, fit_params: dict[str, Any]) -> None:
        """Fit a clone of the estimator, and take over what it says of its inputs."""
        regressor = clone(self._inner())
        if sample_weight is not None:
            if not has_fit_parameter(regressor, "sample_weight"):
                raise InputError(
                    f"{type(regressor).__name__} takes no sample_weight, so its rows cannot be weighted; choose "
                    "another, and of a pipeline wrap the last step, not the pipeline"
                )
            fit_params = {**fit_params, "sample_weight": sample_weight}
        self.estimator_ = regressor.fit(X, y, **fit_params)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))

    def _routed(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        """Parameters for the estimator's ``fit``: all, or those it has asked for."""
        from sklearn import get_config

        if not get_config()["enable_metadata_routing"]:
            return fit_params
        return dict(process_routing(self, "fit", **fit_params)["estimator"]["fit"])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = self._inner().__sklearn_tags__().input_tags
        return tags
