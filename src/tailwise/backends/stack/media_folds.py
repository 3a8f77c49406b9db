"""A stack on images, texts and signals: a network a fold, and experts on the features that it gives."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from tailwise._files import packing_folder
from tailwise._parallel import in_parallel
from tailwise.backends.protocol import Fitting
from tailwise.backends.stack.encoded_rows import feature_task
from tailwise.backends.stack.experts import PLAIN, Expert
from tailwise.backends.stack.fitting import StackFitting
from tailwise.backends.stack.hurdle_experts import seen_by
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.trained_fold import TrainedFold, held_out_columns, packed, train_on, without_fold
from tailwise.data.task import Task
from tailwise.training.one_thread import one_thread
from tailwise.training.recipe import Recipe

_OF_NETWORK = 0.8  # of the seconds of a fold; the experts on its features have the rest


class MediaStackFitting(StackFitting):
    """A training of a stack on a table with media: fold by fold, since the experts of a fold share a network.

    Args:
        task: the data.
        recipe: of the experts.
        settings: experts, folds, parallel trainings.
        params: of the encoders, by modality.
    """

    def __init__(self, task: Task, recipe: Recipe, settings: StackSettings, params: Mapping[str, Any]) -> None:
        super().__init__(task, recipe, settings)
        self.params = params

    def _train(self, n_folds: int, started: float) -> Iterator[TrainedFold]:
        """Train all experts of each fold that lacks one."""
        first, finished = divmod(len(self.trained), len(self.experts))
        folds = range(first, n_folds)
        jobs = min(self.settings.workers, len(folds)) or 1
        packing = packing_folder()

        def calls() -> Iterator[Any]:
            for place, fold in enumerate(folds):
                seconds = self._seconds(time.perf_counter() - started, -(-(len(folds) - place) // jobs))
                yield delayed(train_media_fold)(
                    self.task, self.fold, fold, self.experts, self.recipe, self.params, seconds, packing
                )

        for trained in in_parallel(calls(), jobs=jobs, backend=self.settings.backend):
            yield from trained[finished:]
            finished = 0


def train_media_fold(
    task: Task,
    fold: NDArray[np.int64],
    number: int,
    experts: Sequence[Expert],
    recipe: Recipe,
    params: Mapping[str, Any],
    seconds: float | None = None,
    packing: Path | None = None,
) -> list[TrainedFold]:
    """Train a network without a fold, then the other experts on its features of the other folds and of the fold.

    No expert has seen the fold, directly or through the features. The network stops early on it, as all experts do.

    Args:
        task: a task with media.
        fold: ``(n,)`` fold of each row of the task, -1 for rows that take no part.
        number: the fold to leave out.
        experts: the experts, the plain network among them.
        recipe: of the stack.
        params: of the encoders, by modality.
        seconds: of training at most.
        packing: folder to pack the files of the models in.

    Returns:
        The plain network, then the other experts in their order.
    """
    started = time.perf_counter()
    inner = without_fold(task, fold, number)
    plain = next(expert for expert in experts if expert.name == PLAIN)
    others = [expert for expert in experts if expert.name != PLAIN]
    with one_thread():
        limit = None if seconds is None else _OF_NETWORK * seconds
        network = replace(plain, params={**plain.params, **params})
        fitting = train_on(inner, network, replace(recipe, criterion="mae", seconds=limit))
        columns, encoded = _encoded(fitting, inner, plain)
        trained = [packed(plain.name, number, columns, fitting, started, packing)]
        for place, expert in enumerate(others):
            began = time.perf_counter()
            left = None if seconds is None else max((seconds - began + started) / (len(others) - place), 1e-3)
            seen, _ = seen_by(expert, encoded, np.zeros(len(encoded.y), dtype=np.int64))
            head = train_on(seen, expert, replace(expert.recipe_for(recipe, seen.count("train")), seconds=left))
            columns = held_out_columns(head, encoded, expert)
            trained.append(packed(expert.name, number, columns, head, began, packing, on_features=True))
    return trained


def _encoded(fitting: Fitting, inner: Task, plain: Expert) -> tuple[NDArray[np.float64], Task]:
    """Return a network's predictions of the validation rows, and the task of learning on its features; one pass."""
    positions = np.flatnonzero(np.isin(inner.part, ["train", "val"]))
    columns: list[NDArray[np.float64]] = []
    features: list[Any] = []
    for x in fitting.inputs.pieces(inner.schema, inner.rows.select(positions)):
        outputs = fitting.predictor.outputs(x, features=True, predictive=bool(plain.levels))
        columns.append(plain.columns(outputs))
        features.append(outputs.features)
    held = inner.part[positions] == "val"
    return np.concatenate(columns)[held], feature_task(inner, positions, np.concatenate(features))
