"""A task: rows, target, split, bins and regions, ready for training."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.columns import Schema
from tailwise.data.rows import Rows
from tailwise.data.splits import SplitName
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots


@dataclass(frozen=True)
class Task:
    """A table ready for training.

    Args:
        rows: rows with a target, in the order of the source.
        row: ``(n,)`` position of each row in the source, from 0.
        y: ``(n,)`` target; of K > 1 target columns ``(n, K)``.
        part: ``(n,)`` of ``"train"``, ``"val"``, ``"test"``, ``"masked"`` (removed from training and validation).
        split: kind of split that was made.
        schema: feature columns.
        shots: bins and regions, from training labels.
        relevance: φ from training labels, if any value is extreme; none of several targets.
        notes: what the user should know.
    """

    rows: Rows
    row: NDArray[np.int64]
    y: NDArray[np.float64]
    part: NDArray[np.str_]
    split: SplitName
    schema: Schema
    shots: Shots
    relevance: Relevance | None
    notes: list[str]

    def rows_of(self, part: str) -> tuple[Rows, NDArray[np.float64]]:
        """Rows of one part and their targets."""
        here = np.flatnonzero(self.part == part)
        return self.rows.select(here), self.y[here]

    def note_resampling(self, name: str, rows: int) -> None:
        """Tell the user what a method made of the training rows."""
        before = int((self.part == "train").sum())
        self.notes.append(
            f"{name}: {before:,} training rows became {rows:,}; regions are those of the rows as they were"
        )

    def training_features(self) -> tuple[pd.DataFrame, NDArray[np.float64]]:
        """Features of the training rows as :meth:`Schema.features` gives them, and targets.

        Raises:
            InputError: rows that are not in memory.
        """
        rows, y = self.rows_of("train")
        if self.schema.media:
            kinds = " and ".join(dict.fromkeys(medium.plural for medium in self.schema.media))
            raise InputError(f"resampling and --model are for tables alone, not for {kinds}")
        if not rows.in_memory:
            raise InputError("this needs the rows in memory, for resampling or --model; give a file, not a folder")
        return self.schema.features(rows.frame()), y
