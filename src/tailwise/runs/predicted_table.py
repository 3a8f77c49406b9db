"""Predictions of new rows as a table: predictions, regions, intervals and answers to questions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.data.rows import Rows
from tailwise.data.seen import Bounded, UnseenValues
from tailwise.data.table_parts import ROWS_AT_ONCE
from tailwise.distributions.decisions import Decision
from tailwise.experiment.model import FittedModel
from tailwise.modalities.bright_images import BrightImages, bits_of_readers
from tailwise.runs.folder import by_target
from tailwise.runs.questions import NO_QUESTIONS, Questions


@dataclass(frozen=True)
class Asked:
    """What is asked about rows.

    Args:
        decision: what the predictions minimise, and under which balance or density.
        questions: quantiles, and chances of values above or below others.
        interval: fraction of true values that intervals contain, in (0, 1); no intervals if not given.

    Raises:
        InputError: an interval outside (0, 1).
    """

    decision: Decision
    questions: Questions = NO_QUESTIONS
    interval: float | None = None

    def __post_init__(self) -> None:
        if self.interval is not None and not 0 < self.interval < 1:
            raise InputError(f"`interval` must be a fraction between 0 and 1, such as 0.9, got {self.interval:g}")

    @property
    def needs_distributions(self) -> bool:
        """Whether the answer comes from distributions."""
        return bool(self.questions) or self.decision.given

    def check(self, model: FittedModel) -> None:
        """Raise unless a model can answer, before any row is predicted.

        Raises:
            InputError: intervals or thresholds of several targets, a model without distributions.
        """
        n_targets = len(model.schema.targets)
        if self.interval is not None and n_targets > 1:
            raise InputError(f"a run on {n_targets} targets has no intervals; leave out `interval`")
        self.questions.check(n_targets)
        if self.needs_distributions:
            model.check_distributions(self.decision)


class PredictedPieces:
    """Predictions of the pieces of a table, one after the other, and the notes on all of them.

    Args:
        model: the model.
        asked: what is asked about the rows; see :meth:`Asked.check`.
    """

    def __init__(self, model: FittedModel, asked: Asked) -> None:
        self._model, self._asked = model, asked
        self._unseen = UnseenValues(model.schema.seen)
        self._bright = BrightImages(bits_of_readers(model.inputs))
        self._bounded: Bounded | None = None
        self._others: dict[str, None] = {}
        self._n_rows = 0

    @property
    def notes(self) -> list[str]:
        """Notes for the user on the rows so far."""
        of_values = [*self._others, *self._unseen.notes, *self._bright.notes]
        return [*of_values, *([self._bounded.note] if self._bounded is not None else [])]

    @property
    def unseen(self) -> dict[str, float]:
        """Fraction of the rows so far with a value that no training row had, by column, the highest first."""
        return self._unseen.fractions

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a table with a line for each row; ``row`` is its label in the index.

        Warnings of a calibration with few rows are issued.

        Args:
            frame: the next rows, with earlier labels if the model needs them.

        Raises:
            InputError: columns that are missing or of another type, a model without what is asked for.
        """
        model, decision, interval, targets = (
            self._model,
            self._asked.decision,
            self._asked.interval,
            self._model.schema.targets,
        )
        of_distributions = interval is not None and (decision.given or model.has_own_intervals)
        predictive = self._asked.needs_distributions or model.needs(decision) or of_distributions
        known = model.predictions(frame, ignore_extra=True, predictive=predictive, quiet=True)
        pred = model.decided(known, decision)
        table = pd.DataFrame({"row": np.asarray(frame.index), **by_target("prediction", pred, targets)})
        if known.std is not None:
            std = model.tilted(known, decision).std() if decision.given else known.std
            table = table.assign(**by_target("std", std, targets))
        table["region"] = model.shots.names(pred)
        if interval is not None and not of_distributions:
            table[["low", "high"]] = model.intervals_of(pred, interval)
        elif interval is not None and model.has_decision_intervals:
            table[["low", "high"]] = model.intervals_of_decision(known, decision.for_questions(), interval)
        elif interval is not None:
            table["low"], table["high"] = model.tilted(known, decision.for_questions()).interval(interval)
            self._others["low and high are quantiles that no held-out rows calibrated: the run has none for that"] = (
                None
            )
        if self._asked.questions:
            tilted = model.tilted(known, decision.for_questions())
            table = table.assign(**self._asked.questions.columns(tilted, targets))
        self._unseen.add(model.schema.features(frame))
        self._bright.add(frame)
        self._others |= dict.fromkeys(known.of_lags)
        if known.bounded is not None:
            bounded = replace(known.bounded, row=known.bounded.row + self._n_rows)
            self._bounded = bounded if self._bounded is None else self._bounded.joined(bounded)
        self._n_rows += len(frame)
        return table


def predicted_table(model: FittedModel, rows: Rows, asked: Asked) -> tuple[pd.DataFrame, list[str]]:
    """Return a table with a line for each row, and notes for the user.

    Columns of the training table that are unknown are ignored. Warnings of a calibration with few rows are issued.
    Distributions of at most 65,536 rows are in memory.

    Args:
        model: the model.
        rows: of new data, paths in cells from anywhere.
        asked: what is asked about them; see :meth:`Asked.check`.

    Raises:
        InputError: columns that are missing or of another type, a model without what is asked for.
    """
    model.schema.check(rows.columns, ignore_extra=True)
    pieces = PredictedPieces(model, asked)
    rows, of_lags = model.with_lags(rows)
    tables = [pieces.of(frame) for frame in numbered_pieces(rows)]
    return pd.concat(tables, ignore_index=True), [*of_lags, *pieces.notes]


def numbered_pieces(rows: Rows) -> Iterator[pd.DataFrame]:
    """Yield the rows, at most 65,536 at a time, with their positions as the index; an empty table is one piece."""
    start = 0
    for frame in rows.pieces(ROWS_AT_ONCE) if len(rows) else (rows.frame(),):
        yield frame.set_axis(pd.RangeIndex(start, start + len(frame)))
        start += len(frame)
