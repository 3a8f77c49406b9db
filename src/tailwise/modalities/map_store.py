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
from tailwise._files import UNFINISHED

INDEX = "predictions.csv"
_REPLACED = ".old"  # ends the name of a folder until the one that replaces it has its name


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
    """Raise unless a folder of predicted maps may be written here; put back one that a killed process was replacing.

    Raises:
        InputError: no folder to write it into, a folder that exists and is not to be replaced, or holds other things.
    """
    if not out.absolute().parent.is_dir():
        raise InputError(f"no folder {str(out.parent)!r} to write {out.name!r} into")
    replaced = out.with_name(out.name + _REPLACED)
    if not out.exists() and _holds_predictions(replaced):
        replaced.rename(out)
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
        InputError: a folder of that name with ``.new`` or ``.old`` that holds other things is in the way.
    """
    fresh, replaced = (out.with_name(out.name + end) for end in (UNFINISHED, _REPLACED))
    for path in (fresh, replaced):
        if path.exists() and not _holds_maps(path):
            raise InputError(f"{str(path)!r} is in the way; remove it")
        if path.exists():  # a killed process left it
            shutil.rmtree(path)
    fresh.mkdir()
    try:
        names = list(_written(fresh, maps))
        images.assign(row=range(len(names)), prediction=names).to_csv(fresh / INDEX, index=False)
        if out.exists():
            out.rename(replaced)
        fresh.rename(out)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        if replaced.exists() and not out.exists():
            replaced.rename(out)
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _written(folder: Path, maps: Iterable[NDArray[Any]]) -> Iterator[str]:
    for i, values in enumerate(maps):
        name = f"{i:06d}.npy"
        np.save(folder / name, values)
        yield name


def _holds_predictions(folder: Path) -> bool:
    """Return whether a folder holds nothing but what :func:`write_map_folder` writes."""
    return (folder / INDEX).exists() and _holds_maps(folder)


def _holds_maps(folder: Path) -> bool:
    """Return whether a folder holds maps, a table of them, or nothing: it may be incomplete."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {str(folder)}
    return all(re.fullmatch(r"\d{6,}\.npy", name) for name in names - {INDEX})
