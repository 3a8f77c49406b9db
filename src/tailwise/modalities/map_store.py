"""Predicted maps on disk: one file for a run, or a folder with a table of their paths."""

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self
from zipfile import ZipFile

import numpy as np
import pandas as pd
from numpy.lib.format import read_array, write_array
from numpy.typing import NDArray

from tailwise._checks import InputError

INDEX = "predictions.csv"


class MapFile:
    """A NPZ file written map by map, because all of them may not fit in memory.

    Args:
        path: the file to write.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, MapFile(Path(folder) / "maps.npz") as maps:
        ...     maps.add("row0", np.zeros((2, 3)))
        ...     maps.read("row0").shape
        (2, 3)
    """

    def __init__(self, path: Path) -> None:
        self.zip = ZipFile(path, "w")

    def add(self, name: str, values: NDArray[np.generic]) -> None:
        """Append an array."""
        with self.zip.open(f"{name}.npy", "w", force_zip64=True) as file:
            write_array(file, values, allow_pickle=False)

    def read(self, name: str) -> NDArray[Any]:
        """Return an array that was appended."""
        with self.zip.open(f"{name}.npy") as file:
            values: NDArray[Any] = read_array(file, allow_pickle=False)
        return values

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()


def check_map_folder(out: Path, *, overwrite: bool) -> None:
    """Raise unless a folder of predicted maps may be written here; change nothing.

    Raises:
        InputError: no folder to write it into, a folder that exists and is not to be replaced, or holds other things.
    """
    if not out.absolute().parent.is_dir():
        raise InputError(f"no folder {str(out.parent)!r} to write {out.name!r} into")
    if out.exists() and not overwrite:
        raise InputError(f"{str(out)!r} exists already; choose another `out`, or pass `overwrite`")
    if out.exists() and not _holds_predictions(out):
        raise InputError(
            f"{str(out)!r} holds something else than predicted maps, so it is not replaced; choose another `out`"
        )


def write_map_folder(out: Path, images: pd.DataFrame, maps: Iterable[NDArray[Any]]) -> None:
    """Write a NPY file for each map and a table of their paths; replace a folder only once all is written.

    Args:
        out: the folder, see :func:`check_map_folder`.
        images: a column that names the images, in the order of the maps.
        maps: predicted maps.

    Raises:
        InputError: a folder of that name with ``.new`` is in the way.
    """
    fresh = out.with_name(out.name + ".new")
    if fresh.exists():
        raise InputError(f"{str(fresh)!r} is in the way; remove it")
    fresh.mkdir()
    try:
        names = list(_written(fresh, maps))
        images.assign(row=range(len(names)), prediction=names).to_csv(fresh / INDEX, index=False)
        if out.exists():
            shutil.rmtree(out)
        fresh.rename(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _written(folder: Path, maps: Iterable[NDArray[Any]]) -> Iterator[str]:
    for i, values in enumerate(maps):
        name = f"{i:06d}.npy"
        np.save(folder / name, values)
        yield name


def _holds_predictions(folder: Path) -> bool:
    """Return whether a folder holds nothing but what :func:`write_map_folder` writes."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return INDEX in names and all(re.fullmatch(r"\d{6,}\.npy", name) for name in names - {INDEX})
