"""Prepare a table: columns, split, bins, regions; everything learnt from training rows only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, shown
from tailwise._numbers import counted
from tailwise.data.cell_rules import CellRules
from tailwise.data.columns import Schema
from tailwise.data.missing_codes import notes_on_codes
from tailwise.data.own_parts import text_columns, with_own_parts
from tailwise.data.reading import PLAIN
from tailwise.data.row_weight import ROLE, check_weight_column, note_on_weights, read_weights, unequal
from tailwise.data.rows import FrameRows, Rows, as_rows, sample
from tailwise.data.source import Source, load_source
from tailwise.data.splits import SPLIT_COLUMN, SplitName, check_groups, split_rows
from tailwise.data.splits import split_column as split_column_parts
from tailwise.data.target_weight import TargetWeight, note_on_target_weights, target_weights
from tailwise.data.targets import check_target, require_column, target_names, target_reading, target_rows
from tailwise.data.task import Task
from tailwise.data.time_order import ROLE as TIME
from tailwise.data.time_order import TimeOrder, check_time_column, note_on_dates, seasons_alone, time_order
from tailwise.experiment.target_bins import (
    bins_for,
    check_bins,
    check_several,
    note_on_crowded_bin,
    note_on_units,
    weighted_bins,
)
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.gaps import Gaps
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots
from tailwise.modalities.kinds import column_options, how_to_name
from tailwise.modalities.media_rows import media_columns, with_full_paths

# What a run writes of how its table was prepared, in this order.
_CHOICES = (
    *("bin_width", "n_bins", "shots", "split", "split_column", "group", "drop_missing_target", "mask_target", "seed"),
    *("drop", "nominal", "numeric", "date"),
)
# Written where they are given.
_IF_GIVEN = (
    *("split_key", "missing", "decimal", "thousands", "date_order"),
    *("weight", "target_weight", "time", "lags", "rolling"),
)
_OF_PARTS = ("test", "valid")
_ROLES = {
    "group": "it holds the groups",
    "key": "it names the rows",
    "split": "it holds the split",
    ROLE: "it holds the weights of rows",
    TIME: "it holds the time of rows",
}


def prepare(
    data: "str | Path | pd.DataFrame | Rows | Source",
    target: str | Sequence[str],
    *,
    bin_width: float | None = None,
    n_bins: int | None = None,
    edges: Sequence[float] | None = None,
    shots: tuple[float, float] | None = None,
    regions: Mapping[str, Sequence[int]] | None = None,
    split: SplitName = "auto",
    split_column: str | None = None,
    test: "str | Path | pd.DataFrame | None" = None,
    valid: "str | Path | pd.DataFrame | None" = None,
    group: str | None = None,
    split_key: str | None = None,
    weight: str | None = None,
    target_weight: TargetWeight = (),
    time: str | None = None,
    lags: Sequence[int] = (),
    rolling: Sequence[int] = (),
    drop: Sequence[str] = (),
    nominal: Sequence[str] = (),
    numeric: Sequence[str] = (),
    date: Sequence[str] = (),
    missing: Mapping[str, Any] | Sequence[str] = (),
    decimal: str | None = None,
    thousands: str | None = None,
    date_order: str | None = None,
    folder: str | Path | None = None,
    drop_missing_target: bool = False,
    mask_target: Sequence[tuple[float, float]] = (),
    seed: int = 0,
    **media: Sequence[str] | None,
) -> Task:
    """Recognise columns, split rows, and choose bins and regions from the training labels.

    Args:
        data: the table: a data frame of pandas or polars, a file, ``example:NAME``, or a source that was read before.
            Of rows that are not in memory only the target, and columns that split or group, are read whole; the
            columns are recognised from a sample.
        target: target column; or several, at most 50, which are predicted together. The error of a row of two or three,
            of one unit, is a distance, and their regions are cells of a grid. Of more each has bins and a unit of its
            own: a row is as rare as its rarest label, and its error is the root mean square over the targets, in their
            standard deviations.
        bin_width: width of the bins, target units; by default :meth:`Bins.auto`. Of several targets, width along each.
        n_bins: number of bins instead; of several targets, along each.
        edges: edges of the bins instead, target units; of one target.
        shots: explicit thresholds (many, few).
        regions: bins that are ``many`` and ``medium``, all others few, instead of thresholds; with ``edges`` alone.
        split: see :func:`tailwise.data.splits.split_rows`.
        split_column: column that says train, val or test; ``"split"`` if there is one.
        test: table of the test rows, with the columns of ``data``, whose rows are then not tested; they are counted
            after those of ``data``.
        valid: table of the validation rows; with ``test`` alone these are taken from ``data``.
        group: column whose groups are never split.
        split_key: column with a different value in every row, such as an id, that the rows are drawn by: their order
            then does not change the split.
        weight: column with the weights of rows, at least 0: exposure, survey weights. It is no feature. Rows count by
            it in the training, in every error and in the density of labels; regions follow the number of rows, since a
            model learns from rows. Rows of weight 0 are dropped.
        target_weight: weights of several targets, ``{"price": 2.0}`` or as texts ``["price=2"]``, above 0; 1 for those
            not named. Each target has that fraction of their sum in the loss and in the mean of squares that is the
            error of a row. Equal weights change nothing.
        time: column with dates or numbers by which rows are split: the earliest are trained on, then come those of
            validation, then those of test. The folds of a stack look forward only. Groups are then series, which the
            split cuts. Of dates the phases of year, week and day are features, the day itself is not, since rows to
            predict lie beyond it; numbers are no feature.
        lags: rows back in the series whose targets are features, see :class:`tailwise.data.lags.Lags`; with ``time``.
        rolling: numbers of rows before, whose mean target is a feature; with ``time``.
        drop: columns to leave out.
        nominal: columns to take as nominal.
        numeric: columns to take as numeric.
        date: columns to take as dates.
        missing: values that count as missing, by column, ``{"weight": [-999]}``, or as texts ``["weight=-999"]``; of
            features and of the target.
        decimal: mark before decimals in text, ``","`` or ``"."``, where cells could be read in two ways.
        thousands: mark between groups of three digits in text, ``","``, ``"."``, ``" "`` or ``"'"``.
        date_order: ``"dmy"`` or ``"mdy"``, where dates could be read in two ways.
        folder: where relative paths of files start; the current folder if not given.
        drop_missing_target: drop rows without a target instead of refusing them.
        mask_target: ranges ``[low, high)`` of the target whose rows are removed from training and validation, not from
            test: what remains to be interpolated or extrapolated.
        seed: of the split.
        media: columns that are read with encoders of their own, by the keywords of
            :mod:`tailwise.modalities.kinds`: ``image`` and ``signal``, columns that name files; ``text``, columns of
            texts; ``text_pair``, two columns of texts that are read as a pair.

    Raises:
        InputError: anything about the table or the choices that does not work, in one line.
    """
    given = locals()
    media_roles = media_columns(media, parameters=prepare.__kwdefaults__ or ())
    choices = {name: given[name] for name in _CHOICES} | {name: given[name] for name in _IF_GIVEN if given[name]}
    rules = CellRules.of(missing, decimal, thousands, date_order)
    for _, option in column_options():
        choices[option.name] = media.get(option.name, () if option.together == 1 else None)
    source = (
        data
        if isinstance(data, Source)
        else load_source(str(data), text=nominal)
        if isinstance(data, str | Path)
        else None
    )
    rows = as_rows(data) if source is None else source.rows  # type: ignore[arg-type]
    folder = source.folder if source is not None and folder is None else folder
    if time is None and (lags or rolling):
        raise InputError("`lags` and `rolling` look back in time; name the column of the time with `time`")
    if time is not None and split not in ("auto", "column", "time"):
        raise InputError(f"`time` splits the rows by time, and `split={split!r}` at random; leave one of them out")
    if split == "time" and time is None:
        raise InputError("`split='time'` needs the column of the time; name it with `time`")
    notes = [] if source is None else list(source.notes)
    row_weight: NDArray[np.float64] | None = None
    parts = {name: given[name] for name in _OF_PARTS if given[name] is not None}
    if parts:
        if split not in ("auto", "column"):
            raise InputError(f"`test` and `valid` name the parts, and `split={split!r}` draws them; leave one out")
        sources = {name: _part_source(table, rows) for name, table in parts.items()}
        if media_roles and any(one.folder != folder for one in sources.values()):
            raise InputError("`test` and `valid` must lie in the folder of the table, where paths of files start")
        choices |= {name: one.name for name, one in sources.items()}
        tables = {name: one.rows.frame() for name, one in sources.items()}
        notes += [f"`{name}` table: {note}" for name, one in sources.items() for note in one.notes]
        rows, of_parts = with_own_parts(rows, tables, column=split_column)
        notes += of_parts
        source = None if source is None else source.beside(sources.values())
    names = rows.columns
    if len(names) < 2 or len(rows) == 0:
        raise InputError(
            f"the table has {counted(len(rows), 'row')} and {counted(len(names), 'column')}; "
            "a target and at least one feature are needed (is the separator right?)"
        )
    check_bins(bin_width, n_bins, edges, shots, regions)
    targets = target_names(target, names)
    of_target = target_weights(target_weight, targets)
    choices |= {"target_weight": of_target} if of_target else {}
    check_several(targets, edges=edges, mask_target=mask_target)
    of_targets = rows.frame(list(targets))
    readings = {name: target_reading(of_targets, name, rules) for name in targets}
    values, labelled = target_rows(of_targets, targets, drop=drop_missing_target, readings=readings)
    order: TimeOrder | None = None
    if time is not None:
        check_time_column(time, names, targets, (group, split_column, weight))
        order = time_order(rows, time, targets, readings, group=group, lags=lags, rolling=rolling, rules=rules)
        rows = order.rows
    row = np.flatnonzero(labelled)
    notes += [] if labelled.all() else [f"{counted(int((~labelled).sum()), 'row')} dropped: no target"]
    if weight is not None:
        check_weight_column(weight, names, targets, (group, split_column))
        if not rows.in_memory:
            raise InputError("`weight` needs the rows in memory; give a file, not a folder")
        readings[weight] = target_reading(rows.frame([weight]), weight, rules, role="`weight` column")
        counts = read_weights(rows.frame([weight]), weight, readings[weight])
        kept = counts[row] > 0
        notes += [] if kept.all() else [f"{counted(int((~kept).sum()), 'row')} dropped: their weight is 0"]
        row, values = row[kept], values[kept]
        labelled = np.isin(np.arange(len(labelled)), row)
        row_weight = unequal(counts[row]) if len(row) else None
        notes.append(note_on_weights(weight, row_weight, len(row)))
    for name, column in zip(targets, _columns(values), strict=True):
        notes += notes_on_codes(name, pd.Series(column))
    rows = rows if labelled.all() else rows.select(row)
    for name, column in zip(targets, _columns(values), strict=True):
        check_target(column, name)

    groups = _groups(rows, group, targets) if order is None else None
    times = None if order is None else order.times[row]
    if split_key is not None:
        _check_key(split_key, targets, names)
    part, kind = split_rows(
        rows.frame([name for name in dict.fromkeys((group, split_key, split_column, SPLIT_COLUMN)) if name in names]),
        values,
        split=split,
        bins=bins_for(values, bin_width, n_bins, edges),
        group=group if order is None else None,
        column=split_column,
        key=split_key,
        seed=seed,
        time=None if times is None else (str(time), times),
    )
    if kind == "column" and not _names_validation(rows, split_column or SPLIT_COLUMN):
        notes.append(
            f"column {shown(split_column or SPLIT_COLUMN)} names no validation rows: {int((part == 'val').sum()):,} of "
            "the training rows are used for validation"
        )
    schema = Schema.infer(
        sample(rows, seed),
        targets,
        drop=drop,
        nominal=nominal,
        numeric=numeric,
        date=date,
        not_features=[
            *([] if group is None else [(group, "group")]),
            *([] if split_key is None else [(split_key, "key")]),
            *([(split_column or SPLIT_COLUMN, "split")] if kind == "column" else []),
            *([] if weight is None else [(weight, ROLE)]),
        ],
        media=media_roles,
        hint=how_to_name(),
        rules=rules,
        readings={name: reading for name, reading in readings.items() if reading != PLAIN},
    )
    if order is not None:
        schema = replace(seasons_alone(schema, order.column), lags=order.lags)
        notes += order.notes
    notes += note_on_dates(schema, sample(rows, seed), kind)
    schema = schema.trained_on(sample(rows.select(np.flatnonzero(part == "train")), seed))
    rows = with_full_paths(rows, schema, Path(folder or ""))
    y_train = values[part == "train"]
    for name, column in zip(targets, _columns(y_train), strict=True):
        if column.min() == column.max():
            raise InputError(f"target {name!r} is constant in the {len(y_train)} training rows; choose another `split`")
    bins = bins_for(y_train, bin_width, n_bins, edges)  # with the masked rows, so that their range has its own bins
    bins = weighted_bins(bins, of_target, targets)
    gaps = Gaps.from_labels(y_train, mask_target) if mask_target else None
    if gaps is not None:
        hidden = gaps.masks(values) & (part != "test")
        part = np.where(hidden, "masked", part)
        if not (part == "val").any():
            raise InputError("the masked ranges leave no validation row; mask less, or choose another `split`")
        notes.append(f"{counted(int(hidden.sum()), 'row')} removed from training and validation: `mask_target`")
    y_train = values[part == "train"]
    notes += note_on_target_weights(of_target, targets) + note_on_units(targets, bins)
    notes += schema.notes_on_unused(_ROLES)
    notes += schema.notes
    task = assemble(
        rows,
        row,
        values,
        part,
        kind,
        schema,
        bins,
        shots=shots,
        regions=regions,
        gaps=gaps,
        notes=notes,
        source=source,
        choices=choices,
        group=groups,
        weight=row_weight,
        time=times,
    )
    task.notes.extend(note_on_crowded_bin(y_train, task.shots))
    return task


def assemble(
    rows: Rows,
    row: NDArray[np.int64],
    y: NDArray[np.float64],
    part: NDArray[np.str_],
    split: SplitName,
    schema: Schema,
    bins: Bins | BinGrid | OutputBins,
    *,
    shots: tuple[float, float] | None = None,
    regions: Mapping[str, Sequence[int]] | None = None,
    gaps: Gaps | None = None,
    weight: NDArray[np.float64] | None = None,
    **more: Any,
) -> Task:
    """Return a task whose regions and relevance come from its training labels.

    How rows come is counted over training rows, or over all rows that a balanced split has drawn its parts from.

    Args:
        rows: rows with a target.
        row: ``(n,)`` position of each in the source.
        y: ``(n,)`` or ``(n, K)`` targets.
        part: ``(n,)`` part of each row.
        split: kind of split.
        schema: columns.
        bins: bins of the target, from training labels.
        shots: explicit thresholds (many, few).
        regions: bins that are ``many`` and ``medium`` instead.
        gaps: ranges removed from training.
        weight: ``(n,)`` above 0, how much each row counts.
        **more: other fields of :class:`tailwise.data.task.Task`.
    """
    is_train = part == "train"
    y_train = y[is_train]
    if regions is not None and not isinstance(bins, OutputBins):
        counts = bins.histogram(y_train)
        of_bins = Shots.listed(bins, counts, many=regions["many"], medium=regions["medium"], gaps=gaps)
    elif isinstance(bins, OutputBins):
        of_bins = Shots.of_outputs(y_train, bins, shots)
    else:
        many, few = shots if shots is not None else (None, None)
        of_bins = Shots.from_labels(y_train, bins, many=many, few=few, gaps=gaps)
    if split == "balanced":  # it takes more of the rare rows: rows come as those of all parts together do
        come = part != "masked"
        of_bins = of_bins.weighted(y[come], np.ones(int(come.sum())) if weight is None else weight[come])
    else:
        of_bins = of_bins.weighted(y_train, None if weight is None else weight[is_train])
    relevance = Relevance.extremes(y_train) if y_train.ndim == 1 else None
    return Task(rows, row, y, part, split, schema, of_bins, relevance, **{"notes": [], **more}, weight=weight)


def _part_source(table: "str | Path | pd.DataFrame", rows: Rows) -> Source:
    """Return the source of the rows of one part, with text where the training rows have text."""
    if isinstance(table, pd.DataFrame):
        return Source("data frame", "", FrameRows(table))
    return load_source(str(table), text=text_columns(rows))


def _groups(rows: Rows, group: str | None, targets: Sequence[str]) -> NDArray[np.generic] | None:
    """Return the group of each row as text; ``None`` without groups."""
    if group is None:
        return None
    if group in targets:
        raise InputError(f"`group` names {group!r}, which is {'the' if len(targets) == 1 else 'a'} target")
    require_column(group, rows.columns, "`group`")
    column = rows.frame([group])[group]
    check_groups(column)
    return column.astype(str).to_numpy()


def _check_key(key: str, targets: Sequence[str], names: Sequence[str]) -> None:
    """Raise unless a column can name the rows of a table."""
    if key in targets:
        raise InputError(f"`split_key` names {key!r}, which is {'the' if len(targets) == 1 else 'a'} target")
    require_column(key, names, "`split_key`")


def _names_validation(rows: Rows, column: str) -> bool:
    """Return whether a split column has validation rows."""
    return bool((split_column_parts(rows.frame([column])[column]) == "val").any())


def _columns(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the labels of each target, ``(K, n)``."""
    return np.atleast_2d(y.T)
