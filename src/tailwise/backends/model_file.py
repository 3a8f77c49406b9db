"""One file that holds a trained model: its description with a digest, and the check before it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailwise._files import file_digest


def describe_file(kind: str, path: Path) -> dict[str, Any]:
    """Return the description of a model in one file: its kind and the SHA-256 of the file."""
    return {"kind": kind, "sha256": file_digest(path)}


def check_file(path: Path, description: Mapping[str, Any]) -> Path:
    """Return the path of a model's file; raise if it is not the one that was described.

    Raises:
        OSError: a file that is missing.
        ValueError: a file that was altered.
    """
    if file_digest(path) != description["sha256"]:
        raise ValueError(f"{path.name} was altered after it was saved")
    return path
