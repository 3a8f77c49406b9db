"""LightGBM, stopped early."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.backends.arrays import ArrayBackend, ArrayPredictor, Arrays, Training
from tailwise.backends.parameters import checked_parameters
from tailwise.backends.protocol import Backend, Between
from tailwise.backends.rounds import best_round
from tailwise.losses.tweedie import check_power
from tailwise.training.recipe import Recipe

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


class BoosterModel(ArrayPredictor):
    """A trained booster of LightGBM, cut after the best round."""

    file = "model.txt"

    def write(self, path: Path) -> None:
        """Write the booster in LightGBM's text format."""
        path.write_text(self.fitted.model_to_string(), encoding="utf-8", newline="\n")

    @staticmethod
    def read(path: Path) -> Any:
        """Read the booster; the digest was checked first, as LightGBM ends the process on a truncated file."""
        import lightgbm

        try:
            return lightgbm.Booster(model_file=path)
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"{path.name}: {error}") from error


class LightGBM(ArrayBackend):
    """LightGBM, with at most 2,000 rounds by default."""

    name = "lightgbm"
    losses: Mapping[str, str] = {
        "mse": "regression",
        "l1": "regression_l1",
        "poisson": "poisson",
        "tweedie": "tweedie",
    }
    predictor = BoosterModel
    varied: Mapping[str, Between] = {
        "learning_rate": Between(0.02, 0.2, log=True),
        "num_leaves": Between(7, 127, log=True, whole=True),
        "min_child_samples": Between(2, 50, log=True, whole=True),
        "reg_lambda": Between(1e-3, 10.0, log=True),
    }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of ``LGBMRegressor``, and ten more that it passes on."""
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

    def train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:
        """Train until the validation error stops falling, and keep the rounds up to the best."""
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
        if rows.loss == "tweedie":
            settings["tweedie_variance_power"] = check_power(rows.loss_params.get("power", 1.5))
        most = int(params["n_estimators"])
        nominal = np.flatnonzero(rows.nominal).tolist()
        try:
            train = lightgbm.Dataset(rows.x, rows.y, weight=rows.weight, categorical_feature=nominal, params=settings)
            booster = lightgbm.Booster(settings, train)
            booster.add_valid(train.create_valid(rows.x_val, rows.y_val), "val")
            best = yield from best_round(
                _errors(booster, rows, most),
                criterion=recipe.criterion,
                seconds=recipe.seconds,
                most=most,
                learning_rate=params["learning_rate"],
            )
            kept = booster.model_to_string(num_iteration=best + 1)
            return BoosterModel(self.name, lightgbm.Booster(model_str=kept))
        except lightgbm.basic.LightGBMError as error:
            raise InputError(f"LightGBM cannot train with these parameters: {error}") from error

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
