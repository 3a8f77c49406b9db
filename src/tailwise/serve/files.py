"""Read files of an untrusted folder: only inside it, and only up to a size."""

import json
import stat
from pathlib import Path
from typing import Any

from tailwise._checks import InputError

MOST_BYTES = 64 * 2**20


def file_inside(root: Path, path: Path) -> Path:
    """Resolve the path of an ordinary file under ``root``.

    Args:
        root: a folder, resolved.
        path: path of the file.

    Raises:
        InputError: a missing file, one that is not ordinary, or a link that leads out of the folder.
    """
    try:
        real = path.resolve(strict=True)
        ordinary = stat.S_ISREG(real.stat().st_mode)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path.name} is missing") from error
    if not real.is_relative_to(root):
        raise InputError(f"{path.name} is a link that leads out of the served folder")
    if not ordinary:
        raise InputError(f"{path.name} is not an ordinary file")
    return real


def read_bytes(root: Path, path: Path) -> bytes:
    """Return the content of a file under ``root``.

    Raises:
        InputError: as :func:`file_inside`, a file above 64 MiB, or one that may not be read.
    """
    real = file_inside(root, path)
    try:
        with real.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise InputError(f"{path.name} is larger than {MOST_BYTES // 2**20} MiB")
    return content


def read_object(root: Path, path: Path) -> dict[str, Any]:
    """Return the JSON object in a file under ``root``.

    Raises:
        InputError: as :func:`read_bytes`, or anything but a JSON object.
    """
    content = read_bytes(root, path)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not JSON") from error
    if not isinstance(value, dict):
        raise InputError(f"{path.name} is not a JSON object")
    return value


def read_lines(root: Path, path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file with one a line; an unfinished last line is left out.

    Raises:
        InputError: as :func:`read_bytes`, or a line that is no JSON object.
    """
    whole, _, _ = read_bytes(root, path).rpartition(b"\n")
    values = []
    for i, line in enumerate(whole.splitlines(), start=1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {i} of {path.name} is not JSON") from error
        if not isinstance(value, dict):
            raise InputError(f"line {i} of {path.name} is not a JSON object")
        values.append(value)
    return values
