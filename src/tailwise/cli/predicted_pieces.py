"""The predictions of a table or of a folder of tables, written a piece at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tailwise._checks import InputError
from tailwise.cli.given_predictions import kept_cells
from tailwise.cli.show import warnings_as_notes
from tailwise.data.growing_table import Append
from tailwise.data.rows import FrameRows
from tailwise.data.source import load_source
from tailwise.data.source_parts import in_file
from tailwise.data.table_parts import is_parquet, part_files, pieces_of_file
from tailwise.experiment.model import FittedModel
from tailwise.modalities.media_rows import with_full_paths
from tailwise.runs.predicted_table import Asked, PredictedPieces, numbered_pieces


@dataclass(frozen=True)
class Written:
    """Predictions that were written.

    Args:
        n: number of predictions.
        notes: notes for the user on them.
        unseen: fraction of the rows with a value that no training row had, by column, the highest first.
    """

    n: int
    notes: list[str]
    unseen: dict[str, float]


def write_pieces(
    model: FittedModel, data: str, asked: Asked, keep: Sequence[str], append: Append, *, ignore_extra: bool
) -> Written:
    """Write the predictions of a table a piece at a time.

    Raises:
        InputError: a table that cannot be read or does not fit the model; of a folder it names the file.
    """
    pieces, n, told = PredictedPieces(model, asked), 0, dict[str, None]()
    with warnings_as_notes() as warned:
        for file, frame, notes in _pieces(model, data, keep):
            try:
                kept = kept_cells(frame, keep)
                unknown = [str(name) for name in frame if name not in kept]
                told |= dict.fromkeys([*notes, *([] if ignore_extra else model.schema.note_on_extra(unknown))])
                table = pieces.of(frame)
            except InputError as error:
                raise error if file is None else in_file(file, error) from error
            taken = [name for name in kept if name in table]
            if taken:
                raise InputError(
                    f"--keep {taken[0]!r} has the name of a column of the predictions; rename it in the table"
                )
            for place, (name, cells) in enumerate(kept.items(), start=1):
                table.insert(place, name, cells)
            if file is not None:
                table.insert(0, "file", file)
            append(table)
            n += len(table)
    return Written(n, [*told, *dict.fromkeys(warned), *pieces.notes], pieces.unseen)


def _pieces(model: FittedModel, data: str, keep: Sequence[str]) -> Iterator[tuple[str | None, pd.DataFrame, list[str]]]:
    """Yield the file, of a folder, the rows with their positions as the index, and notes for the user.

    Raises:
        InputError: a table that cannot be read or lacks columns; of a folder it names the file.
    """
    schema, folder = model.schema, Path(data)
    text = [*schema.text_columns, *(name for name in keep if name not in schema.names)]
    if schema.lags or not (folder.is_dir() or is_parquet(folder)):
        if folder.is_dir():
            raise InputError("a run with lags predicts one table, whose series are whole; put the parts into one file")
        source = load_source(data, text=text)
        schema.check(source.rows.columns, ignore_extra=True)
        rows, of_lags = model.with_lags(with_full_paths(source.rows, schema, source.folder))
        yield from ((None, frame, [*source.notes, *of_lags]) for frame in numbered_pieces(rows))
        return
    for path in part_files(folder) if folder.is_dir() else [folder]:
        file = path.relative_to(folder).as_posix() if folder.is_dir() else None
        start = 0
        try:
            for frame, notes in pieces_of_file(path, text=text):
                schema.check([str(name) for name in frame], ignore_extra=True)
                frame = frame.set_axis(pd.RangeIndex(start, start + len(frame)))
                start += len(frame)
                where = path.absolute().parent
                told = notes if file is None else [f"{file}: {note}" for note in notes]
                yield file, with_full_paths(FrameRows(frame), schema, where).frame(), told
        except InputError as error:
            raise error if file is None else in_file(file, error) from error
