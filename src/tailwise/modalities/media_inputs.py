"""From rows of a table with media to the inputs of a network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from tailwise.data.columns import Schema
from tailwise.data.preprocessing import transform
from tailwise.data.reach import Reach
from tailwise.data.rows import Rows
from tailwise.data.skops_file import write_skops
from tailwise.modalities.kinds import modality_named
from tailwise.modalities.media_rows import with_full_paths
from tailwise.modalities.medium import Reader

TABLE = "table"
ROWS_AT_ONCE = 1_024
_TABLE_FILE, _TRUSTED = "preprocess.skops", ["numpy.dtype"]


def input_name(kind: str, position: int) -> str:
    """Return the name of the input of a medium: its kind, and its position among the media of a table."""
    return f"{kind}{position}"


def kind_of_input(name: str) -> str:
    """Return the kind of an input that :func:`input_name` named.

    Example:
        >>> kind_of_input(input_name("image", 10))
        'image'
    """
    return name.rstrip("0123456789")


@dataclass(frozen=True)
class MediaInputs:
    """Turn rows into the inputs of a network: what readers read, and the ordinary columns.

    Args:
        readers: by input.
        preprocessor: of the ordinary columns, if there are any.
        reach: limits of their numbers.
    """

    readers: Mapping[str, Reader]
    preprocessor: ColumnTransformer | None
    reach: Reach | None = None

    def of_frame(self, schema: Schema, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """Return the inputs of rows by name, each ``(n, ...)``; paths are taken as they are."""
        x = {name: reader.read(frame) for name, reader in self.readers.items()}
        if self.preprocessor is None:
            return x
        return x | {TABLE: transform(self.preprocessor, schema, frame, reach=self.reach)}

    def pieces(self, schema: Schema, rows: Rows) -> Iterator[dict[str, NDArray[Any]]]:
        """Return the inputs of at most 1,024 rows at a time; relative paths start at the current folder.

        Raises:
            InputError: rows that are not in memory, cells or files that cannot be used.
        """
        rows = with_full_paths(rows, schema, Path())
        return (self.of_frame(schema, frame) for frame in rows.pieces(ROWS_AT_ONCE))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write readers and preprocessing into a folder, and return the description that :meth:`load` needs."""
        if self.preprocessor is not None:
            write_skops(self.preprocessor, folder / _TABLE_FILE)
        saved = {}
        for name, reader in self.readers.items():
            (folder / name).mkdir()
            saved[name] = reader.save(folder / name)
            if not any((folder / name).iterdir()):
                (folder / name).rmdir()
        reach = None if self.reach is None else self.reach.to_json()
        return {"readers": saved, "table": self.preprocessor is not None, "reach": reach}

    @classmethod
    def load(cls, folder: Path, saved: Mapping[str, Any]) -> "MediaInputs":
        """Read what :meth:`save` wrote; nothing in it is executed."""
        preprocessor = skops.io.load(folder / _TABLE_FILE, trusted=_TRUSTED) if saved["table"] else None
        readers = {
            name: modality_named(kind_of_input(name)).load_reader(folder / name, description)
            for name, description in saved["readers"].items()
        }
        return cls(readers, preprocessor, Reach.from_json(saved["reach"]) if saved.get("reach") else None)
