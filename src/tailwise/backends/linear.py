"""Ridge regression, with the penalty chosen by leaving out one row."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.arrays import ArrayFitting, arrays_of
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend, Between
from tailwise.backends.sklearn_model import SklearnModel, at_once, fit_estimator
from tailwise.data.task import Task
from tailwise.methods.build import Method
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.recipe import Recipe

_DEFAULTS: Mapping[str, Any] = {"alphas": tuple(float(a) for a in np.logspace(-3, 3, 13))}


class Linear:
    """scikit-learn's ``RidgeCV``."""

    name = "linear"
    losses = ("mse",)
    dtype = np.float64
    varied: Mapping[str, Between] = {}

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of ``RidgeCV``, with 13 penalties from 0.001 to 1000 where none are given."""
        from sklearn.linear_model import RidgeCV

        return checked_parameters(self.name, given, known=RidgeCV().get_params(), defaults=_DEFAULTS)

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
        from sklearn.linear_model import RidgeCV

        estimator = RidgeCV(**self.parameters(params))
        rows = arrays_of(
            task,
            method,
            recipe,
            model=self.name,
            losses=self.losses,
            fit=partial(TableInputs.fit, dtype=np.float64),
            sample_weight=sample_weight,
        )
        fit = partial(fit_estimator, estimator, rows, self.name)
        return ArrayFitting(self.name, recipe, rows, partial(at_once, fit, rows, self.name))

    def load(self, folder: Path, description: Mapping[str, Any]) -> SklearnModel:
        """Read a saved model."""
        return SklearnModel.load(folder, description)

    def silence(self) -> None:
        """Nothing to silence."""


BACKEND: Backend = Linear()
