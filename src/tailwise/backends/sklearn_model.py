"""Estimators of scikit-learn as models: fit, and save without pickle."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.backends.arrays import ArrayPredictor, Arrays, Training
from tailwise.training.epoch import Epoch

# Types of scikit-learn's trees that skops does not know as its own.
_TRUSTED = [
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
]


class SklearnModel(ArrayPredictor):
    """A fitted estimator of scikit-learn."""

    file = "model.skops"

    def write(self, path: Path) -> None:
        """Write the estimator with skops."""
        from tailwise.data.skops_file import write_skops

        write_skops(self.fitted, path)

    @staticmethod
    def read(path: Path) -> Any:
        """Read the estimator; types that are not known to be safe are refused."""
        import skops.io

        return skops.io.load(path, trusted=_TRUSTED)


def fit_estimator(estimator: Any, rows: Arrays, name: str) -> Any:
    """Fit an estimator to training rows.

    Raises:
        InputError: parameters that it refuses.
    """
    try:
        return estimator.fit(rows.x, rows.y, sample_weight=rows.weight)
    except (TypeError, ValueError) as error:
        raise InputError(f"the parameters of {name} do not work: {error}") from error


def at_once(fit: Callable[[], SklearnModel], rows: Arrays) -> Training:
    """Yield the one epoch of a model without rounds; return the model.

    Args:
        fit: fits and returns the model.
        rows: what it is fitted to and validated on.
    """
    started = time.perf_counter()
    model = fit()
    errors = rows.errors(model.predict(rows.x_val))
    yield Epoch(0, 0, 1, {}, errors, 0.0, time.perf_counter() - started, True)
    return model
