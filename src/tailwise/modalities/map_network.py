"""A trained network of maps: images in, maps of their size out; saved and loaded without running code from a file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.heads.attach import attach_head
from tailwise.heads.head import as_head
from tailwise.modalities.depth_net import DepthNet
from tailwise.modalities.map_rows import MapRows
from tailwise.modalities.map_schema import MapSchema

IMAGES_AT_ONCE = 16
_WEIGHTS = "model.safetensors"
_POINT = {"kind": "dense"}


@dataclass(frozen=True)
class Images:
    """Inputs of a network of maps.

    Args:
        pixels: ``(n, 3, H, W)`` bytes of images of one size.
        shapes: height and width of each image as stored.
    """

    pixels: Tensor
    shapes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class MapInputs:
    """Turn rows into the inputs of a network of maps. There is nothing to fit."""

    def pieces(self, schema: MapSchema, rows: MapRows) -> Iterator[Images]:  # noqa: ARG002  as of other inputs
        """Return the inputs of at most 16 rows at a time."""
        return (Images(torch.from_numpy(piece.decoded()), piece.shapes) for piece in rows.pieces(IMAGES_AT_ONCE))

    def save(self, folder: Path) -> None:
        """Write nothing."""


class MapNetwork:
    """A network of maps.

    Args:
        model: from images to maps of half their size.
    """

    def __init__(self, model: DepthNet) -> None:
        self.model = model

    def predict(self, x: Images) -> list[NDArray[np.float32]]:
        """Return a map ``(H, W)`` for each image, of the image's stored size, target units."""
        self.model.eval()
        return full_size_maps(self.model, x)

    @property
    def has_distributions(self) -> bool:
        """Whether the head gives a distribution for each pixel."""
        return bool(as_head(self.model.head).shape["kind"] == "dense-mixture")

    def decided(
        self, x: Images, decide: Callable[[Any], Sequence[NDArray[np.float64]]]
    ) -> list[list[NDArray[np.float32]]]:
        """Return maps of decisions for each image, of the image's stored size, target units.

        Decisions are made at the network's own size, half the image's, for the pixels of one image at a time, and then
        brought to full size as predictions are.

        Args:
            x: images.
            decide: from the distributions of n pixels to one or more decisions ``(n,)``, one map each.

        Raises:
            InputError: a network without distributions.
        """
        self.model.eval()
        head, device = as_head(self.model.head), next(self.model.parameters()).device
        maps = []
        with torch.inference_mode():
            outputs = head.outputs(self.model.encode(x.pixels.to(device)))
            for i, shape in enumerate(x.shapes):
                distributions = head.predictive(outputs[i : i + 1])
                if distributions is None:
                    raise InputError("this network has no distributions; train it with `method='mixture'`")
                small = (torch.from_numpy(one).float().view(outputs.shape[1:3]) for one in decide(distributions))
                maps.append([_enlarged(one, shape) for one in small])
        return maps

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights into a folder, and return the description that :meth:`load` needs."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
        save_file(tensors, folder / _WEIGHTS)
        return {"encoder": self.model.shape, "head": dict(as_head(self.model.head).shape)}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> "MapNetwork":
        """Read what :meth:`save` wrote."""
        model = DepthNet(description["encoder"])
        attach_head(model, description.get("head", _POINT))  # models before these have no other head
        model.load_state_dict(load_file(folder / _WEIGHTS))
        return cls(model.eval())


def full_size_maps(model: nn.Module, x: Images) -> list[NDArray[np.float32]]:
    """Return the predictions of a model in evaluation mode, each brought to the size of its image.

    Interpolation is bilinear, with corners at corners.

    Args:
        model: from images ``(B, 3, H, W)`` to maps.
        x: images.
    """
    device = next(model.parameters()).device
    with torch.inference_mode():
        small = model(x.pixels.to(device))
        return [_enlarged(small[i], shape) for i, shape in enumerate(x.shapes)]


def _enlarged(small: Tensor, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return a map of another height and width."""
    full = F.interpolate(small[None, None], size=shape, mode="bilinear", align_corners=True)
    pixels: NDArray[np.float32] = full[0, 0].float().cpu().numpy()
    return pixels
