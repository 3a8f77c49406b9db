"""Charts of the trade-off between common and rare values, and of the calibration of distributions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.distributions.scores import DistributionScores
from tailwise.experiment.trade_off import TradeOff
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import error_sizes, in_units, weighted
from tailwise.metrics.region_errors import region_rows
from tailwise.report.drawing import INK, OTHER, OURS, REGION_COLORS, Drawing, drawing, percent, short

_COLORS = (REGION_COLORS["many"], REGION_COLORS["medium"], REGION_COLORS["few"])
_FLAT = 100.0  # per cent
_GROUPS, _ROWS = 40, 400  # of true values, and shown at most, by the page's slider
_RUN_MARKS = ("D", "s", "^", "v", "P")
_MARKS = {"all": "D", "many": "o", "medium": "s", "few": "^", "zero": "v"}


def trade_off_chart(curve: TradeOff) -> str:
    """Draw the change of each region's MAE against the balance, from that of balance 0, with 95 % intervals.

    The axis ends where one balance would flatten all others, and the chart says what lies beyond it.
    """
    first, at = curve.points[0], [point.balance for point in curve.points]
    shown = [name for name in ("all", *REGIONS) if name in first.mae and first.mae[name].value > 0]
    changes = {name: _changes_of(curve, name) for name in shown}
    top = _top(curve, changes)
    each = "; ".join(
        f"{name}: " + ", ".join(f"{number(p.mae[name].value)} at {p.balance:g}" for p in curve.points) for name in shown
    )
    alt = f"Mean absolute error by region at several balances. {each.capitalize()}. In use: balance {curve.balance:g}."
    with drawing(alt, 5.6, 3.8) as drawn:
        axes = drawn.axes
        axes.axhline(0, color=INK, linewidth=0.9)
        axes.axvline(curve.balance, color=INK, linewidth=1, linestyle="--", label="in use")
        for name, (low, change, high) in changes.items():
            color = REGION_COLORS.get(name, INK)
            axes.fill_between(at, low, high, color=color, alpha=0.12, linewidth=0)
            axes.plot(at, change, color=color, marker=_MARKS[name], markersize=5, linewidth=1.6, label=name)
            for point, y in zip(curve.points, change, strict=True):
                below, value, above = (number(end) for end in _ends(point.mae[name]))
                text = f"{name}, balance {point.balance:g}: MAE {value} ({below} to {above})"
                drawn.tell(point.balance, min(y, top), text)
        if top < math.inf:
            axes.set_ylim(max(axes.get_ylim()[0], -_FLAT), top)
            _tell_beyond(drawn, curve, {name: change for name, (_, change, _) in changes.items()}, top)
        axes.set_xlabel("balance: 0 labels as they come, 1 every value equally likely")
        drawn.title("change of the MAE, %")
        drawn.legend()
    return drawn.svg


def _changes_of(curve: TradeOff, name: str) -> NDArray[np.float64]:
    """Return low end, value and high end ``(3, points)`` of a region's MAE, in % from its value at balance 0."""
    ends = np.array([_ends(point.mae[name]) for point in curve.points])
    changes: NDArray[np.float64] = (100 * (ends / curve.points[0].mae[name].value - 1)).T
    return changes


def _top(curve: TradeOff, changes: Mapping[str, NDArray[np.float64]]) -> float:
    """Return where the axis ends: errors that double are beyond it, unless they do up to the balance in use."""
    used = np.array([point.balance <= curve.balance for point in curve.points])
    top = max(_FLAT, *(1.2 * float(change[used].max()) for _, change, _ in changes.values()))
    return top if any(change.max() > top for _, change, _ in changes.values()) else math.inf


def _tell_beyond(drawn: Drawing, curve: TradeOff, changes: Mapping[str, NDArray[np.float64]], top: float) -> None:
    """Write the values beyond the axis at its top."""
    beyond = [(name, int(change.argmax())) for name, change in changes.items() if change.max() > top]
    for line, (name, place) in enumerate(beyond, 1):
        balance = curve.points[place].balance
        text, offset = f"{name} {changes[name][place]:+.0f} % at {balance:g}", (-6, -12 * line)
        drawn.axes.annotate(
            text,
            (balance, top),
            color=REGION_COLORS.get(name, INK),
            fontsize=9,
            ha="right",
            xytext=offset,
            textcoords="offset points",
        )


