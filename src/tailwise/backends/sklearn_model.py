"""Estimators of scikit-learn as models: fit, and save without pickle."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.backends.arrays import Arrays, Training
from tailwise.backends.model_file import check_file, describe_file
from tailwise.backends.protocol import Outputs
from tailwise.training.epoch import Epoch

_FILE = "model.skops"
# Types of scikit-learn's trees that skops does not know as its own.
_TRUSTED = [
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
]


class SklearnModel:
    """A fitted estimator of scikit-learn.

    Args:
        kind: name of the model.
        fitted: the estimator.
    """

    def __init__(self, kind: str, fitted: Any) -> None:
        self.kind, self.fitted = kind, fitted

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n,)`` predictions, target units."""
        return np.asarray(self.fitted.predict(x), dtype=np.float64)

    def outputs(self, x: NDArray[np.float64], *, features: bool = False, predictive: bool = False) -> Outputs:  # noqa: ARG002
        """Predictions alone."""
        return Outputs(self.predict(x))

    def cpu(self) -> None:
        """Nothing to move."""

    def save(self, folder: Path) -> dict[str, Any]:
        """Write ``model.skops`` into a folder; return its description."""
        import skops.io

        skops.io.dump(self.fitted, folder / _FILE)
        return describe_file(self.kind, folder / _FILE)

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        import skops.io

        path = check_file(folder / _FILE, description)
        return cls(str(description["kind"]), skops.io.load(path, trusted=_TRUSTED))


def fit_estimator(estimator: Any, rows: Arrays, name: str) -> Any:
    """Fit an estimator to training rows.

    Raises:
        InputError: parameters that it refuses.
    """
    try:
        return estimator.fit(rows.x, rows.y, sample_weight=rows.weight)
    except (TypeError, ValueError) as error:
        raise InputError(f"the parameters of {name} do not work: {error}") from error


def at_once(fit: Callable[[], Any], rows: Arrays, name: str) -> Training:
    """Yield the one epoch of a model without rounds; return the model.

    Args:
        fit: fits and returns the estimator.
        rows: what it is fitted to and validated on.
        name: of the model.
    """
    started = time.perf_counter()
    model = SklearnModel(name, fit())
    errors = rows.errors(model.predict(rows.x_val))
    yield Epoch(0, 0, 1, {}, errors, 0.0, time.perf_counter() - started, True)
    return model
