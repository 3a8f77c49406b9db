"""Boosting, forests and linear models: made by name, saved and loaded without running code from a file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError, did_you_mean, whole

_BOOSTER, _ESTIMATOR = "model.txt", "model.skops"
# Types of scikit-learn's trees that skops does not know as its own.
_TRUSTED = [
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
]
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "lightgbm": {"n_estimators": 2000, "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 5},
    "hist-boosting": {"max_iter": 500, "learning_rate": 0.05, "min_samples_leaf": 5},
    "forest": {"n_estimators": 200, "n_jobs": -1},
    "linear": {"alphas": tuple(float(a) for a in np.logspace(-3, 3, 13))},
}
_FIXED = {
    "objective": "the method (l1, sera)",
    "loss": "the method (l1, sera)",
    "random_state": "--seed",
    "early_stopping": "the validation rows",
    "categorical_features": "the columns",
    "class_weight": "the method",
    "importance_type": "nothing that is computed",
}
_MORE_OF_LIGHTGBM = (
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
_ROUNDS = ("n_estimators", "max_iter")
TREES = ("lightgbm", "hist-boosting", "forest")
LOSSES: Mapping[str, Mapping[str, str]] = {
    "lightgbm": {"mse": "regression", "l1": "regression_l1"},
    "hist-boosting": {"mse": "squared_error", "l1": "absolute_error"},
    "forest": {"mse": "squared_error"},
    "linear": {"mse": "mse"},
}


def parameters(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a model: our defaults, then those that are given.

    Raises:
        InputError: a parameter the model does not have.
    """
    known = {*_new(name).get_params(), *(_MORE_OF_LIGHTGBM if name == "lightgbm" else ())}
    for key in given:
        if key in _FIXED:
            raise InputError(f"{name}: {key} follows from {_FIXED[key]}; leave model.{key} out")
        if key not in known:
            raise InputError(f"{name} has no parameter {key!r}{did_you_mean(key, known)}")
    params = {**_DEFAULTS[name], **given}
    if params.get("boosting_type", "gbdt") not in ("gbdt", "goss"):
        raise InputError(
            f"{name}: boosting_type must be gbdt or goss, got {params['boosting_type']!r}; others change earlier "
            "trees, so that the best round cannot be kept"
        )
    if "subsample" in params:
        params.setdefault("subsample_freq", 1)  # without it LightGBM ignores subsample
    for key in _ROUNDS:
        if key in params:
            whole(params[key], f"{name}: {key}", least=1)
    return params


def new_estimator(name: str, params: Mapping[str, Any], *, loss: str, seed: int, nominal: NDArray[np.bool_]) -> Any:
    """A scikit-learn estimator by name.

    Args:
        name: ``"hist-boosting"``, ``"forest"`` or ``"linear"``.
        params: its parameters.
        loss: ``"mse"``, or ``"l1"`` where the model has it.
        seed: of what is random.
        nominal: ``(p,)`` which inputs are codes of categories.
    """
    own: dict[str, Any] = {"hist-boosting": {"early_stopping": False, "loss": LOSSES[name][loss]}}.get(name, {})
    if name == "hist-boosting" and nominal.any():
        own["categorical_features"] = nominal
    if name != "linear":
        own["random_state"] = seed
    return _new(name).set_params(**own, **params)


def _new(name: str) -> Any:
    if name == "lightgbm":
        from lightgbm import LGBMRegressor

        return LGBMRegressor()
    if name == "linear":
        from sklearn.linear_model import RidgeCV

        return RidgeCV()
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

    return HistGradientBoostingRegressor() if name == "hist-boosting" else RandomForestRegressor()


def _digest(folder: Path, name: str) -> str:
    with (folder / (_BOOSTER if name == "lightgbm" else _ESTIMATOR)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Classical:
    """A fitted model that is not a network: inputs to predictions.

    Args:
        name: one of the names in :data:`tailwise.backends.names.MODELS`.
        fitted: a LightGBM booster, or a fitted scikit-learn estimator.
    """

    dtype = np.float64

    def __init__(self, name: str, fitted: Any) -> None:
        self.name, self.fitted = name, fitted

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n,)`` predictions, target units."""
        return np.asarray(self.fitted.predict(x), dtype=np.float64)

    def std(self, x: NDArray[np.float64]) -> None:  # noqa: ARG002
        """No standard deviation."""
        return

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model into a folder, and say what it is."""
        if self.name == "lightgbm":
            self.fitted.save_model(folder / _BOOSTER)
        else:
            import skops.io

            skops.io.dump(self.fitted, folder / _ESTIMATOR)
        return {"kind": self.name, "sha256": _digest(folder, self.name)}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote; LightGBM would take the process down with half a file."""
        name = str(description["kind"])
        if name not in _DEFAULTS:
            raise ValueError(f"there is no model of kind {name!r}")
        if _digest(folder, name) != description["sha256"]:
            raise ValueError(f"{_BOOSTER if name == 'lightgbm' else _ESTIMATOR} was altered after it was saved")
        if name == "lightgbm":
            import lightgbm

            try:
                return cls(name, lightgbm.Booster(model_file=folder / _BOOSTER))
            except lightgbm.basic.LightGBMError as error:
                raise ValueError(f"{_BOOSTER}: {error}") from error
        import skops.io

        return cls(name, skops.io.load(folder / _ESTIMATOR, trusted=_TRUSTED))
