"""Files that are written as a whole or not at all, their digests, and errors that name the file."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# How safetensors, and other libraries in Rust, put an error of the operating system into words.
_CODE_IN_TEXT = re.compile(r"\bOs \{ code: (\d+)|\(os error (\d+)\)|\[Errno (\d+)\]")
UNFINISHED = ".new"  # ends the name of a file that is not whole yet
LOCK = ".tailwise.lock"  # in a folder that a process writes
# Errors of a disk that cannot be written, by their numbers; not every system has all of them.
UNWRITABLE = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EFBIG", "EDQUOT", "EROFS", "EIO") if hasattr(errno, name)
)
_packing: ContextVar[Path | None] = ContextVar("packing", default=None)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a half."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that a reader sees the old file or the new one, never a half."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes so that a reader sees the old file or the new one, never a half."""
    with replacing(path) as fresh:
        fresh.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Provide the path of a fresh file beside ``path``, which it replaces when the block ends without an error.

    Raises:
        OSError: a file that cannot be written; it names ``path``, and nothing is left of the fresh file.
    """
    fresh = path.with_name(path.name + UNFINISHED)
    try:
        with naming(path):
            yield fresh
            os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the operating system in a block, in whatever words a library puts them, name a file or folder.

    Raises:
        OSError: an error of the operating system, with its number and the path.
    """
    try:
        yield
    except Exception as error:
        known = disk_error(error, path)
        if known is None:
            raise
        raise known from error


def disk_error(error: BaseException, path: Path) -> OSError | None:
    """Return an error of the operating system with its number and a path; ``None`` for an error of another kind.

    Libraries in Rust and C++ raise exceptions of other types, with the number in their text. Errors of values are of
    another kind, whatever their text.
    """
    if isinstance(error, OSError) and error.errno is not None:
        is_named = error.filename is not None and not str(error.filename).endswith(UNFINISHED)
        return error if is_named else OSError(error.errno, os.strerror(error.errno), str(path))
    code = None if isinstance(error, ValueError) else _CODE_IN_TEXT.search(str(error))
    if code is None:
        return None
    number = int(next(group for group in code.groups() if group is not None))
    return OSError(number, os.strerror(number), str(path))


@contextmanager
def packing_in(folder: Path) -> Iterator[None]:
    """Let a block pack files in a folder, which is made when it is needed and removed afterwards."""
    shutil.rmtree(folder, ignore_errors=True)  # a killed process may have left it
    token = _packing.set(folder)
    try:
        yield
    finally:
        _packing.reset(token)
        shutil.rmtree(folder, ignore_errors=True)


def packing_folder() -> Path | None:
    """Return the folder to pack files in, which exists; ``None`` where no folder was named: the system's own."""
    folder = _packing.get()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def temporary_folder(packing: Path | None) -> "TemporaryDirectory[str]":
    """Return a folder that its context removes, inside the one to pack in if this machine has it."""
    return TemporaryDirectory(dir=packing if packing is not None and packing.is_dir() else None)


def names_besides(folder: Path, *known: str) -> list[str]:
    """Return the names in a folder but for its lock and for some; a folder that does not exist has none."""
    return sorted(set(os.listdir(folder)) - {LOCK, *known}) if folder.is_dir() else []


def sync(path: Path) -> None:
    """Ask the operating system to put a file, or the names in a folder, on the disk now, as far as it can."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without it
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
