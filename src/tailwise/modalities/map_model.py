"""A fitted model of maps as a folder that loads without running code from it: save, load, predict."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError

from tailwise._checks import InputError
from tailwise.labels.shots import Shots
from tailwise.modalities.map_network import MapInputs, MapNetwork
from tailwise.modalities.map_rows import MapRows, map_rows
from tailwise.modalities.map_schema import MapSchema, MapSettings
from tailwise.modalities.map_task import PreparedMaps

FORMAT = "tailwise-maps-1"
_DESCRIPTION = "model.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)


@dataclass(frozen=True)
class MapModel:
    """A fitted model of maps: images in, maps in the target's units out.

    Args:
        schema: the columns it needs, with the size that images are stretched to.
        model: the network.
        shots: regions, from training pixels.
        inputs: from rows to the network's inputs.
    """

    schema: MapSchema
    model: MapNetwork
    shots: Shots
    inputs: MapInputs = field(default_factory=MapInputs)

    @classmethod
    def of(cls, task: PreparedMaps, predictor: MapNetwork) -> Self:
        """Return the model of a network that was trained on a task."""
        settings = replace(task.schema.settings, size=task.rows.size)
        return cls(replace(task.schema, settings=settings), predictor, task.shots)

    def rows(self, frame: pd.DataFrame, folder: Path, *, maps: bool) -> MapRows:
        """Return rows of an index table as this model takes them, with their files checked.

        Args:
            frame: the table.
            folder: where relative paths start.
            maps: whether to open maps and masks too, to evaluate.

        Raises:
            InputError: columns that are missing, files that cannot be used.
        """
        self.schema.check([str(name) for name in frame.columns], maps=maps)
        return map_rows(frame, folder, self.schema, maps=maps)

    def predict(self, rows: MapRows | pd.DataFrame) -> Iterator[NDArray[np.float32]]:
        """Yield a map ``(H, W)`` for each image, of the image's stored size, target units.

        Args:
            rows: rows, or an index table whose relative paths start at the current folder.

        Raises:
            InputError: columns that are missing, files that cannot be used.
        """
        opened = self.rows(rows, Path(), maps=False) if isinstance(rows, pd.DataFrame) else rows
        for x in self.inputs.pieces(self.schema, opened):
            yield from self.model.predict(x)

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        description = {
            "format": FORMAT,
            "image": self.schema.image,
            "depth": self.schema.depth,
            "settings": asdict(self.schema.settings),
            **self.model.save(folder),
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
            network = MapNetwork.load(folder, description)
            settings = MapSettings.of(description["settings"])
            schema = MapSchema(str(description["image"]), str(description["depth"]), settings)
            return cls(schema, network, Shots.from_json(description["shots"]))
        except InputError:
            raise
        except _UNREADABLE as error:
            raise InputError(f"{str(folder)!r} is not a complete model folder: {str(error).splitlines()[0]}") from error


def is_map_model(folder: Path) -> bool:
    """Return whether a model folder holds a model of maps."""
    try:
        description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(description, dict) and description.get("format") == FORMAT
