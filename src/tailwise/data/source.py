"""The source of a table: a file, a folder of Parquet files, or an example."""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from tailwise.data.examples import PREFIX, load_example
from tailwise.data.rows import FrameRows, Rows, open_folder
from tailwise.data.table_files import read_with_notes


@dataclass(frozen=True)
class Source:
    """A table with its origin.

    Args:
        name: path, or ``example:NAME``.
        sha256: digest of the file's bytes, of the example's values, or of a folder's names, sizes and footers.
        rows: the table.
        notes: notes for the user on how the table was read, such as on dropped rows.
    """

    name: str
    sha256: str
    rows: Rows
    notes: list[str] = field(default_factory=list)

    def beside(self, others: "Iterable[Source]") -> "Source":
        """Return this source with a digest that includes those of other tables."""
        digest = hashlib.sha256("".join([self.sha256, *(one.sha256 for one in others)]).encode()).hexdigest()
        return replace(self, sha256=digest)

    @property
    def folder(self) -> Path:
        """The folder of the file, where relative paths in its cells start."""
        return Path() if self.name.startswith(PREFIX) else Path(self.name).absolute().parent


def load_source(name: str, cache: Path | None = None, *, text: Collection[str] = ()) -> Source:
    """Read a file or an example; see :func:`tailwise.data.table_files.read_with_notes`.

    Args:
        name: path, or ``example:NAME``.
        cache: folder for the converted rows of a folder of Parquet files, which is refused without it.
        text: columns of a file whose cells stay text.
    """
    if name.startswith(PREFIX):
        frame, notes = load_example(name)
        digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()
        return Source(name, digest, FrameRows(frame), notes)
    if cache is not None and Path(name).is_dir():
        mapped, digest = open_folder(name, cache)
        return Source(str(name), digest, mapped)
    frame, notes = read_with_notes(name, text=text)
    with Path(name).open("rb") as file:
        return Source(str(name), hashlib.file_digest(file, "sha256").hexdigest(), FrameRows(frame), notes)
