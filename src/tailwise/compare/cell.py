"""One training of a comparison: a table, an entry (a method on a model) and a seed."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.experiment.spec import Experiment

_OMITTED_IF_EMPTY = ("also", "angles", "extra")
_NO_SETTINGS = ("order", "notes")


@dataclass(frozen=True)
class Cell:
    """One training: a table, an entry, and the random seed of split and training.

    Args:
        table: name of the table.
        data: file, or ``example:NAME``.
        target: target column.
        entry: method and model to train.
        seed: random seed of the split and of the training.
        choices: keywords of :func:`tailwise.experiment.prepare.prepare`.
        rows: maximum number of rows, drawn at random by the seed; all rows if not given.
        fold: which of ``folds`` is tested; without folds every seed makes its own split.
        folds: number of folds of the table, stratified by the target and drawn by the seed.
        sha256: digest of the file's bytes, if known; a stored result with another digest is not reused.
        order: position of the entry in the comparison.
        also: further target columns, predicted together with ``target``.
        angles: whether the targets are pitch and yaw in degrees, so that the angular error is reported too.
        extra: a further score of the test rows, a key of :data:`tailwise.compare.grid.EXTRA`.
        notes: notes for the user on the table.
    """

    table: str
    data: str
    target: str
    entry: Experiment
    seed: int
    choices: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    fold: int | None = None
    folds: int | None = None
    sha256: str | None = None
    order: int = 0
    also: tuple[str, ...] = ()
    angles: bool = False
    extra: str = ""
    notes: tuple[str, ...] = ()

    @property
    def split(self) -> tuple[int, int]:
        """Seed and fold, which identify the cell among those of its entry and table."""
        return self.seed, -1 if self.fold is None else self.fold

    def file(self, folder: Path) -> Path:
        """Return the path of the cell's result."""
        name = re.sub(r"[^\w.+=-]+", "-", self.entry.name).strip("-")
        entry = self.entry.to_json()
        if entry["params"] or entry["recipe"]:  # the name does not contain these
            unnamed = json.dumps([entry["params"], entry["recipe"]], sort_keys=True, default=list)
            name += "-" + hashlib.sha256(unnamed.encode()).hexdigest()[:8]
        fold = "" if self.fold is None else f"-fold{self.fold}"
        return folder / self.table / f"{name}-{self.seed}{fold}.json"

    def predictions_file(self, folder: Path) -> Path:
        """Return the path of the cell's test rows and predictions, next to its result."""
        return self.file(folder).with_suffix(".npz")


def plain_cell(cell: Cell) -> dict[str, Any]:
    """Return a cell's settings as JSON values, without empty optional fields."""
    plain: dict[str, Any] = {one.name: getattr(cell, one.name) for one in fields(cell) if one.name not in _NO_SETTINGS}
    plain = json.loads(json.dumps({**plain, "entry": cell.entry.to_json()}))
    return {name: value for name, value in plain.items() if name not in _OMITTED_IF_EMPTY or value}


def same_settings(stored: Any, cell: Cell) -> bool:
    """Return whether a stored cell has the settings of another, however its recipe was written."""
    try:
        normalised = json.loads(json.dumps(Experiment.from_json(stored["entry"]).to_json()))
    except (TypeError, KeyError, AttributeError, InputError):
        return False
    return bool({**stored, "entry": normalised} == plain_cell(cell))
