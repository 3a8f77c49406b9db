"""scikit-learn's boosting by histograms, stopped early."""

from collections.abc import Iterator, Mapping
from typing import Any

from tailwise.backends.arrays import ArrayBackend, Arrays, Training
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend, Between
from tailwise.backends.rounds import best_round
from tailwise.backends.sklearn_model import SklearnModel, fit_estimator
from tailwise.training.recipe import Recipe

_DEFAULTS: Mapping[str, Any] = {"max_iter": 500, "learning_rate": 0.05, "min_samples_leaf": 5}


class HistBoosting(ArrayBackend):
    """scikit-learn's ``HistGradientBoostingRegressor``."""

    name = "hist-boosting"
    losses: Mapping[str, str] = {"mse": "squared_error", "l1": "absolute_error", "poisson": "poisson"}
    predictor = SklearnModel
    varied: Mapping[str, Between] = {
        "learning_rate": Between(0.02, 0.2, log=True),
        "max_leaf_nodes": Between(7, 127, log=True, whole=True),
        "min_samples_leaf": Between(2, 50, log=True, whole=True),
    }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of ``HistGradientBoostingRegressor``, at most 500 rounds by default."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        known = HistGradientBoostingRegressor().get_params()
        return checked_parameters(self.name, given, known=known, defaults=_DEFAULTS, counts=("max_iter",))

    def train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:
        """Train up to the best round."""
        best = yield from best_round(
            self._errors(rows, params, recipe.seed),
            criterion=recipe.criterion,
            seconds=recipe.seconds,
            most=int(params["max_iter"]),
            learning_rate=params["learning_rate"],
        )
        # It has no way to leave out the last trees, but the same seed gives the same first ones.
        return SklearnModel(self.name, self._fit(rows, {**params, "max_iter": best + 1}, recipe.seed))

    def _errors(self, rows: Arrays, params: Mapping[str, Any], seed: int) -> Iterator[dict[str, float]]:
        """Yield validation errors after each round."""
        return (rows.errors(pred) for pred in self._fit(rows, params, seed).staged_predict(rows.x_val))

    def _fit(self, rows: Arrays, params: Mapping[str, Any], seed: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        nominal = {"categorical_features": rows.nominal} if rows.nominal.any() else {}
        estimator = HistGradientBoostingRegressor(
            loss=self.losses[rows.loss], early_stopping=False, random_state=seed, **nominal, **params
        )
        return fit_estimator(estimator, rows, self.name)


BACKEND: Backend = HistBoosting()
