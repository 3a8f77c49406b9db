"""Read and write tables in files: text, Parquet, Feather, JSON lines, Excel, each of them zipped."""

import gzip
import io
import json
import warnings
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, TextIO

import pandas as pd

from tailwise._checks import InputError, name_nearby, quoted, shown
from tailwise._files import replacing
from tailwise.data.arrow_files import read_arrow
from tailwise.data.read_errors import UNREADABLE, as_arrow, as_table, unreadable
from tailwise.data.text_tables import column_names, read_text_table

SUFFIXES = {".csv": ",", ".tsv": "\t", ".parquet": None}  # of tables that are written
TEXT = {".csv": None, ".tsv": "\t"}
_READ = (".csv", ".tsv", ".parquet", ".feather", ".jsonl", ".ndjson", ".xlsx")
_KINDS = ".csv, .tsv, .parquet, .feather, .jsonl or .xlsx (.gz and .zip are allowed)"
_LINKS = ("__MACOSX/", ".")


@dataclass(frozen=True)
class TableFile:
    """Bytes of a table, wherever they are.

    Args:
        path: the file.
        suffix: kind of the table, lower case.
        packed: ``"gz"``, ``"zip"`` or nothing.
        member: name within a zip file.
    """

    path: Path
    suffix: str
    packed: str = ""
    member: str = ""

    @classmethod
    def of(cls, path: str | Path) -> "TableFile":
        """Return the table in a file.

        Raises:
            InputError: no such file, a folder, another kind of file, a zip file without one table.
        """
        path = Path(path)
        if not _exists(path):
            hint = name_nearby(path) or "; give a CSV, TSV or Parquet file, or example:NAME"
            raise InputError(f"no file {shown(path)}{hint}")
        if path.is_dir():
            raise InputError(
                f"{shown(path)} is a folder; `tailwise train, predict, evaluate, explain and diagnose` take "
                "folders, other commands a file"
            )
        suffixes = [suffix.lower() for suffix in path.suffixes]
        if suffixes[-1:] == [".zip"]:
            return cls._in_zip(path)
        packed = suffixes[-1:] == [".gz"]
        suffix = next((s for s in reversed(suffixes) if s != ".gz"), "")
        if suffix not in _READ:
            raise InputError(f"{shown(path)} is not a table: the file's name must end in {_KINDS}")
        return cls(path, suffix, "gz" if packed else "")

    @classmethod
    def _in_zip(cls, path: Path) -> "TableFile":
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
        except UNREADABLE as error:
            raise unreadable(path, error) from error
        tables = [
            name
            for name in names
            if Path(name).suffix.lower() in _READ and not name.startswith(_LINKS) and "/." not in name
        ]
        if len(tables) != 1:
            raise InputError(
                f"{shown(path)} has {len(tables)} tables{': ' + quoted(tables, most=3) if tables else ''}; "
                "a zip file must hold one"
            )
        return cls(path, Path(tables[0]).suffix.lower(), "zip", tables[0])

    def open(self) -> IO[bytes]:
        """Open the table's bytes, unpacked."""
        if self.packed == "zip":
            with zipfile.ZipFile(self.path) as archive:
                return io.BytesIO(archive.read(self.member))
        return gzip.open(self.path) if self.packed else self.path.open("rb")  # type: ignore[return-value]

    def open_text(self) -> TextIO:
        """Open the table's text, UTF-8 with or without a byte order mark."""
        return io.TextIOWrapper(self.open(), encoding="utf-8-sig", newline="")


def read_table(path: str | Path, *, text: Collection[str] = ()) -> pd.DataFrame:
    """Read a table; see :func:`read_with_notes`, whose notes are left out."""
    return read_with_notes(path, text=text)[0]


