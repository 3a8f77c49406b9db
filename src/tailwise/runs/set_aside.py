"""Replace a finished run only by another finished one, whenever the process ends.

The files of the old run move into the folder ``replaced``, the manifest last, and are removed after the new run has its
manifest. So one of the two folders always holds a whole run, but for the moments between the first move and the last:
then the manifest is still, or again, in the run folder, and the moved files go back.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

from tailwise._checks import InputError
from tailwise._files import UNFINISHED

MANIFEST = "manifest.json"
ASIDE = "replaced"
DISCARDED = ".discarded"  # what is being removed, under a name that no command reads


def whole_run_aside(out: Path) -> Path | None:
    """Return the folder of the finished run that an unfinished one was to replace; ``None`` without one."""
    return out / ASIDE if not (out / MANIFEST).exists() and (out / ASIDE / MANIFEST).is_file() else None


def is_half_moved(out: Path, names: Collection[str]) -> bool:
    """Return whether a process ended while it moved the files of a finished run, of these names, aside or back."""
    aside = out / ASIDE
    if not (out / MANIFEST).is_file() or not aside.is_dir() or (aside / MANIFEST).exists():
        return False
    moved = [path.name for path in aside.iterdir()]
    return bool(moved) and all(name in names for name in moved)


def settle(out: Path, names: Collection[str]) -> None:
    """Undo or complete what an ended process left: files that were moved aside, remains of a run that was replaced.

    Args:
        out: the run folder, locked.
        names: files and folders of a run.
    """
    _remove(out / DISCARDED)
    if is_half_moved(out, names):
        for path in (out / ASIDE).iterdir():
            path.rename(out / path.name)
        (out / ASIDE).rmdir()
    elif (out / MANIFEST).is_file() and (out / ASIDE / MANIFEST).is_file():
        discard(out, ASIDE)


def put_aside(out: Path, names: Collection[str]) -> None:
    """Move the finished run of a settled folder aside.

    Raises:
        InputError: a folder of that name with something else in it.
    """
    aside = out / ASIDE
    if aside.exists() and (not aside.is_dir() or any(aside.iterdir())):
        raise InputError(f"{str(aside)!r} is in the way and is no run; move it, or choose another `out`")
    aside.mkdir(exist_ok=True)
    for name in sorted(names, key=lambda name: name == MANIFEST):
        if (out / name).exists():
            (out / name).rename(aside / name)


def bring_back(out: Path) -> None:
    """Move the finished run that was put aside back into its folder, from which the new run was removed."""
    if whole_run_aside(out) is None:
        return
    (out / ASIDE / MANIFEST).rename(out / MANIFEST)
    for path in (out / ASIDE).iterdir():
        path.rename(out / path.name)
    (out / ASIDE).rmdir()


def discard(out: Path, *names: str) -> None:
    """Remove files and folders of a run folder, each at one stroke, in the order given."""
    for name in names:
        for path in (out / name, out / (name + UNFINISHED)):
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir():
                _remove(out / DISCARDED)
                path.rename(out / DISCARDED)
                _remove(out / DISCARDED)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
