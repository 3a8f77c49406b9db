"""The files of a folder as one table."""

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd

from tailwise._checks import InputError, quoted, shown
from tailwise.data.rows import FrameRows, Rows
from tailwise.data.source import Source, load_source
from tailwise.data.table_parts import part_files


def load_whole(
    name: str, *, text: Collection[str] = (), read: Callable[[Rows, Path], Rows] = lambda rows, _: rows
) -> Source:
    """Read a file, an example, or all files of a folder, which are one table in the order of their names.

    Args:
        name: path, or ``example:NAME``.
        text: columns of text files whose cells stay text.
        read: gets the rows of each file and its folder, and returns rows in memory.

    Raises:
        InputError: a file that cannot be read, or whose columns are not those of the first; of a folder it names the
            file.
    """
    folder = Path(name)
    if not folder.is_dir():
        source = load_source(name, text=text)
        return Source(source.name, source.sha256, read(source.rows, source.folder), source.notes)
    frames: list[pd.DataFrame] = []
    digests, notes = list[str](), list[str]()
    for path in part_files(folder):
        file = path.relative_to(folder).as_posix()
        try:
            part = load_source(str(path), text=text)
            frame = read(part.rows, part.folder).frame()
            if frames:
                _check_columns(frame, frames[0])
        except InputError as error:
            raise in_file(file, error) from error
        frames.append(frame)
        digests.append(part.sha256)
        notes += [f"{file}: {note}" for note in part.notes]
    whole = pd.concat(frames, ignore_index=True)
    return Source(name, hashlib.sha256("".join(digests).encode()).hexdigest(), FrameRows(whole), notes)


def in_file(file: str, error: InputError) -> InputError:
    """Return an error that names the file of a folder."""
    return InputError(f"file {shown(file)}: {error}")


def _check_columns(frame: pd.DataFrame, first: pd.DataFrame) -> None:
    missing, more = first.columns.difference(frame.columns), frame.columns.difference(first.columns)
    if len(missing) or len(more):
        lacks = (
            f"lacks {quoted(list(missing), most=3)}" if len(missing) else f"has {quoted(list(more), most=3)} besides"
        )
        raise InputError(f"its columns are not those of the first file: it {lacks}; keep the parts of one table there")