def read_with_notes(path: str | Path, *, text: Collection[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Read a table from CSV, TSV, Parquet, Feather, JSON lines or an Excel workbook, and return notes for the user.

    Text and JSON lines may be compressed by gzip; a zip file may hold one table of any kind.

    Args:
        path: the file.
        text: columns whose cells stay text, as far as the file has them as text.

    Raises:
        InputError: a missing file, another kind of file, or one that cannot be read as a table.
    """
    file = TableFile.of(path)
    with as_table(path):
        frame, notes = _read(file, text)
    frame, of_index = with_index(frame, path)
    return frame, notes + of_index


def with_index(frame: pd.DataFrame, path: str | Path) -> tuple[pd.DataFrame, list[str]]:
    """Return a table whose named index is a column, column names as text, and notes for the user.

    Raises:
        InputError: column names of several levels.
    """
    notes = []
    if isinstance(frame.columns, pd.MultiIndex):
        raise InputError(f"{shown(path)} has column names of several levels; join them into one")
    frame.columns = frame.columns.astype(str)
    named = [str(name) for name in frame.index.names if name is not None]
    taken = [name for name in named if name in frame.columns]
    if taken:
        notes.append(f"the index of the file is named like a column, {quoted(taken, most=3)}, and is left out")
        frame = frame.reset_index(drop=True)
    elif frame.index.names != [None]:
        frame = frame.reset_index()
        frame.columns = frame.columns.astype(str)
    return frame, notes


def _read(file: TableFile, text: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    if file.suffix in TEXT:
        return read_text_table(file.open_text, str(file.path), separator=TEXT[file.suffix], text=text)
    if file.suffix in (".jsonl", ".ndjson"):
        return _read_json_lines(file), []
    if file.suffix == ".xlsx":
        return _read_workbook(file)
    with file.open() as content, as_arrow(file.path):
        return read_arrow(content, feather=file.suffix == ".feather"), []


def _read_json_lines(file: TableFile) -> pd.DataFrame:
    """Return one row for each line, an object of names and cells."""
    rows = []
    with file.open_text() as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{shown(file.path)} cannot be read as a table: line {number:,} is no JSON") from error
            if not isinstance(row, dict):
                raise InputError(f"{shown(file.path)} cannot be read as a table: line {number:,} is no JSON object")
            rows.append(row)
    return pd.DataFrame(rows)


def workbook_rows(file: TableFile, most: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the names of the sheets of an Excel workbook, and the rows of the first that have a cell.

    Args:
        file: the workbook.
        most: number of rows to read; by default all.

    Raises:
        InputError: openpyxl not installed, a damaged workbook, no row.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise InputError("Excel workbooks need openpyxl: pip install 'tailwise[excel]'") from error
    try:
        with warnings.catch_warnings(), file.open() as content:
            warnings.simplefilter("ignore")  # about styles and charts
            book = openpyxl.load_workbook(io.BytesIO(content.read()), read_only=True, data_only=True)
            sheets = [str(name) for name in book.sheetnames]
            filled = (row for row in book[sheets[0]].iter_rows(values_only=True) if any(c is not None for c in row))
            rows = list(islice(filled, most))
    except Exception as error:  # the parsers of XML below it raise whatever a damaged file makes them raise
        raise unreadable(file.path, error) from error
    if not rows:
        raise InputError(f"{shown(file.path)} cannot be read as a table: its first sheet is empty")
    return sheets, rows


def _read_workbook(file: TableFile) -> tuple[pd.DataFrame, list[str]]:
    """Return the first sheet of an Excel workbook; its first row names the columns."""
    sheets, rows = workbook_rows(file)
    header = rows[0]
    names = column_names(["" if cell is None else str(cell) for cell in header], str(file.path))
    width = max(len(row) for row in rows)
    names += [f"Unnamed: {i}" for i in range(len(names), width)]
    frame = pd.DataFrame([(*row, *[None] * (width - len(row))) for row in rows[1:]], columns=names).infer_objects()
    if len(sheets) == 1:
        return frame, []
    return frame, [f"the workbook has {len(sheets)} sheets; {shown(sheets[0])}, the first, is read"]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write CSV, TSV or Parquet, as the file's name says: the whole file or none."""
    path = Path(path)
    try:
        with replacing(path) as fresh:
            if path.suffix.lower() == ".parquet":
                frame.to_parquet(fresh, index=False)
            else:
                frame.to_csv(fresh, index=False, sep=SUFFIXES[path.suffix.lower()] or ",")
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
