"""Start the training of any model by name: one way for the command, the estimators and the grid."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, one_of
from tailwise.backends.names import AUTO, ENCODERS, MODELS, NETWORK, load_backend
from tailwise.backends.protocol import Fitting
from tailwise.data.task import Task
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.methods.method import Method


def start_training(
    table: Task,
    method: "Method",
    recipe: Recipe,
    *,
    model: str = NETWORK,
    encoder: str = AUTO,
    params: Mapping[str, Any] | None = None,
    sample_weight: ArrayLike | None = None,
) -> Fitting:
    """Set up the training of a model.

    Args:
        table: a prepared table.
        method: what to train.
        recipe: how.
        model: one of :data:`tailwise.backends.names.MODELS`.
        encoder: of a network, one of :data:`tailwise.backends.names.ENCODERS`, or ``"auto"``.
        params: parameters of the encoder, or of the model that is not a network.
        sample_weight: ``(n,)`` weights of the training rows. A network draws rows in proportion to them, with
            replacement; of other models they are multiplied by the weights of the method.

    Raises:
        InputError: a model, encoder or parameter that does not exist, parts of the method that do not fit
            the model, several targets for a model of one, weights that are not one number of at least 0 a row.
    """
    one_of(model, "model", MODELS)
    one_of(encoder, "encoder", (AUTO, *ENCODERS))
    weight = None if sample_weight is None else _checked_weight(sample_weight, int((table.part == "train").sum()))
    return load_backend(model).start(table, method, recipe, params=params or {}, encoder=encoder, sample_weight=weight)


def _checked_weight(sample_weight: ArrayLike, n: int) -> NDArray[np.float64]:
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        raise InputError(f"sample_weight must have one number for each of the {n} training rows, got {weight.shape}")
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise InputError("sample_weight must hold finite numbers of at least 0, some above 0")
    return weight
