"""Predictions of new rows as a table: predictions, regions, intervals and answers to questions."""

from dataclasses import dataclass

import pandas as pd

from tailwise._checks import InputError
from tailwise.data.rows import Rows
from tailwise.distributions.decisions import Decision
from tailwise.experiment.model import FittedModel
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
            model.check_distributions()


def predicted_table(model: FittedModel, rows: Rows, asked: Asked) -> tuple[pd.DataFrame, list[str]]:
    """Return a table with a line for each row, and notes for the user.

    Columns of the training table that are unknown are ignored. Warnings of a calibration with few rows are issued.

    Args:
        model: the model.
        rows: of new data, paths in cells from anywhere.
        asked: what is asked about them; see :meth:`Asked.check`.

    Raises:
        InputError: columns that are missing or of another type, a model without what is asked for.
    """
    decision, targets, notes = asked.decision, model.schema.targets, list[str]()
    predictive = asked.needs_distributions or model.needs(decision)
    known = model.predictions(rows, ignore_extra=True, predictive=predictive, quiet=True)
    pred = model.decided(known, decision)
    frame = pd.DataFrame({"row": range(len(pred)), **by_target("prediction", pred, targets)})
    if known.std is not None:
        std = model.tilted(known, decision).std() if decision.given else known.std
        frame = frame.assign(**by_target("std", std, targets))
    frame["region"] = model.shots.names(pred)
    if asked.interval is not None and not decision.given:
        frame[["low", "high"]] = model.intervals_of(pred, asked.interval)
    elif asked.interval is not None and model.has_decision_intervals:
        frame[["low", "high"]] = model.intervals_of_decision(known, decision, asked.interval)
    elif asked.interval is not None:
        frame["low"], frame["high"] = model.tilted(known, decision).interval(asked.interval)
        notes.append("low and high are quantiles that no held-out rows calibrated: the run has none for that")
    if asked.questions:
        frame = frame.assign(**asked.questions.columns(model.tilted(known, decision.for_questions()), targets))
    return frame, [*notes, *model.notes_on_unseen(rows), *known.notes]
