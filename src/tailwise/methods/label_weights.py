"""Weights and losses of a method, for models that are not networks."""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array
from tailwise._part import Setting
from tailwise.labels.bins import Bins
from tailwise.methods.build import Method, compose
from tailwise.methods.filling import Filling


def label_weights(name: str, y_train: ArrayLike, bins: Bins | None = None, **params: Any) -> Any:
    """Build weights of labels from parts of a method.

    Args:
        name: parts of the slots weights and density: ``"sqinv+lds"``, ``"denseweight"``.
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target; ``Bins.auto(y_train)`` if not given.
        **params: for each part a mapping of its parameters.

    Returns:
        An object with ``sample_weight(y)``, mean 1 over the training labels.

    Raises:
        InputError: parts of other slots, no part of the slot weights, parameters that do not work.

    Example:
        >>> label_weights("inv", [0.0, 0.0, 0.0, 9.0]).sample_weight([0.0, 9.0]).round(2).tolist()
        [0.67, 2.0]
    """
    method = compose(name, **params)
    by_slot = _by_slot(method)
    others = [filling.name for slot, filling in by_slot.items() if slot not in ("weights", "density")]
    if others or method.correction is not None or method.resampler is not None or "weights" not in by_slot:
        raise InputError(
            f"weights {name!r} must be parts that give weights, such as 'sqinv+lds' or 'denseweight'"
            + (f"; {others[0]!r} acts in the training of a network" if others else "")
        )
    return _weights(by_slot, label_array(y_train, "y_train"), bins)


def loss_and_weights(
    method: Method, y_train: ArrayLike, bins: Bins, losses: Collection[str], model: str
) -> tuple[str, dict[str, Any], NDArray[np.float64] | None]:
    """Return the loss, its parameters and the weights of the training rows, for a model that is not a network.

    Args:
        method: of one stage, with weights, a loss, resampling or a correction.
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target.
        losses: names of the losses that the model can minimise beside the squared error.
        model: name of the model, for messages.

    Returns:
        ``"mse"`` or another of ``losses``, parameters that were given for it, and weights ``(n,)`` of mean 1, ``None``
        if all rows count the same.
        ``sera`` is the squared error weighted by φ.

    Raises:
        InputError: parts that only networks can be trained with.
    """
    y = label_array(y_train, "y_train")
    by_slot = _by_slot(method)
    loss = by_slot.pop("loss", None)
    others = [filling.name for slot, filling in by_slot.items() if slot not in ("weights", "density")]
    if loss is not None and loss.name not in (*losses, "sera"):
        others.append(loss.name)
    if len(method.stages) > 1:
        others.append(method.name)
    if any(stage.objects for stage in method.stages):
        others.append("an object")
    if others:
        raise InputError(
            f"{others[0]!r} acts in the training of a network; `model={model!r}` takes weights such as sqinv+lds, "
            f"{', '.join(name for name in (*losses, 'sera') if name != 'mse')}, resamplers and corrections"
        )
    if loss is not None:
        loss.check_labels(float(y.min()))
    weight = None if "weights" not in by_slot else _weights(by_slot, y, bins).sample_weight(y)
    if loss is not None and loss.name == "sera":
        phi = loss.make(Setting(y, bins)).relevance(torch.from_numpy(y)).double().numpy()
        weight = phi if weight is None else phi * weight
        weight = weight / weight.mean()
    if loss is None or loss.name == "sera":
        return "mse", {}, weight
    return loss.name, dict(loss.params), weight


def _by_slot(method: Method) -> dict[str, Filling]:
    return {filling.part.slot: filling for stage in method.stages for filling in stage.fillings}


def _weights(by_slot: dict[str, Filling], y: NDArray[np.float64], bins: Bins | None) -> Any:
    if bins is None:
        bins = Bins.auto(y) if y.min() < y.max() else Bins.from_edges([y[0] - 1, y[0] + 1])
    setting = Setting(y, bins)
    density = by_slot["density"].make(setting) if "density" in by_slot else None
    takes_density = "density" in by_slot["weights"].part.hidden
    return by_slot["weights"].make(setting, **({"density": density} if takes_density else {}))
