"""Run folders that are named after the target, with a counter: ``runs/price``, ``runs/price-2``, ..."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tailwise._checks import InputError
from tailwise.runs.folder import locked_run

_LONGEST = 60
_NAMED = 2  # targets


def run_name(targets: Sequence[str]) -> str:
    """Return the name of the runs of some targets: letters and digits of any script, and ``_ . + -``.

    >>> run_name(["price"]), run_name(["CO2 (g/km)"]), run_name(["a", "b", "c", "d"])
    ('price', 'CO2-g-km', 'a-b-and-2-more')
    """
    more = [] if len(targets) <= _NAMED else [f"and {len(targets) - _NAMED} more"]
    name = re.sub(r"[^\w.+-]+", "-", " ".join([*targets[:_NAMED], *more])).strip("-.")
    return name[:_LONGEST].rstrip("-.") or "run"


def next_folder(root: Path, name: str) -> Path:
    """Return the first folder after all those of a name: ``price``, then ``price-2``, ``price-3``, ..."""
    last = _last_number(root, name)
    return _numbered(root, name, last + 1)


def last_folder(root: Path, name: str) -> Path:
    """Return the folder of the last run of a name; the first if there is none."""
    return _numbered(root, name, max(1, _last_number(root, name)))


@contextmanager
def claimed(root: Path, name: str, *, overwrite: bool = False, resume: bool = False) -> Iterator[Path]:
    """Lock a folder for a run of a name: a new one, or the last to resume or to overwrite it.

    Another process that starts at the same moment gets the next folder.

    Raises:
        InputError: as :func:`tailwise.runs.folder.locked_run`.
    """
    with ExitStack() as held:
        if resume or overwrite:
            folder = last_folder(root, name)
            held.enter_context(locked_run(folder, overwrite=overwrite, resume=resume))
        else:
            folder = _locked_next(root, name, held)
        yield folder


def _locked_next(root: Path, name: str, held: ExitStack) -> Path:
    while True:
        folder = next_folder(root, name)
        try:
            held.enter_context(locked_run(folder, overwrite=False, resume=False))
        except InputError:
            if next_folder(root, name) == folder:  # not taken by another process meanwhile
                raise
        else:
            return folder


def _last_number(root: Path, name: str) -> int:
    """Return the highest number of a folder or file of a name; 0 if there is none."""
    if not root.is_dir():
        return 0
    counted = re.compile(re.escape(name) + r"(?:-([1-9]\d{0,8}))?")
    matches = [counted.fullmatch(path.name) for path in root.iterdir()]
    return max((int(match[1] or 1) for match in matches if match is not None), default=0)


def _numbered(root: Path, name: str, number: int) -> Path:
    return root / (name if number == 1 else f"{name}-{number}")
