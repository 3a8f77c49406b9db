"""New rows with their targets, read as a model reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.row_weight import weights_to_evaluate
from tailwise.data.rows import FrameRows, Rows
from tailwise.data.seen import UnseenValues
from tailwise.data.source_parts import load_whole
from tailwise.data.table_parts import ROWS_AT_ONCE
from tailwise.data.targets import target_rows
from tailwise.experiment.model import FittedModel
from tailwise.modalities.bright_images import BrightImages, bits_of_readers
from tailwise.modalities.media_rows import with_full_paths

_ITS_TEST_ROWS = "those of its test rows are in `metrics.json` and on its page"


@dataclass(frozen=True)
class LabelledRows:
    """Rows that have a target.

    Args:
        frame: the rows, with their positions in the table as the index.
        y: their targets, ``(n,)`` or ``(n, K)``.
        weight: how much each row counts, if rows have weights.
        row: their positions in the table, ``(n,)``; those of a folder count through its files.
        notes: notes for the user.
        unseen: fraction of the rows with a value that no training row had, by column, the highest first.
        sha256: digest of the table.
    """

    frame: pd.DataFrame
    y: NDArray[np.float64]
    weight: NDArray[np.float64] | None
    row: NDArray[np.int64]
    notes: list[str]
    unseen: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""

    def note_on_trained(self, config: Mapping[str, Any]) -> list[str]:
        """Return a note if a run was trained on this very table.

        Args:
            config: settings of the run, see :func:`tailwise.runs.folder.read_settings`.
        """
        if not self.sha256 or config["data"]["sha256"] != self.sha256:
            return []
        return ["the run was trained on rows of this very table, so its errors here are too low; " + _ITS_TEST_ROWS]


def labelled_rows(model: FittedModel, data: str, *, drop: bool, ignore_extra: bool = True) -> LabelledRows:
    """Read the rows of a table that have a target.

    Args:
        model: the model, whose columns decide how cells are read.
        data: a file, a folder of files, or ``example:NAME``.
        drop: whether rows without a target are left out; else they are an error.
        ignore_extra: whether columns that the model does not know pass without a note.

    Raises:
        InputError: a table that cannot be read, lacks columns, or has no row with a target.
    """
    schema = model.schema

    def read(rows: Rows, folder: Path) -> Rows:
        schema.check(rows.columns, ignore_extra=True)
        return with_full_paths(rows, schema, folder)

    source = load_whole(data, text=schema.text_columns, read=read)
    rows, of_lags = model.with_lags(source.rows)
    frame = rows.frame()
    y, labelled = target_rows(frame, schema.targets, drop=drop, readings=schema.target_readings)
    weight, kept, remarks = weights_to_evaluate(frame, schema, labelled)
    y, labelled = y[kept[labelled]], labelled & kept
    if not labelled.any():
        raise InputError(f"the table has no row with a target {schema.target!r}")
    frame = frame[labelled]
    extra = [] if ignore_extra else schema.note_on_extra(source.rows.columns)
    unseen = UnseenValues(schema.seen)
    bright = BrightImages(bits_of_readers(model.inputs))
    for piece in FrameRows(frame).pieces(ROWS_AT_ONCE):
        unseen.add(schema.features(piece))
        bright.add(piece)
    notes = [*source.notes, *extra, *of_lags, *remarks, *unseen.notes, *bright.notes]
    return LabelledRows(frame, y, weight, np.flatnonzero(labelled), notes, unseen.fractions, source.sha256)
