"""Ridge regression, with the penalty chosen by leaving out one row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tailwise.backends.arrays import ArrayBackend, Arrays, Training
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend
from tailwise.backends.sklearn_model import SklearnModel, at_once, fit_estimator
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.recipe import Recipe

_DEFAULTS: Mapping[str, Any] = {"alphas": tuple(float(a) for a in np.logspace(-3, 3, 13))}


class Linear(ArrayBackend):
    """scikit-learn's ``RidgeCV``."""

    name = "linear"
    losses = ("mse",)
    predictor = SklearnModel

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of ``RidgeCV``, with 13 penalties from 0.001 to 1000 where none are given."""
        from sklearn.linear_model import RidgeCV

        return checked_parameters(self.name, given, known=RidgeCV().get_params(), defaults=_DEFAULTS)

    def fit_inputs(self, features: pd.DataFrame) -> TableInputs:
        """Return the conversion of rows to scaled numbers, with a column for each category."""
        return TableInputs.fit(features, dtype=np.float64)

    def train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:  # noqa: ARG002
        """Fit the estimator."""
        from sklearn.linear_model import RidgeCV

        return at_once(lambda: SklearnModel(self.name, fit_estimator(RidgeCV(**params), rows, self.name)), rows)


BACKEND: Backend = Linear()
