"""A benchmark: its data, split, regions, recipe and metrics; and how its index is written."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from tailwise._checks import InputError
from tailwise._files import write_json
from tailwise.data.table_files import write_table

UNCHECKED = "names and layout of the files were not checked against a real download"
SPLIT = "split"
RECORD = "protocol.json"
_PREPARING = ".tailwise.preparing"  # in a folder that is not complete, or that a killed process left so
BY_COUNT = ("all", "many", "medium", "few")
_SHOWN = 10
BY_GAP = ("all", "seen", "interpolation", "extrapolation")


@dataclass(frozen=True)
class Index:
    """The rows of a benchmark's table.

    Args:
        frame: target, inputs, and the column ``split`` with train, val and test.
        how: origin of the split, for the reader of the results.
        files: columns of file paths, relative to the current folder or absolute.
    """

    frame: pd.DataFrame
    how: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A benchmark of the field.

    Args:
        name: name on the command line.
        title: title in one line.
        source: the paper.
        layout: data set to download, its source, and the files expected in the data folder.
        target: target column, by table if they differ.
        also: further target columns, predicted together with ``target``.
        angles: whether the targets are pitch and yaw in degrees, with an angular error.
        extra: a further score of the test rows, ``"nasa"`` (:func:`tailwise.metrics.remaining_life.nasa_score`).
        unit: unit of the target.
        choices: arguments of :func:`tailwise.experiment.prepare.prepare`;
            for maps also ``depth``, fields of :class:`tailwise.modalities.map_schema.MapSettings`.
        table_choices: further arguments, by table.
        metrics: metrics of the published table, keys of :data:`tailwise.bench.standings.SCORES`.
        regions: columns of the published table.
        recipe: the published training, as far as :class:`tailwise.training.recipe.Recipe` covers it.
        params: parameters of the encoder.
        parts: published parameters of parts of methods, by part, if they differ from the library's.
        loss: part that is added to methods without a loss, if the published loss is not the squared error.
        methods: methods that are compared by default.
        deviations: differences from the published practice, and unknown details of it.
        quick: settings ``part.name=value`` with which a toy copy trains in seconds.
        small: settings ``part.name=value`` with which one training takes an hour on two cores without a GPU; none where
            it does as published, or where the data is too large.
        selects_on_test: whether the published practice chooses the epoch on the test rows.
        read: read the tables in the data folder.
        toy: write a small synthetic data folder of the same layout, from a seed.
        convert: convert files that cannot be used as they are, into the prepared folder; return the new index.
    """

    name: str
    title: str
    source: str
    layout: str
    target: str | Mapping[str, str]
    unit: str
    metrics: tuple[str, ...]
    read: Callable[[Path], dict[str, Index]]
    toy: Callable[[Path, int], None]
    choices: Mapping[str, Any] = field(default_factory=dict)
    regions: tuple[str, ...] = BY_COUNT
    recipe: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    loss: str | None = None
    methods: tuple[str, ...] = ("vanilla", "sqinv+lds", "sqinv+lds+fds")
    deviations: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    small: tuple[str, ...] = ()
    selects_on_test: bool = False
    also: tuple[str, ...] = ()
    angles: bool = False
    extra: str = ""
    table_choices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    convert: Callable[[Index, Path], Index] | None = None

    def target_of(self, table: str) -> str:
        """Return the target column of a table."""
        return self.target if isinstance(self.target, str) else self.target[table]

    def choices_of(self, table: str) -> dict[str, Any]:
        """Return how a table is prepared."""
        return {**self.choices, **self.table_choices.get(table, {})}

    def prepare(self, data: Path, out: Path) -> dict[str, Any]:
        """Write an index of each table, and ``protocol.json`` with its counts and SHA-256, into a folder.

        Args:
            data: folder of the downloaded data.
            out: folder to write; paths in an index are relative to it.

        Returns:
            The content of ``protocol.json``.

        Raises:
            InputError: absent or unexpected files, with the expected layout; a folder with other content.
        """
        if not data.is_dir():
            raise InputError(f"{self.name}: there is no folder {str(data)!r}. It should hold: {self.layout}")
        try:
            tables = self.read(data)
        except InputError as error:
            raise InputError(f"{self.name}: {error}. {str(data)!r} should hold: {self.layout}") from error
        try:
            known = any((out / name).exists() for name in (RECORD, _PREPARING))
            if out.is_dir() and any(out.iterdir()) and not known:
                raise InputError(f"{str(out)!r} is not empty and was not prepared before; choose another `out`")
            out.mkdir(parents=True, exist_ok=True)
            (out / _PREPARING).touch()
        except OSError as error:
            raise InputError(f"cannot write to {str(out)!r}: {error.strerror}") from error
        record = {
            "protocol": self.name,
            "tables": {name: self._write(name, index, out) for name, index in tables.items()},
        }
        write_json(out / RECORD, record)
        (out / _PREPARING).unlink()
        return record

    def make_toy(self, folder: Path, seed: int = 0) -> None:
        """Write a small synthetic copy of the benchmark's data into a new or empty folder.

        Args:
            folder: folder to write.
            seed: random seed of the data.

        Raises:
            InputError: a folder that is not empty.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{str(folder)!r} is not empty; choose another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self.toy(folder, seed)

    def _write(self, name: str, index: Index, out: Path) -> dict[str, Any]:
        start = out.resolve()
        if self.convert is not None:
            index = self.convert(index, start)
        frame = index.frame.assign(
            **{column: [_relative(cell, start) for cell in index.frame[column]] for column in index.files}
        )
        file = out / f"{name}.csv"
        write_table(frame, file)
        return {
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "rows": {part: int((frame[SPLIT] == part).sum()) for part in ("train", "val", "test")},
            "split": index.how,
        }


def read_record(protocol: Protocol, prepared: Path) -> dict[str, Any]:
    """Return the record that ``prepare`` wrote, after checking that all files are complete and unchanged.

    Raises:
        InputError: a folder that was not prepared for the protocol, an index that is absent or was changed.
    """
    again = f"run `tailwise bench prepare {protocol.name}` again"
    try:
        record: dict[str, Any] = json.loads((prepared / RECORD).read_text(encoding="utf-8"))
        name = record["protocol"]
        tables = {Path(table["file"]).name: table["sha256"] for table in record["tables"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{str(prepared)!r} was not prepared; run `tailwise bench prepare {protocol.name} --data DATA --out FOLDER`"
        ) from None
    if name != protocol.name:
        raise InputError(f"{str(prepared)!r} was prepared for {name!r}, not for {protocol.name!r}")
    for table, digest in tables.items():
        file = prepared / table
        if not file.is_file():
            raise InputError(f"{str(file)!r} is absent; {again}")
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise InputError(f"{str(file)!r} was changed since it was prepared; {again}")
    return record


def pillow() -> Any:
    """Import the module that reads and writes images.

    Raises:
        InputError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("images need Pillow: pip install 'tailwise[image]'") from error
    return Image


