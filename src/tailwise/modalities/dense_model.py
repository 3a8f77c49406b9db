"""A trained network of maps as a folder that loads without running code from it: save, load, predict."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tailwise._checks import InputError
from tailwise.labels.shots import Shots
from tailwise.modalities.dense import MapSettings
from tailwise.modalities.dense_training import predicted_maps
from tailwise.modalities.depth_net import DepthNet
from tailwise.modalities.map_files import MapRows

FORMAT = "tailwise-maps-1"
_WEIGHTS, _DESCRIPTION = "model.safetensors", "model.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)


@dataclass(frozen=True)
class MapModel:
    """A network of maps: images in, maps in the target's units out.

    Args:
        image: column of images.
        depth: column of maps.
        settings: how files are read, with the size that images are stretched to.
        network: the network.
        shots: regions, from training pixels.
    """

    image: str
    depth: str
    settings: MapSettings
    network: DepthNet
    shots: Shots

    def predict(self, rows: MapRows, places: Sequence[int] | None = None) -> Iterator[NDArray[np.float32]]:
        """A map ``(H, W)`` for each image, of the image's own size, target units; all rows if no places are given."""
        self.network.eval()
        return predicted_maps(self.network, rows, range(len(rows)) if places is None else places)

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        save_file(tensors, folder / _WEIGHTS)
        description = {
            "format": FORMAT,
            "image": self.image,
            "depth": self.depth,
            "settings": asdict(self.settings),
            "encoder": self.network.shape,
            "shots": self.shots.to_json(),
        }
        (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model folder; nothing in it is executed.

        Raises:
            InputError: files that are missing or cannot be read, another kind of model.
        """
        folder = Path(folder)
        try:
            description: dict[str, Any] = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
            if description["format"] != FORMAT:
                raise InputError(f"{str(folder)!r} holds no model of maps that this version reads")
            network = DepthNet(description["encoder"])
            network.load_state_dict(load_file(folder / _WEIGHTS))
            settings = MapSettings.of(description["settings"])
            shots = Shots.from_json(description["shots"])
            return cls(str(description["image"]), str(description["depth"]), settings, network.eval(), shots)
        except InputError:
            raise
        except _UNREADABLE as error:
            raise InputError(f"{str(folder)!r} is not a complete model folder: {str(error).splitlines()[0]}") from error

    def sized(self, size: tuple[int, int]) -> Self:
        """This model with the size that images are stretched to."""
        return replace(self, settings=replace(self.settings, size=size))


def is_map_model(folder: Path) -> bool:
    """Whether a model folder holds a network of maps."""
    try:
        description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(description, dict) and description.get("format") == FORMAT