def exchange_regions(curve: TradeOff) -> tuple[str, str] | None:
    """Return the most common and the rarest region with test rows, zero-shot apart; ``None`` of fewer than two."""
    present = [name for name in ("many", "medium", "few") if name in curve.points[0].mae]
    return (present[0], present[-1]) if len(present) > 1 else None


def exchange_chart(
    curve: TradeOff,
    y_true: NDArray[np.float64],
    runs: Sequence[tuple[str, NDArray[np.float64]]],
    shots: Shots,
    weight: NDArray[np.float64] | None = None,
) -> str:
    """Draw the error where values are rare against that where they are common, at each balance and of finished runs.

    Args:
        curve: decisions at several balances, with rows in two regions, see :func:`exchange_regions`.
        y_true: ``(n,)`` or ``(n, K)`` labels.
        runs: name and predictions of that shape of runs or methods, this one first.
        shots: regions.
        weight: ``(n,)`` how much each row counts.
    """
    common, rare = exchange_regions(curve) or ("all", "all")
    masks = region_rows(y_true, shots)
    line = [(point.mae[common].value, point.mae[rare].value) for point in curve.points]
    sizes = [error_sizes(*in_units(y_true, pred, shots.bins)) for _, pred in runs]
    counts = np.ones(len(y_true)) if weight is None else weight
    errors = [
        [float(np.average(size[masks[name]], weights=counts[masks[name]])) for name in (common, rare)] for size in sizes
    ]
    each = "; ".join(
        f"balance {point.balance:g}: {number(x)} and {number(y)}"
        for point, (x, y) in zip(curve.points, line, strict=True)
    )
    others = "; ".join(f"{name}: {number(x)} and {number(y)}" for (name, _), (x, y) in zip(runs, errors, strict=True))
    alt = f"MAE where training rows are {common} and where they are {rare}. {each.capitalize()}. {others}."
    with drawing(alt, 5.6, 4.0, grid="both", near="xy") as drawn:
        axes = drawn.axes
        x, y = np.array(line).T
        axes.plot(x, y, color=OURS, marker="o", markersize=4, linewidth=1.6, label="the dial, balance 0 to 1")
        for point, at_x, at_y in zip(curve.points, x, y, strict=True):
            drawn.tell(at_x, at_y, f"balance {point.balance:g}: {common} {number(at_x)}, {rare} {number(at_y)}")
        for i, ((name, _), (at_x, at_y)) in enumerate(zip(runs, errors, strict=True)):
            color, mark = (OURS if i == 0 else OTHER), _RUN_MARKS[i % len(_RUN_MARKS)]
            axes.plot([at_x], [at_y], color=color, marker=mark, markersize=9, linestyle="none", label=short(name))
            drawn.tell(at_x, at_y, f"{name}: {common} {number(at_x)}, {rare} {number(at_y)}")
        for i in (0, -1):
            offset = {"xytext": (6, 6), "textcoords": "offset points"}
            axes.annotate(f"{curve.points[i].balance:g}", (x[i], y[i]), color=INK, fontsize=9, **offset)
        axes.margins(0.12)
        axes.set_xlabel(f"MAE, {common}-shot")
        drawn.title(f"MAE, {rare}-shot")
        drawn.legend(1)
    return drawn.svg


