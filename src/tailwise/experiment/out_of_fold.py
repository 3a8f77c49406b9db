"""Inner cross-validation: predictions for the training and validation rows from models not trained on them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.calibration.corrections import Fitting
from tailwise.data.task import Task
from tailwise.experiment.spec import Experiment
from tailwise.labels.shots import Shots
from tailwise.methods.build import Method
from tailwise.model_selection import StratifiedRegressionGroupKFold, StratifiedRegressionKFold


class Trained(Protocol):
    """A trained model without a correction, such as :class:`tailwise.experiment.model.FittedModel`."""

    def predict(self, frame: Any, /) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions."""


Train = Callable[[Task, Method], Trained]


@dataclass(frozen=True)
class Inner:
    """Out-of-fold predictions of one candidate, or the error that prevented them.

    Args:
        candidate: method that was cross-validated.
        pred: ``(n,)`` predictions for the rows that have a fold, target units; ``None`` if it failed.
        seconds: duration of trainings and predictions.
        failed: message of the error; ``None`` if it did not fail.
    """

    candidate: Experiment
    pred: NDArray[np.float64] | None
    seconds: float
    failed: str | None = None


@dataclass
class _TrainedFold:
    """A model trained without one fold, and its predictions, computed once for all corrections.

    Args:
        task: the table whose test rows are the fold.
        model: trained on its training rows.
    """

    task: Task
    model: Trained

    def predict(self, correction: Any) -> NDArray[np.float64]:
        """Return predictions for the fold, with a correction that is fitted to the validation rows if one is given."""
        if correction is None:
            return self._fold_pred
        task = self.task
        y_train, y_val = task.rows_of("train")[1], task.rows_of("val")[1]
        fitted = correction.fit(Fitting(y_train, task.shots.scalar_bins, y_val, self._val_pred))
        pred: NDArray[np.float64] = fitted(self._fold_pred)
        return pred

    @cached_property
    def _fold_pred(self) -> NDArray[np.float64]:
        return self.model.predict(self.task.rows_of("test")[0])

    @cached_property
    def _val_pred(self) -> NDArray[np.float64]:
        return self.model.predict(self.task.rows_of("val")[0])


def fold_of_rows(
    table: Task, folds: int, *, groups: NDArray[np.generic] | None = None, seed: int = 0
) -> NDArray[np.int64]:
    """Assign rows to folds: ``(n,)`` fold of each row, -1 for the test rows.

    Training and validation rows are assigned separately, so that the rows outside a fold have the same proportion of
    training to validation rows as the table. Folds are stratified over the target; with groups, a group is in one fold,
    and there are no more folds than either part has groups.

    Args:
        table: a prepared table.
        folds: number of folds.
        groups: ``(n,)`` group of each row.
        seed: random seed of the folds.

    Raises:
        InputError: fewer than two groups, or rows, in one of the parts.
    """
    parts = [np.flatnonzero(table.part == part) for part in ("train", "val")]
    units = [len(rows) if groups is None else len(np.unique(groups[rows])) for rows in parts]
    folds = min(folds, *units)
    if folds < 2:
        unit = "rows" if groups is None else "groups"
        raise InputError(
            f"method 'auto' needs at least 2 {unit} for training and 2 for validation, "
            f"got {units[0]} and {units[1]}; name a method"
        )
    fold = np.full(len(table.y), -1)
    for rows in parts:
        y = table.y[rows]
        if groups is None:
            splits = StratifiedRegressionKFold(folds, random_state=seed).split(y.reshape(-1, 1), y)
        else:
            splits = StratifiedRegressionGroupKFold(folds, random_state=seed).split(y.reshape(-1, 1), y, groups[rows])
        for number, (_, held_out) in enumerate(splits):
            fold[rows[held_out]] = number
    return fold


def out_of_fold(
    table: Task,
    fold: NDArray[np.int64],
    candidates: Sequence[Experiment],
    train: Train,
    *,
    budget: float | None = None,
) -> Iterator[Inner]:
    """Yield predictions of each candidate for every row that has a fold, in the order of the candidates.

    Candidates that differ only in the correction of predictions have the same trained models and raw predictions.

    Args:
        table: a prepared table; its test rows are not used.
        fold: ``(n,)`` from :func:`fold_of_rows`.
        candidates: methods to cross-validate; the first is not subject to the budget.
        train: function of a table and a method that returns a model.
        budget: seconds after which no further training is started; an unfinished candidate is left out.
    """
    tables = [_without(table, fold, number) for number in range(int(fold.max()) + 1)]
    trained: dict[str, list[_TrainedFold]] = {}
    started = time.perf_counter()
    for place, candidate in enumerate(candidates):
        began = time.perf_counter()
        method = candidate.compose()
        plain, correction = replace(method, correction=None), method.correction
        models = trained.setdefault(repr((plain.stages, plain.resampler)), [])
        pred = np.full(len(table.y), np.nan)
        try:
            for number, inner in enumerate(tables):
                if len(models) <= number:
                    if place and budget is not None and time.perf_counter() - started > budget:
                        return
                    models.append(_TrainedFold(inner, train(inner, plain)))
                pred[fold == number] = models[number].predict(correction)
        except Exception as error:  # a defect of one candidate must not lose the choice among the others
            if not place:
                raise
            message = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            yield Inner(candidate, None, time.perf_counter() - began, message)
            continue
        yield Inner(candidate, pred[fold >= 0], time.perf_counter() - began)


def _without(table: Task, fold: NDArray[np.int64], number: int) -> Task:
    """Return the table with one fold as test rows, and without the table's test rows."""
    part = np.where(fold == number, "test", np.where(fold < 0, "masked", table.part))
    shots = table.shots
    counts = shots.bins.histogram(table.y[part == "train"])
    inner = Shots(shots.bins, counts, many=shots.many, few=shots.few, gaps=shots.gaps)
    return replace(table, part=part, shots=inner, notes=[])
