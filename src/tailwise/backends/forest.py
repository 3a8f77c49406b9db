"""scikit-learn's random forest."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tailwise.backends.arrays import ArrayBackend, Arrays, Training
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend, Between
from tailwise.backends.sklearn_model import SklearnModel, at_once, fit_estimator
from tailwise.training.recipe import Recipe

_DEFAULTS: Mapping[str, Any] = {"n_estimators": 200, "n_jobs": -1}


class Forest(ArrayBackend):
    """scikit-learn's ``RandomForestRegressor``."""

    name = "forest"
    losses = ("mse",)
    predictor = SklearnModel
    varied: Mapping[str, Between] = {
        "min_samples_leaf": Between(1, 20, log=True, whole=True),
        "max_features": Between(0.3, 1.0),
    }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of ``RandomForestRegressor``, with 200 trees and all cores where nothing is given."""
        from sklearn.ensemble import RandomForestRegressor

        known = RandomForestRegressor().get_params()
        return checked_parameters(self.name, given, known=known, defaults=_DEFAULTS, counts=("n_estimators",))

    def train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:
        """Fit the forest."""
        return at_once(partial(self._fit, rows, params, recipe.seed), rows, self.name)

    def _fit(self, rows: Arrays, params: Mapping[str, Any], seed: int) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        forest = fit_estimator(RandomForestRegressor(random_state=seed, **params), rows, self.name)
        forest.n_jobs = 1  # several threads add the trees up in any order, and the last digits change
        return forest


BACKEND: Backend = Forest()
