"""Advice on the rows and columns of the table."""

from collections.abc import Iterator

from tailwise._checks import quoted
from tailwise.diagnose.commands import Commands
from tailwise.diagnose.facts import Advice, Diagnosis
from tailwise.modalities.kinds import kinds

_WEAK_R2 = 0.1
_REPEATED, _CONTRADICTING = 0.01, 0.2


def leak(found: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Where a column knows the target."""
    suspects = found.columns.suspects
    if suspects:
        named = ", ".join(f"{s.column!r} ({s.measure} {s.value:.3f})" for s in suspects[:3])
        more = f" and {len(suspects) - 3} more" if len(suspects) > 3 else ""
        yield Advice(
            f"one column alone predicts the target almost perfectly: {named}{more}",
            "before anything else find out when and how it is recorded; drop it if it is computed from the target or "
            "known only after it",
            "a model copies such a column, looks excellent here and fails where the column is not known yet",
            (commands.without(suspect.column for suspect in suspects),),
        )


def weak_columns(found: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Where no column knows anything about the target."""
    over_all = found.error("all")
    if not set(kinds()).isdisjoint(found.columns.kinds):
        return  # the information in images and texts was not measured
    if over_all and over_all.r2 is not None and over_all.r2 < _WEAK_R2:
        yield Advice(
            f"the columns hardly predict the target: out-of-fold R² is {over_all.r2:.2f}",
            "look for better columns before choosing a method",
            "weights and regularizers decide which rows a model serves; they add no information about any of them",
        )


def same_rows(found: Diagnosis, _: Commands) -> Iterator[Advice]:
    """Where rows repeat or contradict each other."""
    rows, same = found.target.rows, found.duplicates
    if same.repeated >= _REPEATED * rows:
        yield Advice(
            f"{same.repeated:,} rows ({same.repeated / rows:.1%}) repeat an earlier one in all features and the target",
            "drop them if the same thing was recorded twice; if rows belong together, name their column with `group`",
            "a row that is in training and in test makes errors look smaller than they are",
        )
    if same.contradicting >= _CONTRADICTING * rows:
        yield Advice(
            f"{same.contradicting / rows:.0%} of the rows share all features with a row of another target",
            "expect an error that no method removes",
            "no model can tell such rows apart",
        )


def useless_columns(found: Diagnosis, commands: Commands) -> Iterator[Advice]:
    """Where columns cannot help."""
    constant, identifiers = found.columns.constant, found.columns.identifiers
    names = [*constant, *identifiers]
    if names:
        kinds = {"constant": constant, "identifier": identifiers}
        parts = [f"{kind}: {quoted(which, most=4)}" for kind, which in kinds.items() if which]
        yield Advice(
            f"columns that cannot help: {'; '.join(parts)}",
            "drop them",
            "a constant says nothing, and a number given to each row is learnt by heart",
            (commands.without(names),),
        )
