"""CatBoost, stopped early; an extra."""

import errno
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, positive
from tailwise.backends.arrays import ArrayBackend, ArrayPredictor, Arrays, Training
from tailwise.backends.parameters import FIXED, checked_parameters
from tailwise.backends.protocol import Backend, Between
from tailwise.backends.rounds import PATIENCE, best_round
from tailwise.losses.tweedie import check_power
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.recipe import Recipe

_DEFAULTS: Mapping[str, Any] = {"iterations": 2000, "learning_rate": 0.05}
_FIXED = {
    **FIXED,
    "loss_function": FIXED["loss"],
    "eval_metric": "the recipe's `criterion`",
    "random_seed": FIXED["random_state"],
    "early_stopping_rounds": FIXED["early_stopping"],
    "od_wait": FIXED["early_stopping"],
    "use_best_model": FIXED["early_stopping"],
    "cat_features": FIXED["categorical_features"],
    "class_weights": FIXED["class_weight"],
}
_OF_A_RUN = ("model_guid", "train_finish_time")  # else the same training gives other bytes each time
_KNOWN = (
    "bagging_temperature",
    "boosting_type",
    "bootstrap_type",
    "border_count",
    "depth",
    "grow_policy",
    "iterations",
    "l2_leaf_reg",
    "leaf_estimation_iterations",
    "leaf_estimation_method",
    "learning_rate",
    "max_ctr_complexity",
    "max_leaves",
    "min_data_in_leaf",
    "model_size_reg",
    "monotone_constraints",
    "nan_mode",
    "one_hot_max_size",
    "random_strength",
    "rsm",
    "score_function",
    "subsample",
    "thread_count",
)


class CatBoostModel(ArrayPredictor):
    """A trained regressor of CatBoost, cut after the best round."""

    file = "model.cbm"

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions, target units."""
        nominal = np.zeros(x.shape[1], dtype=bool)
        nominal[self.fitted.get_cat_feature_indices()] = True
        return np.asarray(self.fitted.predict(_frame(x, nominal)), dtype=np.float64)

    def write(self, path: Path) -> None:
        """Write the regressor in CatBoost's own format; a disk that is full is an ``OSError``."""
        catboost = _library()
        about = self.fitted.get_metadata()
        for name in _OF_A_RUN:
            about[name] = ""
        try:
            self.fitted.save_model(str(path), format="cbm")
        except catboost.CatBoostError as error:  # "(Error 28: No space left on device) util/..."
            number = re.match(r"\(Error (\d+):", str(error))
            code = int(number[1]) if number else errno.EIO
            raise OSError(code, os.strerror(code), str(path)) from error

    @staticmethod
    def read(path: Path) -> Any:
        """Read the regressor."""
        catboost = _library()
        try:
            return catboost.CatBoostRegressor().load_model(str(path), format="cbm")
        except catboost.CatBoostError as error:
            raise ValueError(f"{path.name}: {str(error).splitlines()[0]}") from error


