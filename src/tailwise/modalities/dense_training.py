"""Train a method on images with dense maps: every pixel is a label."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from numpy.typing import NDArray
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.methods.build import Method, compose
from tailwise.methods.catalog import PARTS
from tailwise.methods.grammar import VANILLA, parse
from tailwise.metrics.depth import DepthErrors
from tailwise.modalities.dense import PreparedMaps
from tailwise.modalities.depth_net import DepthNet
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.map_batches import MapBatches
from tailwise.modalities.map_files import MapRows
from tailwise.training.epoch import Epoch
from tailwise.training.loop import Training, accelerator_for, seed_everything
from tailwise.training.recipe import Recipe

_SMALL = 128
_LEAST_BATCH, _MOST_BATCH = 4, 32
_IMAGES_AT_ONCE = 16
_CLIP = (0.2, 5.0)
_OF_ROWS = ("augment", "resample", "correction")


@dataclass(frozen=True)
class MapTraining:
    """A training in progress, its network, what it is trained on, and how."""

    training: Training
    network: DepthNet
    maps: PreparedMaps
    recipe: Recipe
    resumable: bool = True

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch."""
        return self.training.epochs()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything needed to go on after the last epoch: tensors, and numbers."""
        return self.training.state()

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave, bit for bit."""
        self.training.restore(tensors, numbers)


def map_training(
    maps: PreparedMaps, method: Method, recipe: Recipe, encoder: str = AUTO, *, augment: bool = True
) -> MapTraining:
    """Set up the training of a method on images with maps.

    The recipe's batch size is one of images; by default an eighth of the training images, from 4 to 32.

    Args:
        maps: prepared images with maps.
        method: what to train, of parts that take dense targets.
        recipe: how.
        encoder: see :class:`tailwise.modalities.depth_net.DepthNet`; ``"auto"`` is ``"small"`` for images of at most
            128 pixels a side, else ``"resnet18"``.
        augment: mirror training images, and change their colours.

    Raises:
        InputError: parts that do not take maps, an unknown encoder.
    """
    check_parts(method)
    accelerator_for(recipe)
    seed_everything(recipe.seed, 0, -2)
    small = "small" if max(maps.rows.size) <= _SMALL else "resnet18"
    network = DepthNet(small if encoder == AUTO else encoder)
    train, val = maps.places("train"), maps.places("val")
    size = recipe.batch_size or min(max(len(train) // 8, _LEAST_BATCH), _MOST_BATCH)
    batches = MapBatches(maps.rows, train, batch_size=size, augment=augment)

    def validate(current: nn.Module) -> Mapping[str, float]:
        return errors_of(current, maps, val).validation()

    training = Training(method, network, batches, maps.pixels, bins=maps.counts, validate=validate, recipe=recipe)
    return MapTraining(training, network, maps, recipe)


def map_method(name: str, params: Mapping[str, Mapping[str, Any]]) -> tuple[Method, dict[str, dict[str, Any]]]:
    """A method for maps, and its parameters: the clip of FDS, if none is given, is the authors' for depth, (0.2, 5).

    Neighbouring pixels are alike, so bins that few images reach have next to no variance, and ratios without a bound.

    Args:
        name: parts joined by ``+``.
        params: for each part a mapping of its parameters.

    Raises:
        InputError: what :func:`tailwise.methods.build.compose` refuses, parts that do not take maps.
    """
    given = {part: dict(values) for part, values in params.items()}
    if "fds" in name.split("+") and given.get("fds", {}).get("covariance") != "full":
        given["fds"] = {"clip": _CLIP} | given.get("fds", {})
    method = compose(name, **given)
    check_parts(method)
    return method, given


def check_parts(method: Method) -> None:
    """Raise unless every part of a method takes dense targets."""
    for name in [] if method.name == VANILLA else parse(method.name):
        part = PARTS[name]
        if "dense" not in part.targets or part.slot in _OF_ROWS:
            raise InputError(f"{name!r} is not for maps, whose pixels are the labels; leave it out of {method.name!r}")


def predicted_maps(network: Any, rows: MapRows, places: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """Predictions for some rows, each brought to the size of its image: bilinearly, ends on ends.

    Args:
        network: from images ``(B, 3, H, W)`` to maps, in evaluation mode.
        rows: all rows.
        places: positions of those to predict.
    """
    device = next(network.parameters()).device
    for start in range(0, len(places), _IMAGES_AT_ONCE):
        some = places[start : start + _IMAGES_AT_ONCE]
        with torch.inference_mode():
            small = network(torch.from_numpy(rows.decoded(some)).to(device)).unsqueeze(1)
            for i, place in enumerate(some):
                grown = F.interpolate(small[i : i + 1], size=rows.shapes[place], mode="bilinear", align_corners=True)
                yield grown[0, 0].float().cpu().numpy()


def errors_of(network: Any, maps: PreparedMaps, places: Sequence[int]) -> DepthErrors:
    """Errors of a network in evaluation mode on some rows, without masks."""
    errors = DepthErrors(maps.shots)
    for place, pred in zip(places, predicted_maps(network, maps.rows, places), strict=True):
        if not np.isfinite(pred).all():
            raise InputError("predictions are not finite; use a smaller --lr")
        errors.add(maps.rows.truths([place])[0], pred)
    return errors
