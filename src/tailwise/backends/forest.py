"""scikit-learn's random forest, and its distributions by shared leaves."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

from tailwise._files import file_digest
from tailwise.backends.arrays import ArrayBackend, Arrays, Training
from tailwise.backends.forest_leaves import ForestLeaves
from tailwise.backends.model_file import check_file
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend, Between, Outputs
from tailwise.backends.sklearn_model import SklearnModel, at_once, fit_estimator
from tailwise.training.recipe import Recipe

_DEFAULTS: Mapping[str, Any] = {"n_estimators": 200, "n_jobs": -1}
_LEAVES = "leaves.safetensors"


class ForestModel(SklearnModel):
    """A fitted forest, with the leaves of its training rows if it has distributions.

    Args:
        kind: name of the model.
        fitted: the forest.
        leaves: of the training rows; ``None`` of a forest without ``leaves``, or whose rows were weighted or resampled.
    """

    def __init__(self, kind: str, fitted: Any, leaves: ForestLeaves | None = None) -> None:
        super().__init__(kind, fitted)
        self.leaves = leaves

    def outputs(self, x: Any, *, features: bool = False, predictive: bool = False) -> Outputs:  # noqa: ARG002
        """Return predictions, and distributions if asked for; there are no features."""
        pred = self.predict(x)
        if self.leaves is None or not predictive:
            return Outputs(pred)
        return Outputs(pred, predictive=self.leaves.predictive(self.fitted, x, pred))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the forest and its leaves into a folder; return their description."""
        description = super().save(folder)
        if self.leaves is None:
            return description
        self.leaves.save(folder / _LEAVES)
        return description | {"leaves": file_digest(folder / _LEAVES)}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote; a forest of an earlier version has no leaves.

        Raises:
            OSError: a file that is missing.
            ValueError: a file that was altered.
        """
        model = super().load(folder, description)
        if "leaves" in description:
            model.leaves = ForestLeaves.load(check_file(folder / _LEAVES, {"sha256": description["leaves"]}))
        return model


class Forest(ArrayBackend):
    """scikit-learn's ``RandomForestRegressor``."""

    name = "forest"
    losses = ("mse",)
    predictor = ForestModel
    varied: Mapping[str, Between] = {
        "min_samples_leaf": Between(1, 20, log=True, whole=True),
        "max_features": Between(0.3, 1.0),
    }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of ``RandomForestRegressor``, with 200 trees and all cores where nothing is given.

        Another one is ``leaves``: whether its distributions are the training labels weighted by shared leaves
        (Meinshausen, *Quantile Regression Forests*, JMLR 2006), in place of the density of validation labels given the
        prediction.
        """
        from sklearn.ensemble import RandomForestRegressor

        known = RandomForestRegressor().get_params() | {"leaves": False}
        return checked_parameters(self.name, given, known=known, defaults=_DEFAULTS, counts=("n_estimators",))

    def train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:
        """Fit the forest."""
        return at_once(partial(self._fit, rows, params, recipe.seed), rows)

    def _fit(self, rows: Arrays, params: Mapping[str, Any], seed: int) -> ForestModel:
        from sklearn.ensemble import RandomForestRegressor

        of_forest = {name: value for name, value in params.items() if name != "leaves"}
        forest = fit_estimator(RandomForestRegressor(random_state=seed, **of_forest), rows, self.name)
        with_leaves = params.get("leaves") and not rows.reweighted
        leaves = None if not with_leaves else ForestLeaves.of(forest, rows.x, rows.y, rows.weight, seed=seed)
        forest.n_jobs = 1  # several threads add the trees up in any order, and the last digits change
        return ForestModel(self.name, forest, leaves)


BACKEND: Backend = Forest()
