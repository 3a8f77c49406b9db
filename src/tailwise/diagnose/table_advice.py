"""Advice on the rows and columns of the table."""

from collections.abc import Iterator

from tailwise._checks import quoted
from tailwise.diagnose.facts import Advice, Diagnosis
from tailwise.experiment.commands import Commands
from tailwise.modalities.kinds import kinds

_WEAK_R2 = 0.1
_REPEATED, _CONTRADICTING = 0.01, 0.2


def leak(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise on columns that may leak the target."""
    suspects = diagnosis.columns.suspects
    if suspects:
        named = ", ".join(f"{s.column!r} ({s.measure} {s.value:.3f})" for s in suspects[:3])
        more = f" and {len(suspects) - 3} more" if len(suspects) > 3 else ""
        yield Advice(
            f"one column alone predicts the target almost perfectly: {named}{more}",
            "before anything else find out when and how it is recorded; drop it if it is computed from the target or "
            "known only after it",
            "a model copies such a column: it looks excellent here, and fails on rows whose column is not known yet",
            (commands.without(suspect.column for suspect in suspects),),
        )


def weak_columns(diagnosis: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Advise if the columns hardly predict the target."""
    over_all = diagnosis.error("all")
    if not set(kinds()).isdisjoint(diagnosis.columns.kinds):
        return  # the information in images and texts was not measured
    if over_all and over_all.r2 is not None and over_all.r2 < _WEAK_R2:
        yield Advice(
            f"the columns hardly predict the target: out-of-fold R² is {over_all.r2:.2f}",
            "look for better columns before choosing a method",
            "weights and regularizers shift the errors between rows; they add no information",
        )


def same_rows(diagnosis: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Advise on rows that repeat or contradict each other."""
    rows, same = diagnosis.target.rows, diagnosis.duplicates
    if same.repeated >= _REPEATED * rows:
        yield Advice(
            f"{same.repeated:,} rows ({same.repeated / rows:.1%}) repeat an earlier one in all features and the target",
            "drop rows that were recorded twice; if rows belong together, name the column of their groups with `group`",
            "a row in both training and test makes errors look smaller than they are",
        )
    if same.contradicting >= _CONTRADICTING * rows:
        yield Advice(
            f"{same.contradicting / rows:.0%} of the rows share all features with a row of another target",
            "expect an error that no method removes",
            "no model can distinguish such rows",
        )


def dated_rows(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise on rows with dates, which a split at random mixes."""
    dates = diagnosis.columns.dates
    if dates:
        yield Advice(
            f"rows have dates: column {quoted(dates, most=2)}",
            "if the rows to predict are later ones, split by time; with `lags` earlier labels become features",
            "at random, later rows help to predict earlier ones, and errors look smaller than they will be",
            (commands.train(None, "--time", dates[0]),),
        )


def useless_columns(diagnosis: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Advise on columns without information."""
    constant, identifiers = diagnosis.columns.constant, diagnosis.columns.identifiers
    names = [*constant, *identifiers]
    if names:
        kinds = {"constant": constant, "identifier": identifiers}
        parts = [f"{kind}: {quoted(which, most=4)}" for kind, which in kinds.items() if which]
        yield Advice(
            f"columns that cannot help: {'; '.join(parts)}",
            "drop them",
            "a constant has no information, and models memorise identifiers",
            (commands.without(names),),
        )
