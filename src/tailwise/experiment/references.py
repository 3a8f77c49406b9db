"""Errors of plain LightGBM and of a constant beside those of a model, on the same split."""

import numpy as np

from tailwise.data.task import Task
from tailwise.experiment.evaluate import PredictedPart
from tailwise.experiment.fit import start
from tailwise.experiment.leaderboard import CONSTANT, Standing
from tailwise.experiment.spec import Experiment
from tailwise.metrics.errors import weighted_median
from tailwise.training.recipe import Recipe

LIGHTGBM = "plain LightGBM"
_MODEL = "lightgbm"
_MOST_ROWS = 100_000


def references(task: Task, predicted: PredictedPart, experiment: Experiment, *, name: str) -> tuple[Standing, ...]:
    """Return the errors of a model, of plain LightGBM and of a constant on the same rows.

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
    rows, y_train = task.rows_of("train")
    standings = [Standing.of(name, y, predicted.pred, shots, weight)]
    plain = experiment.model == _MODEL and experiment.method == "vanilla"
    in_columns = bool(task.schema.columns) and not task.schema.media
    if not plain and in_columns and task.rows.in_memory and len(rows) <= _MOST_ROWS:
        running = start(task, Experiment("vanilla", _MODEL, recipe=Recipe(seed=experiment.recipe.seed)))
        for _ in running.fitting.epochs():
            pass
        pred = running.bare().predictions(task.rows_of(predicted.part)[0]).pred
        standings.append(Standing.of(LIGHTGBM, y, pred, shots, weight))
    median = weighted_median(y_train, task.weight_of("train"))
    standings.append(Standing.of(CONSTANT, y, np.full(len(y), median), shots, weight))
    return tuple(standings)