class CatBoost(ArrayBackend):
    """CatBoost, with at most 2,000 rounds by default and its own treatment of categories.

    The numbers do not depend on the number of threads.
    """

    name = "catboost"
    losses: Mapping[str, str] = {"mse": "RMSE", "l1": "MAE", "poisson": "Poisson", "tweedie": "Tweedie"}
    predictor = CatBoostModel
    varied: Mapping[str, Between] = {
        "learning_rate": Between(0.02, 0.2, log=True),
        "depth": Between(4, 10, whole=True),
        "l2_leaf_reg": Between(1.0, 30.0, log=True),
    }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of ``CatBoostRegressor`` that shape the trees."""
        params = checked_parameters(
            self.name, given, known=_KNOWN, defaults=_DEFAULTS, fixed=_FIXED, counts=("iterations",)
        )
        positive(params["learning_rate"], f"{self.name}: learning_rate")  # it trains with a negative one
        return params

    def check_installed(self) -> None:
        """Raise if catboost is not installed."""
        _library()

    def fit_inputs(self, features: pd.DataFrame) -> TableInputs:
        """Return the conversion of rows to inputs of trees, with scaled numbers: CatBoost rounds them to float32."""
        return TableInputs.fit_trees(features, scaled=True)

    def train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:
        """Train until the validation error stops falling, and keep the rounds up to the best."""
        catboost = _library()
        objective = _objective(rows, self.losses[rows.loss])
        try:
            model = catboost.CatBoostRegressor(
                loss_function=objective.name,
                eval_metric=_Criterion(rows, recipe.criterion, objective),
                od_type="Iter",
                od_wait=PATIENCE,
                use_best_model=False,
                random_seed=recipe.seed,
                allow_writing_files=False,
                logging_level="Silent",
                **{**({"thread_count": 1} if rows.for_one_thread else {}), **params},
            )
            best = yield from best_round(
                _errors(model, rows, objective),
                criterion=recipe.criterion,
                seconds=recipe.seconds,
                most=int(params["iterations"]),
                learning_rate=params["learning_rate"],
            )
            model.shrink(ntree_end=best + 1)
            if objective.mean is not None:
                model.set_scale_and_bias(1.0, float(np.log(objective.mean)))
        except (catboost.CatBoostError, TypeError) as error:
            reason = re.sub(r"^\S+:\d+: ", "", str(error).splitlines()[-1].strip())  # without its file and line
            raise InputError(f"CatBoost cannot train with these parameters: {reason}") from error
        return CatBoostModel(self.name, model)


BACKEND: Backend = CatBoost()


def _library() -> Any:
    try:
        import catboost
    except ImportError as error:
        raise InputError("model 'catboost' needs catboost: pip install 'tailwise[catboost]'") from error
    return catboost


@dataclass(frozen=True)
class _Objective:
    """What CatBoost minimises, and what its raw values say about the target.

    The deviances do not start from the mean of the labels but from a prediction of 1, and Poisson's first step
    overflows where labels are in the thousands. They are therefore trained on labels divided by their mean, whose
    logarithm is added to the raw values afterwards; deviances of scaled labels are the same but for a factor.

    Args:
        name: CatBoost's, with its parameters.
        mean: of the training labels, where raw values are logarithms; ``None`` where they are in target units.
    """

    name: str
    mean: float | None = None

    def labels(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the labels ``(n,)`` to train on."""
        return y if self.mean is None else y / self.mean

    def predictions(self, raw: Any) -> NDArray[np.float64]:
        """Return predictions ``(n,)``, target units, from raw values before the mean is added to the model."""
        values = np.asarray(raw, dtype=np.float64)
        return values if self.mean is None else self.mean * np.exp(values)


def _objective(rows: Arrays, name: str) -> _Objective:
    """Return the objective with CatBoost's name for the loss of the rows."""
    if rows.loss not in ("poisson", "tweedie"):
        return _Objective(name)
    mean = float(np.average(rows.y, weights=rows.weight)) or 1.0  # CatBoost refuses labels that are all 0
    power = check_power(rows.loss_params.get("power", 1.5)) if rows.loss == "tweedie" else 1.0
    # CatBoost's Tweedie needs a power above 1, and that of 1 is the Poisson distribution.
    return _Objective("Poisson" if power == 1 else f"{name}:variance_power={power!r}", mean)


def _frame(x: NDArray[np.float64], nominal: NDArray[np.bool_]) -> pd.DataFrame:
    """Inputs as CatBoost takes them: codes of categories are integers."""
    frame = pd.DataFrame(x)
    return frame.astype(dict.fromkeys(frame.columns[nominal], np.int64))


def _errors(model: Any, rows: Arrays, objective: _Objective) -> Iterator[dict[str, float]]:
    """Train; then the validation errors after each round."""
    x, x_val = _frame(rows.x, rows.nominal), _frame(rows.x_val, rows.nominal)
    with warnings.catch_warnings():
        # It would compile the criterion, which is NumPy already, with numba.
        warnings.filterwarnings("ignore", "Failed to (import|optimize)|Can.t optim", UserWarning)
        model.fit(
            x,
            objective.labels(rows.y),
            sample_weight=rows.weight,
            cat_features=np.flatnonzero(rows.nominal).tolist(),
            eval_set=(x_val, objective.labels(rows.y_val)),
        )
    staged = model.staged_predict(x_val, thread_count=1)  # threads cost more than they save in a single tree
    return (rows.errors(objective.predictions(raw)) for raw in staged)


class _Criterion:
    """Validation error of a recipe as a metric of CatBoost, which stops training by it.

    Args:
        rows: training and validation rows.
        name: of the error.
        objective: that the raw values are of.
    """

    def __init__(self, rows: Arrays, name: str, objective: _Objective) -> None:
        self.rows, self.name, self.objective = rows, name, objective

    def is_max_optimal(self) -> bool:
        """Lower is better."""
        return False

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:  # noqa: ARG002
        """Error of predictions. CatBoost also evaluates the training rows, and does not use the value."""
        if len(target) != len(self.rows.y_val):
            return 0.0, 1.0
        return self.rows.errors(self.objective.predictions(approxes[0]))[self.name], 1.0

    evaluate.no_jit = True  # type: ignore[attr-defined]

    def get_final_error(self, error: float, weight: float) -> float:  # noqa: ARG002
        """The error as it is."""
        return error
