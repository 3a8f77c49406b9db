"""Charts of runs: errors by region, errors by true value, validation error over training."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from tailwise.labels.shots import REGIONS
from tailwise.report.drawing import INK, REGION_COLORS
from tailwise.serve.beside import Column
from tailwise.serve.chart_series import Plot, Series
from tailwise.serve.runs import Run, finite

CURVES = {"mae": "all", "bmae": "balanced", **{region: region for region in REGIONS}}

# Readable on white and on dark; markers distinguish the runs without colours.
_COLORS = ("#4477aa", "#d95f5f", "#3d8f4f", "#a8862a", "#a3569f", "#3592ad", "#9a6a45", "#7f7f7f")
_MARKERS = "oDs^vPX*"
_ONE_RUN = {"mae": INK, **REGION_COLORS}
_FEWEST_FOR_A_BAND, _MOST_PIECES = 2, 20


def regions_plot(columns: Sequence[Column]) -> Plot | None:
    """Return MAE on the test rows by region, one series a run; ``None`` if no run is finished."""
    shown = [(i, column) for i, column in enumerate(columns) if column.errors]
    names = list(dict.fromkeys(region for _, column in shown for region in column.errors))
    series = []
    for i, column in shown:
        present = [region for region in names if region in column.errors]
        intervals = [column.errors[region] for region in present]
        series.append(
            Series(
                column.name,
                [names.index(region) for region in present],
                [one.value for one in intervals],
                [np.nan if one.low is None else one.low for one in intervals],
                [np.nan if one.high is None else one.high for one in intervals],
                _COLORS[i],
                _MARKERS[i],
            )
        )
    if not series:
        return None
    return Plot(
        "regions", "region", f"MAE ({columns[0].run.target})", tuple(series), tuple(n.capitalize() for n in names)
    )


def dial_plot(columns: Sequence[Column]) -> Plot | None:
    """Return few-shot against many-shot MAE: a curve over balances for a run with a dial, a point for another one.

    ``None`` if no run has a dial.
    """
    series = []
    for i, column in enumerate(columns):
        points = [(many, few) for _, many, few in column.run.dial()]
        if not points and {"many", "few"} <= set(column.errors):
            points = [(column.errors["many"].value, column.errors["few"].value)]
        if points:
            x, y = zip(*points, strict=True)
            none = [np.nan] * len(x)
            series.append(Series(column.name, x, y, none, none, _COLORS[i], _MARKERS[i]))
    if not any(len(one.x) > 1 for one in series):
        return None
    target = columns[0].run.target
    return Plot("dial", "MAE where rows are many", f"MAE where rows are few ({target})", tuple(series))


def error_plot(columns: Sequence[Column]) -> Plot | None:
    """Return mean signed error by true value with 95 % intervals; ``None`` if no test rows could be read."""
    shown = [(i, column, column.tested) for i, column in enumerate(columns) if column.tested is not None]
    if not shown:
        return None
    everything = np.concatenate([tested.y_true for _, _, tested in shown])
    low, high = float(everything.min()), float(everything.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    pieces = int(np.clip(np.ceil((high - low) / np.median(shown[0][2].shots.bins.widths)), 2, _MOST_PIECES))
    edges = np.linspace(low, high, pieces + 1)
    series = []
    for i, column, tested in shown:
        index = np.clip(np.searchsorted(edges[1:-1], tested.y_true, side="right"), 0, pieces - 1)
        count = np.bincount(index, minlength=pieces)
        filled = count > 0
        rows, error = count[filled], tested.y_pred - tested.y_true
        mean = np.bincount(index, weights=error, minlength=pieces)[filled] / rows
        square = np.bincount(index, weights=error**2, minlength=pieces)[filled] / rows
        spread = 1.96 * np.sqrt(np.maximum(square - mean**2, 0) / np.maximum(rows - 1, 1))
        spread[rows < _FEWEST_FOR_A_BAND] = np.nan
        x = ((edges[:-1] + edges[1:]) / 2)[filled]
        ends = (mean - spread).tolist(), (mean + spread).tolist()
        series.append(Series(column.name, x.tolist(), mean.tolist(), *ends, _COLORS[i], _MARKERS[i]))
    return Plot("error", f"true {columns[0].run.target}", "mean error (predicted - true)", tuple(series))


def training_plot(runs: Mapping[str, Run], curve: str) -> Plot | None:
    """Return validation MAE over the epochs, of one run by region, of several in one region; ``None`` without any.

    Args:
        runs: runs by short name.
        curve: region for several runs, a key of ``CURVES``.
    """
    first = next(iter(runs.values()))
    if len(runs) == 1:
        lines = {CURVES[key]: (first, key, color) for key, color in _ONE_RUN.items()}
        label = "validation MAE"
    else:
        lines = {name: (run, curve, _COLORS[i]) for i, (name, run) in enumerate(runs.items())}
        label = f"validation MAE, {CURVES[curve]}"
    steps = {run.step for run in runs.values()}
    series = []
    for i, (name, (run, key, color)) in enumerate(lines.items()):
        points = _curve(run, key)
        if points:
            x, y = zip(*points, strict=True)
            at = x if len(steps) == 1 else [100 * epoch / run.epochs for epoch in x]
            none = [np.nan] * len(x)
            series.append(Series(name, at, y, none, none, color, _MARKERS[i]))
    if not series:
        return None
    rules = tuple(
        i + 0.5
        for i, (before, after) in enumerate(pairwise(first.history), start=1)
        if len(runs) == 1 and before.get("stage") != after.get("stage")
    )
    x_label = first.step if len(steps) == 1 else "percent of the run's epochs, rounds or models"
    return Plot("training", x_label, f"{label} ({first.target})", tuple(series), rules=rules)


def _curve(run: Run, key: str) -> list[tuple[float, float]]:
    """Return epoch, from 1, and validation error of each epoch that has one."""
    points = []
    for epoch, line in enumerate(run.history, start=1):
        validation = line.get("validation")
        value = finite(validation.get(key)) if isinstance(validation, dict) else None
        if value is not None:
            points.append((float(epoch), value))
    return points
