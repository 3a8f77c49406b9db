"""LightGBM, stopped early."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.backends.arrays import ArrayFitting, Arrays, Training, arrays_of
from tailwise.backends.model_file import check_file, describe_file
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend, Between, Outputs
from tailwise.backends.rounds import best_round
from tailwise.data.task import Task
from tailwise.methods.build import Method
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.recipe import Recipe

_FILE = "model.txt"
_DEFAULTS: Mapping[str, Any] = {
    "n_estimators": 2000,
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_child_samples": 5,
}
# Parameters that its scikit-learn estimator passes on without naming them.
_PASSED_ON = (
    "cat_l2",
    "cat_smooth",
    "extra_trees",
    "linear_tree",
    "max_bin",
    "max_cat_threshold",
    "max_delta_step",
    "min_data_per_group",
    "monotone_constraints",
    "path_smooth",
)


class BoosterModel:
    """A trained booster of LightGBM.

    Args:
        fitted: the booster, of the rounds that are kept.
    """

    def __init__(self, fitted: Any) -> None:
        self.fitted = fitted

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n,)`` predictions, target units."""
        return np.asarray(self.fitted.predict(x), dtype=np.float64)

    def outputs(self, x: NDArray[np.float64], *, features: bool = False, predictive: bool = False) -> Outputs:  # noqa: ARG002
        """Predictions alone."""
        return Outputs(self.predict(x))

    def cpu(self) -> None:
        """Nothing to move."""

    def save(self, folder: Path) -> dict[str, Any]:
        """Write ``model.txt`` into a folder; return its description."""
        self.fitted.save_model(folder / _FILE)
        return describe_file("lightgbm", folder / _FILE)

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote; LightGBM would take the process down with half a file."""
        import lightgbm

        path = check_file(folder / _FILE, description)
        try:
            return cls(lightgbm.Booster(model_file=path))
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"{_FILE}: {error}") from error


class LightGBM:
    """LightGBM, of at most 2,000 rounds where nothing else is given."""

    name = "lightgbm"
    losses: Mapping[str, str] = {"mse": "regression", "l1": "regression_l1"}
    dtype = np.float64
    varied: Mapping[str, Between] = {
        "learning_rate": Between(0.02, 0.2, log=True),
        "num_leaves": Between(7, 127, log=True, whole=True),
        "min_child_samples": Between(2, 50, log=True, whole=True),
        "reg_lambda": Between(1e-3, 10.0, log=True),
    }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of ``LGBMRegressor``, and ten more that it passes on."""
        from lightgbm import LGBMRegressor

        known = {*LGBMRegressor().get_params(), *_PASSED_ON}
        params = checked_parameters(self.name, given, known=known, defaults=_DEFAULTS, counts=("n_estimators",))
        if params.get("boosting_type", "gbdt") not in ("gbdt", "goss"):
            raise InputError(
                f"{self.name}: boosting_type must be gbdt or goss, got {params['boosting_type']!r}; others change "
                "earlier trees, so that the best round cannot be kept"
            )
        if "subsample" in params:
            params.setdefault("subsample_freq", 1)  # without it LightGBM ignores subsample
        return params

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
        return ArrayFitting(self.name, recipe, rows, partial(self._train, rows, recipe, checked))

    def _train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:
        import lightgbm

        settings = {name: value for name, value in params.items() if name != "n_estimators"}
        settings |= {
            "objective": self.losses[rows.loss],
            "metric": "none",
            "seed": recipe.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        most = int(params["n_estimators"])
        nominal = np.flatnonzero(rows.nominal).tolist()
        try:
            train = lightgbm.Dataset(rows.x, rows.y, weight=rows.weight, categorical_feature=nominal, params=settings)
            booster = lightgbm.Booster(settings, train)
            booster.add_valid(train.create_valid(rows.x_val, rows.y_val), "val")
            best = yield from best_round(
                _errors(booster, rows, most),
                criterion=recipe.criterion,
                most=most,
                learning_rate=params["learning_rate"],
            )
            kept = booster.model_to_string(num_iteration=best + 1)
            return BoosterModel(lightgbm.Booster(model_str=kept))
        except lightgbm.basic.LightGBMError as error:
            raise InputError(f"LightGBM cannot train with these parameters: {error}") from error

    def load(self, folder: Path, description: Mapping[str, Any]) -> BoosterModel:
        """Read a saved model."""
        return BoosterModel.load(folder, description)

    def silence(self) -> None:
        """Register a logger that writes nothing; errors are raised as well as printed."""
        import lightgbm

        lightgbm.register_logger(_Silent())


def _errors(booster: Any, rows: Arrays, most: int) -> Iterator[dict[str, float]]:
    """Train a round at a time; the validation errors after each."""
    latest: dict[str, float] = {}

    def evaluate(pred: NDArray[np.float64], _: Any) -> tuple[str, float, bool]:
        latest.update(rows.errors(pred))
        return "errors", 0.0, False

    for _ in range(most):
        stopped = booster.update()
        booster.eval_valid(evaluate)
        yield dict(latest)
        if stopped:
            return


class _Silent:
    """A logger that writes nothing."""

    def info(self, message: str) -> None:
        """Nothing."""

    def warning(self, message: str) -> None:
        """Nothing."""


BACKEND: Backend = LightGBM()
