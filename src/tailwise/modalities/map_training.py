"""Train a method on images with dense maps: every pixel is a label."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.methods.build import Method
from tailwise.metrics.depth import DepthErrors
from tailwise.modalities.depth_net import DepthNet
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.map_batches import MapBatches
from tailwise.modalities.map_method import check_parts
from tailwise.modalities.map_network import MapInputs, MapNetwork, full_size_maps
from tailwise.modalities.map_task import PreparedMaps
from tailwise.training.epoch import Epoch
from tailwise.training.loop import Training, accelerator_for, seed_everything
from tailwise.training.recipe import Recipe

_SMALL = 128
_LEAST_BATCH, _MOST_BATCH = 4, 32


@dataclass(frozen=True)
class MapFitting:
    """A training in progress on maps.

    Args:
        training: the training of the network.
        predictor: the network.
        inputs: from rows to its inputs.
        recipe: how it is trained.
        resumable: whether :meth:`state` can be saved after each epoch.
    """

    training: Training
    predictor: MapNetwork
    inputs: MapInputs
    recipe: Recipe
    resumable: bool = True

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch."""
        return self.training.epochs()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything needed to go on after the last epoch: tensors, and numbers."""
        return self.training.state()

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from what :meth:`state` returned, bit for bit."""
        self.training.restore(tensors, numbers)


def start(
    task: PreparedMaps,
    method: Method,
    recipe: Recipe,
    *,
    encoder: str = AUTO,
    params: Mapping[str, Any] | None = None,
    sample_weight: NDArray[np.float64] | None = None,
) -> MapFitting:
    """Set up the training of a method on images with maps.

    The recipe's batch size counts images; by default it is an eighth of the training images, from 4 to 32.

    Args:
        task: prepared images with maps.
        method: what to train, of parts that take dense targets.
        recipe: how.
        encoder: see :class:`tailwise.modalities.depth_net.DepthNet`; ``"auto"`` is ``"small"`` for images of at most
            128 pixels a side, else ``"resnet18"``.
        params: must be empty: the encoder has no parameters.
        sample_weight: must not be given: images are drawn evenly.

    Raises:
        InputError: parts that do not take maps, an unknown encoder, parameters or weights.
    """
    check_parts(method)
    if params:
        raise InputError(f"the encoder of maps takes no parameters, got {sorted(params)}")
    if sample_weight is not None:
        raise InputError("`sample_weight` is for tables alone; leave it out")
    accelerator_for(recipe)
    seed_everything(recipe.seed, 0, -2)
    network = DepthNet(_encoder_for(task.rows.size) if encoder == AUTO else encoder)
    train, _ = task.rows_of("train")
    batches = MapBatches(
        train, batch_size=recipe.batch_size or _batch_size(len(train)), augment=task.schema.settings.augment
    )

    def validate(current: nn.Module) -> Mapping[str, float]:
        return _errors(current, task, "val").validation()

    training = Training(method, network, batches, task.pixels, bins=task.counts, validate=validate, recipe=recipe)
    return MapFitting(training, MapNetwork(network), MapInputs(), recipe)


def _encoder_for(size: tuple[int, int]) -> str:
    return "small" if max(size) <= _SMALL else "resnet18"


def _batch_size(n_images: int) -> int:
    return min(max(n_images // 8, _LEAST_BATCH), _MOST_BATCH)


def _errors(model: nn.Module, task: PreparedMaps, part: str) -> DepthErrors:
    """Return the errors of a model in evaluation mode on one part."""
    errors = DepthErrors(task.shots)
    rows, truths = task.rows_of(part)
    predictions = (pred for x in MapInputs().pieces(task.schema, rows) for pred in full_size_maps(model, x))
    for truth, pred in zip(truths, predictions, strict=True):
        if not np.isfinite(pred).all():
            raise InputError("predictions are not finite; use a smaller `lr`")
        errors.add(truth, pred)
    return errors
