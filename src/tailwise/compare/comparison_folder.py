"""The folder of a comparison: stored cells, and what they were compared to."""

from pathlib import Path

from tailwise._checks import InputError
from tailwise._files import UNFINISHED, names_besides, write_json, write_text
from tailwise.compare.comparison import GridComparison

CELLS, COMPARISON, PAGE = "cells", "comparison.json", "comparison.html"


def open_comparison(folder: Path) -> Path:
    """Make the folder of a comparison, or continue with an earlier one, and return the folder of its cells.

    Raises:
        InputError: a file, a folder with other content, a folder that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file; `out` must name a folder")
    comparison = folder / COMPARISON
    if names_besides(folder, COMPARISON + UNFINISHED) and not comparison.exists():
        raise InputError(f"{str(folder)!r} is not empty and holds no comparison; choose another `out`")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not comparison.exists():
            write_text(comparison, "{}")
    except OSError as error:
        raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error
    return folder / CELLS


def write_comparison(comparison: GridComparison, folder: Path) -> None:
    """Write ``comparison.json`` into the folder of a comparison."""
    write_json(folder / COMPARISON, comparison.to_json())
