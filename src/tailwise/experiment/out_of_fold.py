"""Inner cross-validation: predictions for the training and validation rows by models that did not see them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.task import Task
from tailwise.experiment.spec import Experiment
from tailwise.labels.shots import Shots
from tailwise.methods.build import Method
from tailwise.model_selection import StratifiedRegressionGroupKFold, StratifiedRegressionKFold


class Trained(Protocol):
    """A trained model, as far as the choice needs it; :class:`tailwise.experiment.model.FittedModel` is one."""

    def calibrated(self, task: Task, correction: Any = None, /, *, intervals: bool = True) -> "Trained":
        """Return the model with a correction fitted to the validation rows of a task."""

    def predict(self, frame: Any, /) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions."""


Train = Callable[[Task, Method], Trained]


@dataclass(frozen=True)
class Inner:
    """Out-of-fold predictions of one candidate, or why there are none.

    Args:
        candidate: whose.
        pred: ``(n,)`` predictions for the rows that have a fold, target units; none if it failed.
        seconds: the trainings took.
        failed: the reason.
    """

    candidate: Experiment
    pred: NDArray[np.float64] | None
    seconds: float
    failed: str | None = None


def fold_of_rows(
    table: Task, folds: int, *, groups: NDArray[np.generic] | None = None, seed: int = 0
) -> NDArray[np.int64]:
    """``(n,)`` fold of each row, -1 for those of the test part, which no fold holds.

    Training and validation rows are dealt out apart, so that what is left of them when a fold is held out still trains
    and validates in the outer proportion. Each fold has its share of every stretch of the target; with groups, whole
    groups, and no more folds than either part has groups.

    Args:
        table: a prepared table.
        folds: how many.
        groups: ``(n,)`` group of each row.
        seed: of the dealing.

    Raises:
        InputError: fewer than two groups, or rows, in one of the parts.
    """
    parts = [np.flatnonzero(table.part == part) for part in ("train", "val")]
    units = [len(rows) if groups is None else len(np.unique(groups[rows])) for rows in parts]
    folds = min(folds, *units)
    if folds < 2:
        what = "rows" if groups is None else "groups"
        raise InputError(
            f"method 'auto' needs at least 2 {what} for training and 2 for validation, "
            f"got {units[0]} and {units[1]}; name a method"
        )
    fold = np.full(len(table.y), -1)
    for rows in parts:
        y = table.y[rows]
        if groups is None:
            dealt = StratifiedRegressionKFold(folds, random_state=seed).split(y.reshape(-1, 1), y)
        else:
            dealt = StratifiedRegressionGroupKFold(folds, random_state=seed).split(y.reshape(-1, 1), y, groups[rows])
        for number, (_, held) in enumerate(dealt):
            fold[rows[held]] = number
    return fold


def out_of_fold(
    table: Task,
    fold: NDArray[np.int64],
    candidates: Sequence[Experiment],
    train: Train,
    *,
    budget: float | None = None,
) -> Iterator[Inner]:
    """Predictions of each candidate for every row that has a fold, in the order of the candidates.

    Candidates that differ in nothing but the correction of finished predictions share their trainings.

    Args:
        table: a prepared table; its test rows are not touched.
        fold: ``(n,)`` from :func:`fold_of_rows`.
        candidates: what to train, the first of which has all the time it needs.
        train: from a table and a method to a model.
        budget: seconds after which no training is started any more; a candidate that is not finished is left out.
    """
    tables = [_without(table, fold, number) for number in range(int(fold.max()) + 1)]
    kept: dict[str, list[Trained]] = {}
    started = time.perf_counter()
    for place, candidate in enumerate(candidates):
        began = time.perf_counter()
        method = candidate.compose()
        plain, correction = replace(method, correction=None), method.correction
        key = repr((plain.stages, plain.resampler))
        models = kept.setdefault(key, [])
        pred = np.full(len(table.y), np.nan)
        try:
            for number, inner in enumerate(tables):
                if len(models) <= number:
                    if place and budget is not None and time.perf_counter() - started > budget:
                        return
                    models.append(train(inner, plain))
                rows, _ = inner.rows_of("test")
                fitted = models[number].calibrated(inner, correction, intervals=False)
                pred[fold == number] = fitted.predict(rows)
        except Exception as error:  # a defect of one candidate must not lose the choice among the others
            if not place:
                raise
            said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            yield Inner(candidate, None, time.perf_counter() - began, said)
            continue
        yield Inner(candidate, pred[fold >= 0], time.perf_counter() - began)


def _without(table: Task, fold: NDArray[np.int64], number: int) -> Task:
    """The table with one fold as its test rows and its own test rows left out."""
    part = np.where(fold == number, "test", np.where(fold < 0, "masked", table.part))
    shots = table.shots
    counts = shots.bins.histogram(table.y[part == "train"])
    inner = Shots(shots.bins, counts, many=shots.many, few=shots.few, gaps=shots.gaps)
    return replace(table, part=part, shots=inner, notes=[])
