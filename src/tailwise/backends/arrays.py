"""Base classes of models that are not networks: rows as arrays in memory, training in one go, one saved file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, row_weights
from tailwise.backends.model_file import check_file, describe_file
from tailwise.backends.protocol import Between, Inputs, Outputs, Predictor
from tailwise.data.original_units import OriginalUnits, errors_in_original_units
from tailwise.data.preprocessing import nominal_inputs, transform_features
from tailwise.data.task import Task
from tailwise.labels.shots import Shots
from tailwise.methods.build import Method
from tailwise.methods.label_weights import loss_and_weights
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.saved_inputs import load_inputs
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

Training = Generator[Epoch, None, Predictor]


_FOR_ONE_THREAD = 500_000  # inputs


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
        reweighted: whether the method weights or resamples the rows, see
            :attr:`tailwise.methods.build.Method.reweights`.
        units: of transformed targets.
        loss_params: parameters that were given for the loss.
        weight_val: ``(m,)`` weights of the validation rows; ``None`` if all count the same.
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
    reweighted: bool = False
    units: OriginalUnits | None = None
    loss_params: Mapping[str, Any] = field(default_factory=dict)
    weight_val: NDArray[np.float64] | None = None

    @property
    def for_one_thread(self) -> bool:
        """Whether the inputs are so few that more threads gain nothing.

        They wait for each other many times a round, which takes up to a hundred times as long where another process
        uses their cores.
        """
        return self.x.size < _FOR_ONE_THREAD

    def errors(self, pred: NDArray[np.float64]) -> dict[str, float]:
        """Validation errors of predictions ``(m,)`` by name, original units."""
        return errors_in_original_units(self.y_val, pred, self.shots, self.units, weight=self.weight_val)


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
    sample_weight = row_weights(sample_weight, len(y))
    # Codes are those of the rows as they are: resampled ones may leave out whole categories.
    inputs = fit(features)
    features, y, origin = method.resample(features, y, seed=recipe.seed)
    if method.resampler is not None:
        task.note_resampling(method.name, len(y))
    x = transform_features(inputs.preprocessor, features, inputs.dtype)
    val, y_val = task.rows_of("val")
    loss, loss_params, weight = loss_and_weights(method, y, task.shots.scalar_bins, losses, model)
    if sample_weight is not None:
        weight = sample_weight[origin] * (1.0 if weight is None else weight)
        weight = weight / weight.mean()
    nominal = nominal_inputs(inputs.preprocessor, x.shape[1])
    x_val = inputs.of_frame(task.schema, val.frame())
    return Arrays(
        inputs, x, y, weight, loss, x_val, y_val, nominal, task.shots, method.reweights,
        units=task.units, loss_params=loss_params, weight_val=task.weight_of("val"),
    )  # fmt: skip


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
    out_of_fold = None

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
        training, limit = self._train(), _limit(self.rows)
        while True:
            with limit():
                try:
                    epoch = next(training)
                except StopIteration as end:
                    self._predictor = end.value
                    return
            yield epoch

    def state(self) -> "tuple[dict[str, Tensor], dict[str, Any]]":
        """Nothing: a training in one go has no state between epochs."""
        return {}, {}

    def restore(self, tensors: "dict[str, Tensor]", numbers: dict[str, Any]) -> None:  # noqa: ARG002
        """Refuse to go on.

        Raises:
            InputError: always.
        """
        raise InputError(f"model {self.name!r} is trained in one go and cannot be resumed; start without `resume`")


def _limit(rows: Arrays) -> Callable[[], AbstractContextManager[Any]]:
    """Return contexts inside which OpenMP has one thread, where rows are few."""
    if not rows.for_one_thread:
        return nullcontext
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return partial(ThreadpoolController().limit, limits=1, user_api="openmp")


class ArrayPredictor(ABC):
    """Base of a trained model in one file: a subclass sets ``file`` and implements :meth:`write` and :meth:`read`.

    Args:
        kind: name of the model.
        fitted: object of the library, with ``predict``.
    """

    file: str

    def __init__(self, kind: str, fitted: Any) -> None:
        self.kind, self.fitted = kind, fitted

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions, target units."""
        return np.asarray(self.fitted.predict(x), dtype=np.float64)

    def outputs(
        self,
        x: NDArray[np.float64],
        *,
        features: bool = False,  # noqa: ARG002
        predictive: bool = False,  # noqa: ARG002
    ) -> Outputs:
        """Return predictions; there are neither features nor predictive distributions."""
        return Outputs(self.predict(x))

    def cpu(self) -> None:  # noqa: B027 (it is a default)
        """Do nothing: the model is on the CPU."""

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the file into a folder; return its description."""
        path = folder / self.file
        self.write(path)
        return describe_file(self.kind, path)

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            OSError: a file that is missing.
            ValueError: a file that was altered.
        """
        return cls(str(description["kind"]), cls.read(check_file(folder / cls.file, description)))

    @abstractmethod
    def write(self, path: Path) -> None:
        """Write ``fitted`` without pickle."""

    @staticmethod
    @abstractmethod
    def read(path: Path) -> Any:
        """Return what :meth:`write` wrote, from a file whose digest was checked.

        Raises:
            ValueError: a file that the library cannot read.
        """


class ArrayBackend(ABC):
    """Base of a :class:`tailwise.backends.protocol.Backend` whose model is trained on arrays in one go.

    A subclass sets ``name``, ``losses``, ``varied`` and ``predictor``, and implements :meth:`parameters` and
    :meth:`train`.
    """

    name: str
    losses: Collection[str]
    varied: Mapping[str, Between] = {}
    predictor: type[ArrayPredictor]
    dtype = np.float64

    @abstractmethod
    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of the model; see :meth:`tailwise.backends.protocol.Backend.parameters`."""

    @abstractmethod
    def train(self, rows: Arrays, recipe: Recipe, params: Mapping[str, Any]) -> Training:
        """Train: a generator of epochs that returns the predictor.

        Raises:
            InputError: parameters that the library refuses.
        """

    def check_installed(self) -> None:  # noqa: B027 (it is a default)
        """Raise if an optional package of the model is not installed."""

    def fit_inputs(self, features: pd.DataFrame) -> TableInputs:
        """Return the conversion of rows to inputs: by default that of trees, with codes of categories."""
        return TableInputs.fit_trees(features)

    def start(
        self,
        task: Task,
        method: Method,
        recipe: Recipe,
        *,
        params: Mapping[str, Any],
        encoder: str = AUTO,  # noqa: ARG002
        sample_weight: NDArray[np.float64] | None = None,
    ) -> ArrayFitting:
        """Set up a training."""
        self.check_installed()
        checked = self.parameters(params)
        rows = arrays_of(
            task,
            method,
            recipe,
            model=self.name,
            losses=self.losses,
            fit=self.fit_inputs,
            sample_weight=sample_weight,
        )
        return ArrayFitting(self.name, recipe, rows, partial(self.train, rows, recipe, checked))

    def load(self, folder: Path, description: Mapping[str, Any]) -> ArrayPredictor:
        """Read a saved model."""
        return self.predictor.load(folder, description)

    def load_inputs(self, folder: Path, saved: Mapping[str, Any] | None, model: Predictor) -> Inputs:  # noqa: ARG002
        """Read saved inputs."""
        return load_inputs(folder, saved, self.dtype)

    def silence(self) -> None:  # noqa: B027 (it is a default)
        """Do nothing: most libraries print nothing."""
