"""A lock on a run folder, so that two trainings never write into one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tailwise._checks import InputError

LOCK = ".tailwise.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if need be and removed if nothing is in it afterwards.

    The operating system frees the lock when the process ends, however it ends.

    Raises:
        InputError: another process holds it, the folder cannot be written, or its file system has no locks.
    """
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{str(folder)!r} is being written by another process; wait until it ends, or choose another `out`"
        ) from error
    except NotImplementedError as error:
        raise InputError(f"the file system of {str(folder)!r} has no locks; choose `out` on another one") from error
    except OSError as error:
        raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        if not any(folder.iterdir()):
            folder.rmdir()
