"""Training of a stack: every expert on every fold, resumable fold by fold, then the combiner."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from torch import Tensor

from tailwise._checks import InputError
from tailwise._files import packing_folder
from tailwise._parallel import in_parallel
from tailwise.backends.protocol import OutOfFold, Outputs
from tailwise.backends.stack.combiner import Combiner, CombinerRecipe
from tailwise.backends.stack.experts import EVERY_LABEL, PLAIN, Expert
from tailwise.backends.stack.hurdle_combiner import HurdleCombiner, split_columns
from tailwise.backends.stack.hurdle_experts import hurdle_experts, learns_zeros_apart, seen_by
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.stacked_model import StackedModel, StackInputs, combiner_columns
from tailwise.backends.stack.trained_fold import TrainedFold, train_fold
from tailwise.data.task import Task
from tailwise.distributions.label_density import REACH
from tailwise.distributions.predictive import Predictive
from tailwise.labels.censoring import Censoring
from tailwise.model_selection import StratifiedRegressionGroupKFold, StratifiedRegressionKFold
from tailwise.training.checkpoint import under
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

_FEWEST_FOLDS = 2
_OF_EXPERTS = 0.8  # of a time limit; the combiner has the rest


class StackFitting:
    """A training of a stack in progress.

    Args:
        task: the data; training and validation rows are shared out over the folds.
        recipe: of the experts; its seed is that of the folds too.
        settings: experts, folds, parallel trainings.

    Attributes:
        known: folds that were trained before, by expert and fold, with this task and recipe; what is trained is added.
            A search over experts gives all its trainings the same.
    """

    resumable = True
    encoder = None

    def __init__(self, task: Task, recipe: Recipe, settings: StackSettings) -> None:
        self.task, self.recipe, self.settings = task, recipe, settings
        self.fold = folds_of(task, settings, recipe.seed)
        self.hurdle, note = learns_zeros_apart(task, self.fold) if settings.hurdle else (False, None)
        if note is not None and note not in task.notes:
            task.notes.append(note)
        self.experts: Sequence[Expert] = hurdle_experts(settings.chosen) if self.hurdle else settings.chosen
        self.trained: list[TrainedFold] = []
        self.known: dict[tuple[str, int], TrainedFold] = {}
        self._model: StackedModel | None = None
        self._out_of_fold: OutOfFold | None = None

    @property
    def inputs(self) -> StackInputs:
        """Conversion of rows to inputs; after the epochs."""
        return self.predictor.inputs

    @property
    def predictor(self) -> StackedModel:
        """The trained stack.

        Raises:
            RuntimeError: before the epochs have ended.
        """
        if self._model is None:
            raise RuntimeError("a stack is trained when epochs() has ended")
        return self._model

    @property
    def out_of_fold(self) -> OutOfFold | None:
        """Out-of-fold distributions of the training and validation rows; after the epochs."""
        return self._out_of_fold

    def epochs(self) -> Iterator[Epoch]:
        """Train expert by expert; one :class:`Epoch` a fold, whose errors are those of the fold left out."""
        n_folds, started = int(self.fold.max()) + 1, time.perf_counter()
        place = {expert.name: number for number, expert in enumerate(self.experts)}
        for one in self._train(n_folds, started):
            self.trained.append(one)
            seen, fold = seen_by(self.experts[place[one.expert]], self.task, self.fold)
            rows = fold == one.fold
            errors = seen.errors(seen.y[rows], one.columns[rows[self.fold == one.fold], 0], self._weight(rows))
            yield Epoch(place[one.expert], one.fold, n_folds, {}, errors, 0.0, one.seconds, best=True, model=one.expert)
        self._combine(
            None if self.settings.seconds is None else self.settings.seconds - (time.perf_counter() - started)
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything needed to go on after the last fold: tensors, and numbers."""
        tensors: dict[str, Tensor] = {}
        plain = []
        for place, one in enumerate(self.trained):
            arrays, values = one.to_tensors()
            tensors |= {f"{place}.{name}": array for name, array in arrays.items()}
            plain.append(values)
        return tensors, {"trained": plain}

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave.

        Raises:
            InputError: the state of another training.
        """
        try:
            self.trained = [
                TrainedFold.from_tensors(under(f"{place}.", tensors), plain)
                for place, plain in enumerate(numbers["trained"])
            ]
            if not {one.expert for one in self.trained} <= {expert.name for expert in self.experts}:
                raise ValueError("experts of another stack")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("the checkpoint does not fit this run; choose another `out`, or `overwrite` it") from error

    def _train(self, n_folds: int, started: float) -> Iterator[TrainedFold]:
        """Train what is missing, folds within experts; a time limit is shared out whenever a training begins."""
        wanted = [(expert, fold) for expert in self.experts for fold in range(n_folds)][len(self.trained) :]
        missing = [(expert, fold) for expert, fold in wanted if (expert.name, fold) not in self.known]
        jobs = min(self.settings.workers, len(missing)) or 1
        packing = packing_folder()

        def calls() -> Iterator[Any]:
            for place, (expert, fold) in enumerate(missing):
                seconds = self._seconds(time.perf_counter() - started, -(-(len(missing) - place) // jobs))
                yield delayed(train_fold)(self.task, self.fold, fold, expert, self.recipe, seconds, packing)

        fresh = in_parallel(calls(), jobs=jobs, backend=self.settings.backend)
        for expert, fold in wanted:
            if (expert.name, fold) not in self.known:
                self.known[expert.name, fold] = next(fresh)
            yield self.known[expert.name, fold]

    def _seconds(self, passed: float, rounds: int) -> float | None:
        """Return the seconds that a training may take where so many follow one another, for the budget to be kept."""
        if self.settings.seconds is None:
            return None
        return max((_OF_EXPERTS * self.settings.seconds - passed) / rounds, 1e-3)

    def columns(self) -> list[NDArray[np.float64]]:
        """Return each expert's out-of-fold predictions ``(n, c)`` of the rows in folds, see :meth:`Expert.columns`."""
        columns = []
        for expert in self.experts:
            folds = [one for one in self.trained if one.expert == expert.name]
            values = np.empty((len(self.fold), folds[0].columns.shape[1]))
            for one in folds:
                values[self.fold == one.fold] = one.columns
            columns.append(values[self.fold >= 0])
        return columns

    def _weight(self, rows: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        return None if self.task.weight is None else self.task.weight[rows]

    def _combine(self, seconds: float | None) -> None:
        """Fit the combiner to the out-of-fold predictions, in so many seconds."""
        rows = self.fold >= 0
        y, fold = self.task.y[rows], self.fold[rows]
        columns = self.columns()
        every = combiner_columns(self.experts, columns)
        learned, amounts = (y[y > 0], split_columns(every)[0]) if self.hurdle else (y, every)
        combiner = (HurdleCombiner if self.hurdle else Combiner).fit(
            every,
            y,
            fold,
            n_experts=len(self.settings.chosen),
            reach=_reach(learned, amounts, self.task.censoring),
            recipe=CombinerRecipe(seed=self.recipe.seed),
            seconds=seconds,
            weight=self._weight(rows),
            forward=self.task.time is not None,
            censoring=self.task.censoring,
        )
        known: Predictive = combiner.out_of_fold(every, fold)
        kept = self.trained
        points = {
            expert.name: one[:, 0]
            for expert, one in zip(self.experts, columns, strict=True)
            if expert.learns == EVERY_LABEL
        }
        if self.task.time is not None:
            # The first fold has no earlier one that a combiner could be fitted to. Only the last models know all rows.
            judged, last = fold > 0, int(fold.max())
            kept = [one for one in self.trained if one.fold == last]
            known, rows = known.select(np.flatnonzero(judged)), rows & (self.fold > 0)
            points = {name: point[judged] for name, point in points.items()}
        outputs = Outputs(known.median(), known.std(), None, known)
        self._out_of_fold = OutOfFold(rows, outputs, points, plain=PLAIN)
        self._model = StackedModel(self.experts, kept, combiner)


def _reach(y: NDArray[np.float64], columns: NDArray[np.float64], censoring: Censoring | None) -> tuple[float, float]:
    """Return the lowest and the highest prediction of an expert that the combiner believes.

    That is the range of the labels widened by ``REACH``. Where labels are censored true values may lie farther off, and
    the bound on that side is at least the farthest out-of-fold prediction.

    Args:
        y: ``(n,)`` labels that the combiner is fitted to.
        columns: ``(m, c)`` out-of-fold predictions.
        censoring: limits of the labels.
    """
    margin = REACH * float(np.ptp(y))
    low, high = float(y.min()) - margin, float(y.max()) + margin
    if censoring is not None and censoring.below is not None:
        low = min(low, float(columns.min()))
    if censoring is not None and censoring.above is not None:
        high = max(high, float(columns.max()))
    return low, high


def folds_of(task: Task, settings: StackSettings, seed: int) -> NDArray[np.int64]:
    """Return ``(n,)`` fold of each training and validation row, stratified by target, groups whole; -1 for the rest.

    Rows with a time are in folds of consecutive times, the earliest in none: a fold is predicted by models of the rows
    before it.

    Raises:
        InputError: fewer than two groups, fewer than three different times.
    """
    rows = np.flatnonzero(np.isin(task.part, ["train", "val"]))
    if task.time is not None:
        fold = np.full(len(task.y), -1)
        fold[rows] = forward_folds(task.time[rows], settings.folds_for(len(rows)))
        return fold
    y, n_folds = task.y[rows], settings.folds_for(len(rows))
    zeros = np.zeros((len(y), 1))
    if task.group is None:
        splits = StratifiedRegressionKFold(n_folds, random_state=seed).split(zeros, y)
    else:
        groups = task.group[rows]
        n_folds = min(n_folds, len(np.unique(groups)))
        if n_folds < 2:
            raise InputError("a stack needs rows of at least 2 groups, got 1; choose another `model`")
        splits = StratifiedRegressionGroupKFold(n_folds, random_state=seed).split(zeros, y, groups)
    fold = np.full(len(task.y), -1)
    for number, (_, held) in enumerate(splits):
        fold[rows[held]] = number
    return fold


def forward_folds(times: NDArray[np.float64], n_folds: int) -> NDArray[np.int64]:
    """Return the fold of each row in the order of time, of some equal sizes, rows of one time together; -1 first.

    Args:
        times: ``(n,)`` times.
        n_folds: number of folds, at least 2; fewer where there are too few different times.

    Raises:
        InputError: fewer than three different times.

    Example:
        >>> forward_folds(np.array([5.0, 1.0, 2.0, 3.0, 4.0, 6.0]), 2).tolist()
        [1, -1, -1, 0, 0, 1]
    """
    different, place, counts = np.unique(times, return_inverse=True, return_counts=True)
    if len(different) <= _FEWEST_FOLDS:
        raise InputError(
            f"a stack that looks forward in time needs training rows of at least {_FEWEST_FOLDS + 1} different times, "
            f"got {len(different)}; use `quality='fast'` or another `model`"
        )
    blocks = min(n_folds, len(different) - 1) + 1
    middle = (counts.cumsum() - counts / 2) / counts.sum()
    block = np.minimum((middle * blocks).astype(np.int64), blocks - 1)
    _, block = np.unique(block, return_inverse=True)  # a time with many rows may leave blocks empty
    if block.max() < _FEWEST_FOLDS:
        block = np.minimum(np.arange(len(different)), _FEWEST_FOLDS)
    return np.asarray(block[place] - 1, dtype=np.int64)
