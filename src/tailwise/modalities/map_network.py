"""A trained network of maps: images in, maps of their size out; saved and loaded without running code from a file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tailwise.modalities.depth_net import DepthNet
from tailwise.modalities.map_rows import MapRows
from tailwise.modalities.map_schema import MapSchema

IMAGES_AT_ONCE = 16
_WEIGHTS = "model.safetensors"


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

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights into a folder, and return the description that :meth:`load` needs."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
        save_file(tensors, folder / _WEIGHTS)
        return {"encoder": self.model.shape}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> "MapNetwork":
        """Read what :meth:`save` wrote."""
        model = DepthNet(description["encoder"])
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
        small = model(x.pixels.to(device)).unsqueeze(1)
        maps = [
            F.interpolate(small[i : i + 1], size=shape, mode="bilinear", align_corners=True)
            for i, shape in enumerate(x.shapes)
        ]
        return [each[0, 0].float().cpu().numpy() for each in maps]
