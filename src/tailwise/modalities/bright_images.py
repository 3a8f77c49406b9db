"""Images of 16 bits that use more bits than a reader keeps, so that their brightest pixels are clipped."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from tailwise._checks import shown
from tailwise._numbers import counted
from tailwise.data.cell_paths import cells, read_files
from tailwise.modalities.image_files import MOST_BITS, ImageReader, bits_of, bits_used


class BrightImages:
    """Counts, by column, of images that are brighter than a reader's bits, over the pieces of a table.

    Only readers of images of 16 bits that use fewer bits look into the files.

    Args:
        bits: by column, the bits that its reader keeps.
    """

    def __init__(self, bits: Mapping[str, int]) -> None:
        self._kept = {column: kept for column, kept in bits.items() if kept < MOST_BITS}
        self._n_images = 0
        self._brighter: dict[str, list[tuple[int, str]]] = {column: [] for column in self._kept}

    def add(self, frame: pd.DataFrame) -> None:
        """Look into the images of some rows.

        Raises:
            InputError: files that are missing or broken.
        """
        self._n_images += len(frame)
        for column, kept in self._kept.items():
            paths = cells(frame, column)
            used = zip(read_files(column, paths, bits_of), paths, strict=True)
            self._brighter[column] += [(bits, path) for bits, path in used if bits > kept]

    @property
    def notes(self) -> list[str]:
        """One note for each column with such images."""
        return [
            f"{_about(column)} {len(found):,} of {counted(self._n_images, 'image')} brighter than "
            f"{self._kept[column]} bits and clipped there, e.g. {shown(found[0][1])}; train with "
            f"`image.bits={max(found)[0]}`"
            for column, found in self._brighter.items()
            if found
        ]


def bits_of_readers(inputs: object) -> dict[str, int]:
    """Return the fewest bits that the readers of a model keep, by column of images; several models are in parts.

    Args:
        inputs: from rows to the inputs of a model.
    """
    bits: dict[str, int] = {}
    for part in getattr(inputs, "parts", (inputs,)):
        for reader in getattr(part, "readers", {}).values():
            if isinstance(reader, ImageReader):
                bits[reader.column] = min(reader.bits, bits.get(reader.column, MOST_BITS))
    return bits


def notes_on_bright(
    column: str, train: pd.DataFrame, frame: pd.DataFrame, params: Mapping[str, Any], known: Iterable[str]
) -> list[str]:
    """Return a note on images that are clipped, if there are some and it is not known.

    Args:
        column: column that names the files.
        train: the training rows, which decide on the bits.
        frame: all rows.
        params: of the reader.
        known: notes so far.
    """
    if any(note.startswith(_about(column)) for note in known):
        return []
    images = BrightImages({column: bits_used(column, train, params.get("bits"))})
    images.add(frame)
    return images.notes


def _about(column: str) -> str:
    return f"images of column {shown(column)}:"
