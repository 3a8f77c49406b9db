"""Plain models beside a fitted one, on the same split: LightGBM, a constant, the plain network of a stack."""

import numpy as np
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.backends.stack.experts import PLAIN
from tailwise.backends.stack.stacked_model import StackedModel
from tailwise.data.task import Task
from tailwise.experiment.evaluate import PredictedPart
from tailwise.experiment.fit import start
from tailwise.experiment.leaderboard import CONSTANT, RIVALS, Rival, Standing
from tailwise.experiment.model import FittedModel
from tailwise.experiment.spec import Experiment
from tailwise.metrics.errors import weighted_median
from tailwise.metrics.region_errors import error_as_rows_come, zero_rows
from tailwise.training.recipe import Recipe

LIGHTGBM = "plain LightGBM"
_MODEL = "lightgbm"
_MOST_ROWS = 100_000


def references(
    task: Task, predicted: PredictedPart, experiment: Experiment, *, name: str
) -> tuple[tuple[Standing, ...], Rival]:
    """Return the errors of a model, of plain LightGBM and of a constant on the same rows, and the model's rival.

    The rival is LightGBM, or the constant where LightGBM is left out.

    LightGBM is trained with its default parameters on the task's training rows, and stops early on its validation rows.
    It is left out of more than 100,000 training rows, of rows that are not in memory, and of images, texts and
    signals, and where the model is itself plain LightGBM. The constant is the median of the training labels.

    Args:
        task: the data, with one target.
        predicted: the model's predictions of one part.
        experiment: what was trained.
        name: of the model.
    """
    y, shots, weight = predicted.y, task.shots, predicted.weight
    rows, _ = task.rows_of("train")
    rivals: list[Rival] = []
    plain = experiment.model == _MODEL and experiment.method == "vanilla"
    in_columns = bool(task.schema.columns) and not task.schema.media
    if not plain and in_columns and task.rows.in_memory and len(rows) <= _MOST_ROWS:
        running = start(task, Experiment("vanilla", _MODEL, recipe=Recipe(seed=experiment.recipe.seed)))
        for _ in running.fitting.epochs():
            pass
        rivals.append(Rival(LIGHTGBM, running.bare().predictions(task.rows_of(predicted.part)[0]).pred))
    rivals.append(Rival(CONSTANT, np.full(len(y), _median(task))))
    every = [(name, predicted.pred), *((rival.name, rival.pred) for rival in rivals)]
    return tuple(Standing.of(one, y, predicted.counted(pred), shots, weight) for one, pred in every), rivals[0]


def beaten_by_constant(task: Task, predicted: PredictedPart) -> str:
    """Return a sentence if always predicting the median of the training labels has a lower error as rows come.

    Empty if the error of the model is at most that of the constant, of no rows, and of several targets.

    Args:
        task: the data.
        predicted: the model's predictions of one part.
    """
    y, shots = predicted.y, task.shots
    if y.ndim > 1 or not len(y):
        return ""
    median = _median(task)
    constant = predicted.counted(np.full(len(y), median))
    ours, theirs = (
        error_as_rows_come(y, pred, shots, sample_weight=predicted.weight) for pred in (predicted.counted(), constant)
    )
    if ours <= theirs:
        return ""
    sentence = (
        f"As rows come, the error is larger than that of always predicting {number(median)} (the median of the "
        f"training labels): {number(ours)} against {number(theirs)}."
    )
    if not zero_rows(task.rows_of("train")[1]):
        return sentence
    return f"{sentence} Where many labels are 0, the MAE favours 0: compare means (RMSE) or the CRPS."


def _median(task: Task) -> float:
    """Return the median of the training labels, by the weights of their rows."""
    return weighted_median(task.rows_of("train")[1], task.weight_of("train"))


def plain_network(model: FittedModel, task: Task, part: str) -> Rival | None:
    """Return the predictions of a stack's plain network, the mean over its folds; ``None`` of other models.

    Args:
        model: a fitted model.
        task: the data.
        part: ``"train"``, ``"val"`` or ``"test"``.
    """
    if not isinstance(model.model, StackedModel):
        return None
    pred: NDArray[np.float64] = model.model.points_of(PLAIN, model.schema, task.rows_of(part)[0])
    return Rival(RIVALS[PLAIN], pred)
