"""Start the training of any model by name: one way for the command, the estimators and the grid."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sklearn.compose import ColumnTransformer

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS
from tailwise.data.task import Task
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.methods.method import Method


class TrainingOfTable(Protocol):
    """A training in progress."""

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""

    @property
    def preprocessor(self) -> ColumnTransformer:
        """From features to inputs."""

    @property
    def predictor(self) -> Any:
        """What is trained; of a model that is not a network only after the epochs."""

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch; then ``predictor`` is what was trained."""


def start_training(
    table: Task,
    method: "Method",
    recipe: Recipe,
    *,
    model: str = "network",
    encoder: str = AUTO,
    params: Mapping[str, Any] | None = None,
) -> TrainingOfTable:
    """Set up the training of a model.

    Args:
        table: a prepared table.
        method: what to train.
        recipe: how.
        model: one of :data:`tailwise.backends.names.MODELS`.
        encoder: of a network, one of :data:`tailwise.modalities.encoder_names.ENCODERS`, or ``"auto"``.
        params: parameters of the encoder, or of the model that is not a network.

    Raises:
        InputError: a model, encoder or parameter that does not exist, parts of the method that do not fit
            the model, several targets for a model of one.
    """
    one_of(model, "model", tuple(MODELS))
    one_of(encoder, "encoder", (AUTO, *ENCODERS))
    k = len(table.schema.targets)
    if model != "network" and k > 1:
        raise InputError(f"model {model!r} predicts one target, and there are {k}; use the network")
    if model == "network":
        from tailwise.backends.network_training import table_training

        return table_training(table, method, recipe, encoder, params=params)
    from tailwise.backends.classical_training import ClassicalTraining

    return ClassicalTraining(table, method, recipe, model, params)
