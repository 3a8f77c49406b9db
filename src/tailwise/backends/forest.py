"""scikit-learn's random forest."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.arrays import ArrayFitting, Arrays, arrays_of
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend, Between
from tailwise.backends.sklearn_model import SklearnModel, at_once, fit_estimator
from tailwise.data.task import Task
from tailwise.methods.build import Method
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.recipe import Recipe

_DEFAULTS: Mapping[str, Any] = {"n_estimators": 200, "n_jobs": -1}


class Forest:
    """scikit-learn's ``RandomForestRegressor``."""

    name = "forest"
    losses = ("mse",)
    dtype = np.float64
    varied: Mapping[str, Between] = {
        "min_samples_leaf": Between(1, 20, log=True, whole=True),
        "max_features": Between(0.3, 1.0),
    }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of ``RandomForestRegressor``, with 200 trees and all cores where nothing is given."""
        from sklearn.ensemble import RandomForestRegressor

        known = RandomForestRegressor().get_params()
        return checked_parameters(self.name, given, known=known, defaults=_DEFAULTS, counts=("n_estimators",))

    def start(
        self,
        task: Task,
        method: Method,
        recipe: Recipe,
        *,
        params: Mapping[str, Any],
        encoder: str = AUTO,  # noqa: ARG002
        sample_weight: NDArray[np.float64] | None = None,
    ) -> ArrayFitting:
        """Set up a training."""
        checked = self.parameters(params)
        rows = arrays_of(
            task,
            method,
            recipe,
            model=self.name,
            losses=self.losses,
            fit=TableInputs.fit_trees,
            sample_weight=sample_weight,
        )
        fit = partial(self._fit, rows, checked, recipe.seed)
        return ArrayFitting(self.name, recipe, rows, partial(at_once, fit, rows, self.name))

    def _fit(self, rows: Arrays, params: Mapping[str, Any], seed: int) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        forest = fit_estimator(RandomForestRegressor(random_state=seed, **params), rows, self.name)
        forest.n_jobs = 1  # several threads add the trees up in any order, and the last digits change
        return forest

    def load(self, folder: Path, description: Mapping[str, Any]) -> SklearnModel:
        """Read a saved model."""
        return SklearnModel.load(folder, description)

    def silence(self) -> None:
        """Nothing to silence."""


BACKEND: Backend = Forest()
