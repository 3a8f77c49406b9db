"""Train boosting, forests and linear models on a prepared table: the same method strings, history and run folder."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.backends.classical import LOSSES, TREES, Classical, new_estimator, parameters
from tailwise.data.preprocessing import (
    fit_preprocessor,
    fit_tree_preprocessor,
    nominal_inputs,
    transform,
    transform_features,
)
from tailwise.data.task import Task
from tailwise.methods.label_weights import loss_and_weights
from tailwise.methods.method import Method
from tailwise.metrics.region_errors import validation_errors
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

_PATIENCE = 50


class ClassicalTraining:
    """Training of a model that is not a network, round by round where it has rounds.

    Args:
        table: a prepared table, in memory.
        method: what to train: weights, ``l1``, ``sera``, resampling and corrections; the rest belongs to networks.
        recipe: criterion and seed.
        name: one of :data:`tailwise.backends.classical.LOSSES`.
        params: parameters of the model.

    Raises:
        InputError: parts that belong to networks, parameters the model does not have, rows that are not in memory.
    """

    def __init__(
        self, table: Task, method: Method, recipe: Recipe, name: str, params: Mapping[str, Any] | None = None
    ) -> None:
        self.name, self.recipe, self.shots = name, recipe, table.shots
        self.params = parameters(name, params or {})
        features, y = table.training_features()
        fit = fit_tree_preprocessor if name in TREES else fit_preprocessor
        # Codes are those of the rows as they are: resampled ones may leave out whole categories.
        self.preprocessor = fit(features)
        features, self.y, _ = method.resample(features, y, seed=recipe.seed)
        if method.resampler is not None:
            table.note_resampling(method.name, len(self.y))
        self.x = transform_features(self.preprocessor, features, Classical.dtype)
        rows, self.y_val = table.rows_of("val")
        self.x_val = transform(self.preprocessor, table.schema, rows.frame(), Classical.dtype)
        self.nominal = nominal_inputs(self.preprocessor, self.x.shape[1]) & (name in TREES)
        self.loss, self.weight = loss_and_weights(method, self.y, table.shots.scalar_bins, LOSSES[name], name)
        self.predictor: Classical | None = None

    def epochs(self) -> Iterator[Epoch]:
        """Train, one :class:`Epoch` a round of boosting; the best round is kept."""
        rounds = {"lightgbm": self._lightgbm, "hist-boosting": self._hist_boosting}.get(self.name, self._at_once)
        return rounds()

    def _lightgbm(self) -> Iterator[Epoch]:
        import lightgbm

        params = {name: value for name, value in self.params.items() if name != "n_estimators"}
        params |= {
            "objective": LOSSES[self.name][self.loss],
            "metric": "none",
            "seed": self.recipe.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        nominal = np.flatnonzero(self.nominal).tolist()
        most = int(self.params["n_estimators"])
        found: dict[str, float] = {}

        def errors(pred: NDArray[np.float64], _: Any) -> tuple[str, float, bool]:
            found.update(validation_errors(self.y_val, pred, self.shots))
            return self.recipe.criterion, found[self.recipe.criterion], False

        try:
            train = lightgbm.Dataset(self.x, self.y, weight=self.weight, categorical_feature=nominal, params=params)
            booster = lightgbm.Booster(params, train)
            booster.add_valid(train.create_valid(self.x_val, self.y_val), "val")
            best, best_score, seconds = 0, np.inf, time.perf_counter()
            for count in range(most):
                stopped = booster.update()
                booster.eval_valid(errors)
                score = found[self.recipe.criterion]
                if better := score < best_score:
                    best, best_score = count, score
                yield self._epoch(count, most, dict(found), better, seconds)
                seconds = time.perf_counter()
                if stopped or count - best >= _PATIENCE:
                    break
            kept = booster.model_to_string(num_iteration=best + 1)
            self.predictor = Classical(self.name, lightgbm.Booster(model_str=kept))
        except lightgbm.basic.LightGBMError as error:
            raise InputError(f"LightGBM cannot train with these parameters: {error}") from error

    def _hist_boosting(self) -> Iterator[Epoch]:
        most = int(self.params["max_iter"])
        seconds = time.perf_counter()
        fitted = self._fitted(self.params)
        best, best_score = 0, np.inf
        for count, pred in enumerate(fitted.staged_predict(self.x_val)):
            found = validation_errors(self.y_val, pred, self.shots)
            if better := found[self.recipe.criterion] < best_score:
                best, best_score = count, found[self.recipe.criterion]
            yield self._epoch(count, most, found, better, seconds)
            seconds = time.perf_counter()
            if count - best >= _PATIENCE:
                break
        # It has no way to leave out the last trees, but the same seed gives the same first ones.
        self.predictor = Classical(self.name, self._fitted({**self.params, "max_iter": best + 1}))

    def _at_once(self) -> Iterator[Epoch]:
        seconds = time.perf_counter()
        self.predictor = Classical(self.name, self._fitted(self.params))
        found = validation_errors(self.y_val, self.predictor.predict(self.x_val), self.shots)
        yield self._epoch(0, 1, found, True, seconds)

    def _fitted(self, params: Mapping[str, Any]) -> Any:
        new = new_estimator(self.name, params, loss=self.loss, seed=self.recipe.seed, nominal=self.nominal)
        try:
            fitted = new.fit(self.x, self.y, sample_weight=self.weight)
        except (TypeError, ValueError) as error:
            raise InputError(f"the parameters of {self.name} do not work: {error}") from error
        if self.name == "forest":
            fitted.n_jobs = 1  # several threads add the trees up in any order, and the last digits change
        return fitted

    def _epoch(self, count: int, most: int, validation: dict[str, float], best: bool, since: float) -> Epoch:
        rate = float(self.params.get("learning_rate", 0.0))
        return Epoch(0, count, most, {}, validation, rate, time.perf_counter() - since, best)
