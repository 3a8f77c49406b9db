"""Rows of a table that has predictions of any model, as ``tailwise dial`` reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, quoted, shown
from tailwise._numbers import counted
from tailwise.data.reading import Reading
from tailwise.data.row_weight import check_weight_column, note_on_weights, read_weights, unequal
from tailwise.data.source import load_source
from tailwise.data.targets import require_column, target_rows
from tailwise.distributions.conditional import FEWEST

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Rows that a model was not trained on, with its predictions and their true values.

    Args:
        y: ``(n,)`` true values, target units.
        pred: ``(n,)`` predictions.
        reference: ``(n,)`` rows of the group that a correction is fitted to; all rows where none is named.
        counts: ``(n,)`` how much each row counts, at least 0; ``None`` where all count alike.
        group: ``(n,)`` group of each row, if there are groups.
        kept: cells that are passed through, by column.
        notes: notes for the user.
    """

    y: Floats
    pred: Floats
    reference: NDArray[np.bool_]
    counts: Floats | None
    group: NDArray[np.str_] | None
    kept: Mapping[str, Any]
    notes: list[str]

    @property
    def fits(self) -> NDArray[np.bool_]:
        """``(n,)`` rows that the correction is fitted to: those of the reference group that count."""
        return self.reference if self.counts is None else self.reference & (self.counts > 0)

    @property
    def weight(self) -> Floats | None:
        """Weights of the rows that the correction is fitted to; ``None`` where all count alike."""
        return None if self.counts is None else self.counts[self.fits]


def held_out_rows(
    table: str,
    target: str,
    prediction: str,
    *,
    weight: str | None,
    group: str | None,
    reference: str | None,
    keep: Sequence[str],
) -> HeldOut:
    """Read held-out rows.

    Args:
        table: file, or ``example:NAME``.
        target: column of the true values.
        prediction: column of the predictions.
        weight: column of the weights of rows.
        group: column of groups.
        reference: ``COLUMN=VALUE`` of the rows of the reference group.
        keep: columns to pass through.

    Raises:
        InputError: columns that are absent or hold other cells, a reference group without rows, all of it in one line.
    """
    of_reference = None if reference is None else _parsed(reference)
    as_text = [*keep, *([] if group is None else [group]), *([] if of_reference is None else [of_reference[0]])]
    frame, notes = _read(table, as_text, numbers=(target, prediction, weight))
    y, pred = (_numbers(frame, name) for name in (target, prediction))
    member = np.ones(len(frame), dtype=bool) if of_reference is None else _members(frame, *of_reference)
    counts = None
    if weight is not None:
        check_weight_column(weight, list(frame.columns), (target,), (group,))
        counts = read_weights(frame, weight)
        if not counts[member].any():
            raise InputError(f"--weight column {shown(weight)} is 0 in every row of the reference group")
        used = counts[member & (counts > 0)]
        notes.append(note_on_weights(weight, unequal(used), len(used)))
    used_rows = int((member if counts is None else member & (counts > 0)).sum())
    if used_rows < FEWEST:
        which = " and ".join([*_if(reference, f"with {reference}"), *_if(weight, "a weight above 0")])
        raise InputError(f"{counted(used_rows, 'row')} {which}".rstrip() + f" to fit to; at least {FEWEST} are needed")
    groups = None if group is None else _groups(frame, group)
    return HeldOut(y, pred, member, counts, groups, kept_cells(frame, keep), notes)


def new_rows(table: str, prediction: str, keep: Sequence[str]) -> tuple[Floats, dict[str, Any], list[str]]:
    """Return the ``(n,)`` predictions of new rows, the cells of the columns to pass through, and notes.

    Raises:
        InputError: columns that are absent, predictions that are not numbers.
    """
    frame, notes = _read(table, keep, numbers=(prediction,))
    return _numbers(frame, prediction), kept_cells(frame, keep), [f"--apply table: {note}" for note in notes]


def training_labels(table: str, target: str, weight: str | None) -> tuple[Floats, Floats | None, list[str]]:
    """Return the ``(m,)`` labels of training rows, their weights if the table has the column of these, and notes.

    Raises:
        InputError: a column that is absent or holds other cells.
    """
    frame, read = _read(table, (), numbers=())
    notes = [f"--labels table: {note}" for note in read]
    y = _numbers(frame, target)
    if weight is None or weight not in frame:
        lacks = f"the table of --labels lacks the column {shown(weight)} of the weights: its rows count alike"
        return y, None, notes if weight is None else [*notes, lacks]
    counts = read_weights(frame, weight)
    return y[counts > 0], counts[counts > 0], notes


def kept_cells(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    """Return the cells of columns that are passed through, by name.

    Raises:
        InputError: a column that is absent.
    """
    for name in names:
        if name not in frame:
            raise InputError(f"--keep {name!r} is not a column; columns: {quoted(list(frame))}")
    return {name: frame[name].to_numpy() for name in dict.fromkeys(names)}


def _if(given: str | None, words: str) -> list[str]:
    return [] if given is None else [words]


def _read(table: str, text: Sequence[str], *, numbers: Sequence[str | None]) -> tuple[pd.DataFrame, list[str]]:
    source = load_source(table, text=[name for name in text if name not in numbers])
    return source.rows.frame(), list(source.notes)


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    """Return a column of numbers without empty cells."""
    require_column(name, list(frame.columns), "column")
    return target_rows(frame, [name], drop=False)[0]


def _parsed(reference: str) -> tuple[str, str]:
    """Return column and value of ``COLUMN=VALUE``."""
    name, mark, value = reference.rpartition("=")
    if not mark or not name or not value.strip():
        raise InputError(f"--reference takes COLUMN=VALUE such as diagnosis=healthy, got {shown(reference)}")
    return name, value.strip()


def _members(frame: pd.DataFrame, name: str, value: str) -> NDArray[np.bool_]:
    """Return the rows whose cell has a value, as text or as a number."""
    require_column(name, list(frame.columns), "--reference")
    cells = frame[name].astype("string") if pd.api.types.is_bool_dtype(frame[name]) else frame[name]
    member = Reading((value,)).is_missing(cells).to_numpy(dtype=bool)
    if not member.any():
        seen = quoted(dict.fromkeys(cells.dropna().head(1000)), most=5)
        raise InputError(f"--reference: no row has {shown(value)} in column {shown(name)}; it has {seen}")
    return member


def _groups(frame: pd.DataFrame, name: str) -> NDArray[np.str_]:
    """Return the group of each row as text."""
    require_column(name, list(frame.columns), "--group")
    empty = int(frame[name].isna().sum())
    if empty:
        raise InputError(f"--group column {shown(name)} has {empty} empty cells; fill them, or remove these rows")
    return frame[name].astype(str).to_numpy(dtype=np.str_)
