"""A lock on a folder, so that two processes never write into one."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from tailwise._checks import InputError
from tailwise._files import LOCK

_held: set[Path] = set()  # by this process


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if need be, with its parents, and removed if it stays empty.

    A folder that this process has locked may be locked again inside. The operating system frees the lock when the
    process ends, however it ends. On a file system without ``flock`` the file that names the process is the lock: after
    a killed process it is taken over on the same machine, and stays for others.

    Raises:
        InputError: another process holds it, the folder cannot be written or is a file.
    """
    real = folder.resolve()
    if real in _held:
        yield
        return
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file; `out` must name a folder")
    lock = FileLock(folder / LOCK)
    fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "flock not supported", UserWarning)
            lock.acquire(timeout=0)
    except Timeout as error:
        stays = f"; if there is none any more, remove {LOCK} in it" if isinstance(lock, SoftFileLock) else ""
        raise InputError(
            f"{str(folder)!r} is being written by another process; wait until it ends, or choose another `out`{stays}"
        ) from error
    except OSError as error:
        raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error
    _held.add(real)
    try:
        yield
    finally:
        _held.discard(real)
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        _remove_empty(folder, *fresh)


def _remove_empty(*folders: Path) -> None:
    """Remove folders, inner ones first, up to one that holds something."""
    for folder in folders:
        if folder.is_dir():
            if any(folder.iterdir()):
                return
            folder.rmdir()
