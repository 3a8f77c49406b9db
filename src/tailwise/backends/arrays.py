"""Train models that are not networks: rows as arrays in memory, and the training of a model on them."""

from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.backends.parameters import check_weight
from tailwise.backends.protocol import Predictor
from tailwise.data.preprocessing import nominal_inputs, transform_features
from tailwise.data.task import Task
from tailwise.labels.shots import Shots
from tailwise.methods.build import Method
from tailwise.methods.label_weights import loss_and_weights
from tailwise.metrics.region_errors import validation_errors
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

Training = Generator[Epoch, None, Predictor]


@dataclass(frozen=True)
class Arrays:
    """Training and validation rows as arrays, with the loss and the weights of a method.

    Args:
        inputs: conversion of rows to arrays.
        x: ``(n, p)`` inputs of the training rows.
        y: ``(n,)`` their targets.
        weight: ``(n,)`` their weights, of mean 1; ``None`` if all count the same.
        loss: name of the loss, one of those of the model.
        x_val: ``(m, p)`` inputs of the validation rows.
        y_val: ``(m,)`` their targets.
        nominal: ``(p,)`` which inputs come from nominal columns: for trees, those that are codes of categories.
        shots: bins and regions of the target.
    """

    inputs: TableInputs
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    weight: NDArray[np.float64] | None
    loss: str
    x_val: NDArray[np.float64]
    y_val: NDArray[np.float64]
    nominal: NDArray[np.bool_]
    shots: Shots

    def errors(self, pred: NDArray[np.float64]) -> dict[str, float]:
        """Validation errors of predictions ``(m,)`` by name, target units."""
        return validation_errors(self.y_val, pred, self.shots)


def arrays_of(
    task: Task,
    method: Method,
    recipe: Recipe,
    *,
    model: str,
    losses: Collection[str],
    fit: Callable[[pd.DataFrame], TableInputs],
    sample_weight: NDArray[np.float64] | None = None,
) -> Arrays:
    """Convert the rows of a task to arrays: resampled, and with weights.

    Args:
        task: a prepared table, in memory.
        method: weights, a loss, resampling and corrections.
        recipe: its seed is that of the resampling.
        model: name of the model.
        losses: of a method that the model can minimise.
        fit: from features of training rows to the conversion of rows.
        sample_weight: ``(n,)`` of the training rows; multiplied by the weights of the method.

    Raises:
        InputError: parts of a method that belong to networks, several targets, rows that are not in memory, weights
            that do not work.
    """
    k = len(task.schema.targets)
    if k > 1:
        raise InputError(f"model {model!r} predicts one target, and there are {k}; use the network")
    features, y = task.training_features()
    if sample_weight is not None:
        check_weight(sample_weight, len(y))
    # Codes are those of the rows as they are: resampled ones may leave out whole categories.
    inputs = fit(features)
    features, y, origin = method.resample(features, y, seed=recipe.seed)
    if method.resampler is not None:
        task.note_resampling(method.name, len(y))
    x = transform_features(inputs.preprocessor, features, inputs.dtype)
    val, y_val = task.rows_of("val")
    loss, weight = loss_and_weights(method, y, task.shots.scalar_bins, losses, model)
    if sample_weight is not None:
        weight = sample_weight[origin] * (1.0 if weight is None else weight)
        weight = weight / weight.mean()
    nominal = nominal_inputs(inputs.preprocessor, x.shape[1])
    return Arrays(inputs, x, y, weight, loss, inputs.of_frame(task.schema, val.frame()), y_val, nominal, task.shots)


class ArrayFitting:
    """Training of a model that is not a network: in one go, so that it cannot be resumed.

    Args:
        name: of the model.
        recipe: how it is trained.
        rows: training and validation rows.
        train: function that trains: a generator of epochs that returns the predictor.
    """

    resumable = False
    encoder = None

    def __init__(self, name: str, recipe: Recipe, rows: Arrays, train: Callable[[], Training]) -> None:
        self.name, self.recipe, self.rows = name, recipe, rows
        self._train = train
        self._predictor: Predictor | None = None

    @property
    def inputs(self) -> TableInputs:
        """Conversion of rows to inputs."""
        return self.rows.inputs

    @property
    def predictor(self) -> Predictor:
        """The trained model.

        Raises:
            RuntimeError: before the epochs have ended.
        """
        if self._predictor is None:
            raise RuntimeError(f"model {self.name!r} is trained when epochs() has ended")
        return self._predictor

    def epochs(self) -> Iterator[Epoch]:
        """Train, one :class:`Epoch` a round of boosting; the best round is kept."""
        self._predictor = yield from self._train()

    def state(self) -> "tuple[dict[str, Tensor], dict[str, Any]]":
        """Nothing: a training in one go has no state between epochs."""
        return {}, {}

    def restore(self, tensors: "dict[str, Tensor]", numbers: dict[str, Any]) -> None:  # noqa: ARG002
        """Refuse to go on.

        Raises:
            InputError: always.
        """
        raise InputError(f"model {self.name!r} is trained in one go and cannot be resumed; start without `resume`")
