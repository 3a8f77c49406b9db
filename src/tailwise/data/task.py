"""A task: rows, target, split, bins and regions, ready for training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.columns import Schema
from tailwise.data.original_units import OriginalUnits, errors_in_original_units
from tailwise.data.rows import Rows
from tailwise.data.source import Source
from tailwise.data.splits import SplitName
from tailwise.labels.censoring import Censoring
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
        split: kind of split.
        schema: feature columns.
        shots: bins and regions, from training labels.
        relevance: φ from training labels, if any value is extreme; ``None`` for several targets.
        notes: notes for the user, those on how the table was read included.
        source: source of the rows, if it is known.
        choices: how the table was prepared, as plain values.
        weight: ``(n,)`` above 0, how much a row counts in the training, in every error and in the density of labels;
            all alike by default. Networks draw rows in proportion to it, other models multiply their loss by it.
            Regions follow the number of rows.
        group: ``(n,)`` group of each row; rows of one group are never divided between folds.
        time: ``(n,)`` time of each row, by which folds look forward only; ``None`` where rows have no order.
        held_out: whether validation and training rows differ, so that intervals can be calibrated.
        units: the way back to the original labels, of labels that were transformed.
        censoring: limits at which labels are censored, in units of the labels.
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
    source: Source | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)
    weight: NDArray[np.float64] | None = None
    group: NDArray[np.generic] | None = None
    held_out: bool = True
    units: OriginalUnits | None = None
    time: NDArray[np.float64] | None = None
    censoring: Censoring | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the source, with those of tables of parts; empty without a source."""
        return "" if self.source is None else self.source.sha256

    def rows_of(self, part: str) -> tuple[Rows, NDArray[np.float64]]:
        """Return the rows of one part and their targets."""
        positions = np.flatnonzero(self.part == part)
        return self.rows.select(positions), self.y[positions]

    def count(self, part: str) -> int:
        """Return the number of rows of a part."""
        return int((self.part == part).sum())

    def weight_of(self, part: str) -> NDArray[np.float64] | None:
        """Return the weights of the rows of one part, ``(m,)``; ``None`` where all rows count alike."""
        return None if self.weight is None else self.weight[self.part == part]

    def errors(
        self, y: NDArray[np.float64], pred: NDArray[np.float64], weight: NDArray[np.float64] | None = None
    ) -> dict[str, float]:
        """Return validation errors of predictions by name, original units.

        Args:
            y: ``(m,)`` or ``(m, K)`` labels of some rows.
            pred: their predictions.
            weight: ``(m,)`` weights of the rows, if they have some.
        """
        return errors_in_original_units(y, pred, self.shots, self.units, self.censoring, weight=weight)

    def note_resampling(self, name: str, rows: int) -> None:
        """Add a note on the number of training rows after resampling."""
        self.notes.append(
            f"{name}: {self.count('train'):,} training rows became {rows:,}; regions are those of the original rows"
        )

    def training_features(self) -> tuple[pd.DataFrame, NDArray[np.float64]]:
        """Return features of the training rows as :meth:`Schema.features` gives them, and targets.

        Raises:
            InputError: rows that are not in memory.
        """
        rows, y = self.rows_of("train")
        if self.schema.media:
            kinds = " and ".join(dict.fromkeys(medium.plural for medium in self.schema.media))
            raise InputError(f"resampling and `model` are for tables alone, not for {kinds}")
        if not rows.in_memory:
            raise InputError("this needs the rows in memory, for resampling or `model`; give a file, not a folder")
        return self.schema.features(rows.frame()), y