def need(folder: Path, *names: str) -> list[Path]:
    """Return the paths of files in a folder, after checking that each exists.

    Raises:
        InputError: absent files, by name.
    """
    absent = [name for name in names if not (folder / name).exists()]
    if absent:
        raise InputError(f"{', '.join(map(repr, absent))} {'is' if len(absent) == 1 else 'are'} absent")
    return [folder / name for name in names]


def need_files(column: str, paths: Sequence[Path]) -> tuple[str, ...]:
    """Return paths as text; all files must exist.

    Raises:
        InputError: absent files: their number, and the first ten.
    """
    absent = [str(path) for path in paths if not path.is_file()]
    if absent:
        more = "" if len(absent) <= _SHOWN else f" and {len(absent) - _SHOWN} more"
        raise InputError(
            f"{len(absent)} of the {len(paths)} files of column {column!r} are absent: "
            f"{', '.join(absent[:_SHOWN])}{more}"
        )
    return tuple(str(path) for path in paths)


def need_columns(frame: pd.DataFrame, file: Path, columns: Iterable[str]) -> None:
    """Raise unless a table has all the columns."""
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise InputError(f"{file.name!r} has no column {', '.join(map(repr, absent))}, only {list(frame.columns)}")


def _relative(cell: str, start: Path) -> str:
    """Return a path relative to a folder; an empty cell stays empty."""
    folder, name = os.path.split(cell)
    return os.path.join(_relative_folder(folder, start), name) if name else ""


@cache
def _relative_folder(folder: str, start: Path) -> str:
    relative = os.path.relpath(os.path.realpath(folder), start)
    return "" if relative == "." else relative
