"""Diagnose a table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, shown, whole
from tailwise._numbers import counted
from tailwise.data.cell_rules import CellRules
from tailwise.data.columns import Schema
from tailwise.data.row_numbers import identifier_note
from tailwise.data.row_weight import ROLE, check_weight_column, read_weights
from tailwise.data.splits import SPLIT_COLUMN, check_groups, looks_like_split
from tailwise.data.targets import check_target, check_target_cells, require_column, target_reading, target_values
from tailwise.diagnose.advice import advise
from tailwise.diagnose.column_checks import count_duplicates, describe_columns
from tailwise.diagnose.facts import Diagnosis
from tailwise.diagnose.heaps import find_rounding, find_spikes
from tailwise.diagnose.labels import (
    bin_rule,
    describe_density,
    describe_relevance,
    describe_target,
    describe_weightings,
)
from tailwise.diagnose.media import media_hints
from tailwise.diagnose.quick_model import MOST_COLUMNS, cross_validate
from tailwise.experiment.commands import Commands
from tailwise.labels.bins import Bins
from tailwise.labels.shots import Shots
from tailwise.modalities.kinds import column_options, how_to_name
from tailwise.modalities.media_rows import media_columns


def diagnose(
    frame: pd.DataFrame,
    target: str,
    *,
    bin_width: float | None = None,
    n_bins: int | None = None,
    shots: tuple[float, float] | None = None,
    drop: Sequence[str] = (),
    nominal: Sequence[str] = (),
    numeric: Sequence[str] = (),
    date: Sequence[str] = (),
    missing: Mapping[str, Any] | Sequence[str] = (),
    decimal: str | None = None,
    thousands: str | None = None,
    date_order: str | None = None,
    drop_missing_target: bool = False,
    group: str | None = None,
    weight: str | None = None,
    seed: int = 0,
    quick_model: bool = True,
    data: str = "data.csv",
    **media_names: Sequence[str] | None,
) -> Diagnosis:
    """Diagnose a table: imbalance of the target, errors of a quick model by region, oddities, and advice.

    Args:
        frame: the table. If its column ``split`` has train, val and test, only the training rows are used.
        target: target column.
        bin_width: width of the bins, target units; by default :meth:`Bins.auto`.
        n_bins: number of bins instead.
        shots: explicit thresholds (many, few), rows a bin.
        drop: columns to leave out.
        nominal: columns to take as nominal.
        numeric: columns to take as numeric.
        date: columns to take as dates.
        missing: values that count as missing, by column; see :func:`tailwise.experiment.prepare.prepare`.
        decimal: mark before decimals, see :func:`tailwise.experiment.prepare.prepare`.
        thousands: mark between groups of three digits.
        date_order: order of day, month and year.
        drop_missing_target: leave rows without a target out instead of refusing them.
        group: column whose groups stay in one fold.
        weight: column with the weights of rows. It is no feature; the diagnosis counts rows, not weights.
        seed: random seed of folds, samples and bootstrap.
        quick_model: whether to cross-validate a boosted model, on at most 20,000 rows (fewer of tables wider than 100
            columns) and 200 columns.
        data: name of the table in the commands of the advice.
        media_names: columns of images, texts and signals, by the keywords of
            :func:`tailwise.experiment.prepare.prepare`. Neither files nor texts are read; these columns are only
            left out of the quick model.

    Raises:
        InputError: errors of the table or the choices, as in training.

    Example:
        >>> x = np.linspace(0.0, 6.0, 500)
        >>> diagnosis = diagnose(pd.DataFrame({"x": x, "price": np.exp(x)}), "price", quick_model=False)
        >>> diagnosis.density.ratio > 100, diagnosis.columns.suspects[0].column
        (True, 'x')
    """
    media = media_columns(media_names, parameters=diagnose.__kwdefaults__ or ())
    seed = whole(seed, "`seed`", least=0, most=2**32 - 1)
    if bin_width is not None and n_bins is not None:
        raise InputError("give `bin_width` or `n_bins`, not both")
    names = [str(name) for name in frame.columns]
    frame = frame.set_axis(names, axis=1)
    if len(names) < 2 or len(frame) == 0:
        raise InputError(
            f"the table has {counted(len(frame), 'row')} and {counted(len(names), 'column')}; "
            "a target and at least one feature are needed (is the separator right?)"
        )
    require_column(target, names, "target")
    rules = CellRules.of(missing, decimal, thousands, date_order)
    reading = target_reading(frame, target, rules)
    values = target_values(frame, target, reading)
    check_target_cells(values, drop=drop_missing_target)
    roles: list[tuple[str, str]] = []
    notes: list[str] = []
    if group is not None:
        if group == target:
            raise InputError(f"`group` names {group!r}, which is the target")
        require_column(group, names, "`group`")
        roles.append((group, "group"))
    if weight is not None:
        check_weight_column(weight, names, (target,), (group,))
        read_weights(frame, weight, target_reading(frame, weight, rules, role="`weight` column"))
        roles.append((weight, ROLE))
        notes.append(f"column {shown(weight)} has the weights of rows; the diagnosis counts rows alike")
    is_used = values.notna().to_numpy()
    if SPLIT_COLUMN in names and SPLIT_COLUMN not in (target, group, *drop) and looks_like_split(frame[SPLIT_COLUMN]):
        roles.append((SPLIT_COLUMN, "split"))
        training = _called_training(frame[SPLIT_COLUMN])
        if training.any():
            is_used = is_used & training
            notes.append(f"only {int(training.sum()):,} rows are used, the training rows by column {SPLIT_COLUMN!r}")
    table, y = (frame if is_used.all() else frame[is_used]).reset_index(drop=True), values.to_numpy()[is_used]
    check_target(y, target)
    if group is not None:
        check_groups(table[group])
    schema = Schema.infer(
        table,
        target,
        drop=drop,
        nominal=nominal,
        numeric=numeric,
        date=date,
        not_features=roles,
        media=media,
        hint=how_to_name(),
        rules=rules,
        readings={target: reading},
    )
    notes += schema.notes
    features = schema.features(table)
    notes += media_hints(table, schema)
    regions = _regions(y, bin_width, n_bins, shots)
    model = None
    varying = [name for name in features if features[name].nunique(dropna=False) > 1]
    if quick_model and varying:
        model = cross_validate(features, varying, y, regions, None if group is None else table[group], seed)
        if model.rows < len(y):
            notes.append(f"the quick model used a random {model.rows:,} of the {len(y):,} rows")
        if len(varying) > MOST_COLUMNS:
            notes.append(
                f"the quick model used {MOST_COLUMNS} of the {len(varying):,} columns, those that correlate most with "
                "the target"
            )
    elif quick_model and not media:
        notes.append("no column varies, so no model was trained")
    if quick_model and media:
        kinds = " and ".join(dict.fromkeys(medium.plural for medium in media))
        notes.append(
            f"the quick model ignores {kinds} and uses only the other columns"
            if model
            else f"only {kinds} vary, which the quick model cannot use, so none was trained"
        )
    spikes = find_spikes(y)
    described = describe_columns(table, schema, features, y, seed)
    in_advice = {identifier_note(name) for name in described.identifiers}
    diagnosis = Diagnosis(
        target=describe_target(y, target, missing=int(values.isna().sum())),
        density=describe_density(regions, bin_rule(regions.scalar_bins, bin_width, n_bins)),
        weightings=describe_weightings(regions.counts),
        relevance=describe_relevance(y),
        spikes=spikes,
        rounding=find_rounding(y, spikes),
        duplicates=count_duplicates(
            features.join(table[[name for medium in media for name in medium.columns]].astype(str)), y
        ),
        columns=described,
        model=model,
        advice=(),
        notes=tuple(note for note in notes if note not in in_advice),
    )
    choices = {
        "drop": drop,
        "nominal": nominal,
        "numeric": numeric,
        "date": date,
        "missing": missing,
        "decimal": decimal,
        "thousands": thousands,
        "date_order": date_order,
        **{option.name: media_names.get(option.name) for _, option in column_options()},
        "bin_width": bin_width,
        "n_bins": n_bins,
        "shots": shots,
        "group": group,
        **({} if weight is None else {"weight": weight}),
        "drop_missing_target": drop_missing_target,
        "seed": seed,
    }
    commands = Commands.of(data, target, choices)
    return replace(diagnosis, advice=advise(diagnosis, commands))


def _called_training(split: pd.Series) -> NDArray[np.bool_]:
    """Return which cells name the training part."""
    words = split.astype(str).str.strip().str.lower()
    return np.asarray(words.isin(("train", "training")))


def _regions(
    y: NDArray[np.float64], bin_width: float | None, n_bins: int | None, shots: tuple[float, float] | None
) -> Shots:
    if bin_width is not None:
        bins = Bins.width(y, bin_width)
    else:
        bins = Bins.auto(y) if n_bins is None else Bins.count(y, n_bins)
    many, few = shots if shots is not None else (None, None)
    return Shots.from_labels(y, bins, many=many, few=few)