def dial_data(
    y_true: NDArray[np.float64], curve: TradeOff, shots: Shots, weight: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    """Return what the page's slider draws, as plain values: errors by true value and some rows at each balance.

    Args:
        y_true: ``(n,)`` labels.
        curve: decisions at several balances.
        shots: regions.
        weight: ``(n,)`` how much each row counts in a mean.
    """
    low, high = float(y_true.min()), float(y_true.max())
    groups = np.clip(((y_true - low) / max(high - low, 1e-300) * _GROUPS).astype(np.int64), 0, _GROUPS - 1)
    counts = np.bincount(groups, weight, minlength=_GROUPS)
    filled = counts > 0
    order = np.argsort(y_true, kind="stable")
    even = np.searchsorted(y_true[order], np.linspace(low, high, _ROWS // 2))
    ranks = np.unique(np.concatenate([np.linspace(0, order.size - 1, _ROWS // 2).astype(np.int64), even]))
    rows = order[np.minimum(ranks, order.size - 1)]
    means = [
        np.bincount(groups, weighted(np.abs(point.pred - y_true), weight), _GROUPS)[filled] / counts[filled]
        for point in curve.points
    ]
    middles = low + (np.flatnonzero(filled) + 0.5) * (high - low) / _GROUPS
    return {
        "balances": [point.balance for point in curve.points],
        "start": curve.balance,
        "values": _rounded(middles),
        "errors": [_rounded(mean) for mean in means],
        "true": _rounded(y_true[rows]),
        "predicted": [_rounded(point.pred[rows]) for point in curve.points],
        "regions": [REGIONS[code] for code in shots.codes(y_true[rows]).tolist()],
    }


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.5g}") for value in values.tolist()]


def pit_chart(scores: Mapping[str, DistributionScores]) -> str:
    """Draw how many true values fall into each tenth of their distributions, over all rows and where they are rare."""
    shown = {name: scores[name] for name in ("all", "few") if name in scores and scores[name].pit is not None}
    each = "; ".join(f"{name}: " + ", ".join(percent(share) for share in one.pit or ()) for name, one in shown.items())
    alt = f"True values in each tenth of their distributions; 10 % each where calibrated. {each.capitalize()}."
    with drawing(alt, 5.6, 3.3) as drawn:
        axes = drawn.axes
        axes.axhline(10, color=INK, linewidth=1, linestyle="--", label="calibrated")
        for i, (name, one) in enumerate(shown.items()):
            heights = 100 * np.asarray(one.pit)
            width = 1 / heights.size
            left = (np.arange(heights.size) + (0.07 + 0.45 * i)) * width
            color = OURS if name == "all" else REGION_COLORS[name]
            axes.bar(left, heights, 0.41 * width, align="edge", color=color, linewidth=0, label=name)
            for x, height in zip(left + 0.2 * width, heights, strict=True):
                drawn.tell(x, height, f"{name}, {one.n:,} rows: {height:.0f} % of the true values")
        axes.set_xlabel("tenth of the distribution in which the true value lies")
        drawn.title("true values, %")
        drawn.legend()
    return drawn.svg


def reliability_chart(scores: DistributionScores, target: str) -> str:
    """Draw how often labels exceeded each threshold against the predicted chance of it."""
    alt = f"Observed frequency against predicted chance of {target} above three values. " + " ".join(
        f"Above {number(one.threshold)}: mean difference {percent(one.error)}." for one in scores.reliability or ()
    )
    with drawing(alt, 5.6, 4.0, grid="both", near="xy") as drawn:
        axes = drawn.axes
        axes.plot([0, 100], [0, 100], color=INK, linewidth=1, linestyle="--")
        for one, mark, color in zip(scores.reliability or (), ("o", "s", "^"), _COLORS, strict=False):
            x, y = 100 * np.asarray(one.predicted), 100 * np.asarray(one.observed)
            label = f"above {number(one.threshold)}"
            axes.plot(x, y, color=color, marker=mark, markersize=5, linewidth=1.6, label=label)
            for n, chance, observed in zip(one.n, x, y, strict=True):
                text = f"{label}, {n:,} rows: predicted {chance:.0f} %, observed {observed:.0f} %"
                drawn.tell(chance, observed, text)
        axes.set(xlim=(-2, 102), ylim=(-2, 102))
        axes.set_xlabel("predicted chance, %")
        drawn.title("observed frequency, %")
        drawn.legend(1)
    return drawn.svg


def _ends(value: Interval) -> tuple[float, float, float]:
    """Return low end, value and high end; an end that is missing is the value."""
    return (
        value.value if value.low is None else value.low,
        value.value,
        value.value if value.high is None else value.high,
    )
