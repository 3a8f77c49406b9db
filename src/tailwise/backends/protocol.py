"""The protocol of models: a backend starts a fitting, which trains a predictor."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
from numpy.typing import NDArray

from tailwise.data.columns import Schema
from tailwise.data.rows import Rows
from tailwise.data.task import Task
from tailwise.distributions.vector_predictive import AnyPredictive
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from tailwise.methods.build import Method


@dataclass(frozen=True)
class Outputs:
    """Outputs of a model for some rows, from one pass.

    Args:
        pred: ``(n,)`` or ``(n, K)`` predictions, target units.
        std: ``(n,)`` standard deviations of the predictive distribution, target units; ``None`` if there is none.
        features: ``(n, d)`` features of the last layer; ``None`` if not asked for, or of a model without features.
        predictive: distributions of the labels; ``None`` if not asked for, or of a model that predicts numbers alone.
    """

    pred: "NDArray[np.float64]"
    std: "NDArray[np.float64] | None" = None
    features: "NDArray[np.float64] | None" = None
    predictive: AnyPredictive | None = None


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of rows by models that were not trained on them, where they are not those of the validation rows.

    Args:
        rows: ``(n,)`` which rows of the task.
        outputs: what is known of these rows.
        points: by name, ``(m,)`` predictions of the models that took part, target units.
        plain: name of the plain network among them.
    """

    rows: "NDArray[np.bool_]"
    outputs: Outputs
    points: "Mapping[str, NDArray[np.float64]]"
    plain: str


class Inputs(Protocol):
    """Conversion of rows to the inputs of a model, learnt from training rows."""

    def of_frame(self, schema: Schema, frame: pd.DataFrame, /) -> Any:
        """Inputs of the rows of a data frame."""

    def pieces(self, schema: Schema, rows: Rows, /) -> Iterator[Any]:
        """Inputs of rows, a piece at a time, in order."""

    def save(self, folder: Path, /) -> dict[str, Any] | None:
        """Write files into a folder; return their description for ``model.json``, if there is one."""


class Predictor(Protocol):
    """A trained model: inputs to outputs."""

    def outputs(self, x: Any, /, *, features: bool = False, predictive: bool = False) -> Outputs:
        """Outputs from one pass, features and distributions among them if asked for."""

    def predict(self, x: Any, /) -> "NDArray[np.float64]":
        """``(n,)`` or ``(n, K)`` predictions, target units."""

    def cpu(self) -> None:
        """Move to the CPU what is on another device."""

    def save(self, folder: Path, /) -> dict[str, Any]:
        """Write files into a folder; return a description for JSON, whose ``"kind"`` is the name of the backend."""


class Fitting(Protocol):
    """A training in progress."""

    @property
    def recipe(self) -> Recipe:
        """Settings of the training."""

    @property
    def inputs(self) -> Inputs:
        """Conversion of rows to inputs."""

    @property
    def predictor(self) -> Predictor:
        """The model; of one that is not a network only after the epochs."""

    @property
    def encoder(self) -> str | None:
        """Name of the encoder of a network; ``None`` of other models."""

    @property
    def out_of_fold(self) -> OutOfFold | None:
        """Predictions of rows that took part in the training; after the epochs; ``None`` of most models."""

    @property
    def resumable(self) -> bool:
        """Whether :meth:`state` and :meth:`restore` can be used."""

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch or round by round; after the last one ``predictor`` is the best of them."""

    def state(self) -> "tuple[dict[str, Tensor], dict[str, Any]]":
        """Everything needed to go on after the last epoch: tensors, and numbers for JSON."""

    def restore(self, tensors: "dict[str, Tensor]", numbers: dict[str, Any], /) -> None:
        """Go on from what :meth:`state` gave."""


@dataclass(frozen=True)
class Between:
    """Numbers from ``low`` to ``high``, evenly or evenly in their logarithm."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


class Backend(Protocol):
    """A kind of model: starts its training, and loads what was trained."""

    @property
    def name(self) -> str:
        """Its name, one of :data:`tailwise.backends.names.MODELS`."""

    @property
    def losses(self) -> Collection[str]:
        """Losses of a method that it can minimise, ``"mse"`` among them."""

    @property
    def dtype(self) -> Any:
        """Type of the numbers that it takes."""

    @property
    def varied(self) -> Mapping[str, Between]:
        """Parameters that a search varies."""

    def parameters(self, given: Mapping[str, Any], /) -> dict[str, Any]:
        """Parameters of the model: its defaults, then those that are given.

        Raises:
            InputError: a parameter that it does not have or that does not work.
        """

    def start(
        self,
        task: Task,
        method: "Method",
        recipe: Recipe,
        *,
        params: Mapping[str, Any],
        encoder: str = "auto",
        sample_weight: "NDArray[np.float64] | None" = None,
    ) -> Fitting:
        """Set up a training; see :func:`tailwise.experiment.fit.start`."""

    def load(self, folder: Path, description: Mapping[str, Any], /) -> Predictor:
        """Read what :meth:`Predictor.save` wrote, without running code from a file.

        Raises:
            ValueError: files that are missing, altered or of another kind.
        """

    def load_inputs(self, folder: Path, saved: Mapping[str, Any] | None, model: Predictor, /) -> Inputs:
        """Read the inputs of a loaded model; ``saved`` is what :meth:`Inputs.save` returned."""

    def check_installed(self) -> None:
        """Raise if an optional package of the model is not installed.

        Raises:
            InputError: a package that is not installed.
        """

    def silence(self) -> None:
        """Keep the library behind the model from printing, for a command that prints its own lines."""
