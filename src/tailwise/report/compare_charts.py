"""Charts of a comparison: change of each entry by region, and few-shot against many-shot error."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.compare.ranks import pareto_front
from tailwise.report.critical import wrapped
from tailwise.report.drawing import INK, OTHER, OURS, drawing, short
from tailwise.report.point_labels import place_labels

if TYPE_CHECKING:
    from tailwise.compare.table_comparison import TableComparison

_PALEST, _DARKEST = 10.0, 60.0  # percent at which the colours end, at least and at most
_DIFFERENT = ("better", "worse")
_PALE = 0.12  # of the deepest colour
_HALF_LIGHT = 0.179  # luminance at which black and white text have the same contrast


def heat_chart(
    changes: Mapping[str, Mapping[str, float]],
    verdicts: Mapping[tuple[str, str], str],
    reference: str,
    scores: Sequence[str],
    headings: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Draw the change of each score against the reference in percent, as colours around 0 with the numbers in them.

    Args:
        changes: by entry and score, percent.
        verdicts: by entry and score; "better" and "worse" are written under the number.
        reference: name of the reference.
        scores: columns of the chart.
        headings: of the columns, by score.
    """
    names = list(changes)
    percent = np.array([[changes[name].get(score, np.nan) for score in scores] for name in names])
    end = float(np.clip(np.nanmax(np.abs(percent)), _PALEST, _DARKEST))
    # Blue and orange-red differ under every common colour blindness, and in lightness from 0. Changes that may be
    # chance stay pale.
    sure = np.array([[not verdicts or verdicts.get((name, s)) in _DIFFERENT for s in scores] for name in names])
    shown = np.where(sure, percent, np.clip(percent, -_PALE * end, _PALE * end))
    shades = mpl.colormaps["RdBu_r"]((shown + end) / (2 * end))
    words = [f"{name} {', '.join(f'{s} {signed(changes[name][s])}' for s in changes[name])}" for name in names]
    alt = f"Change against {reference} in percent, below 0 is better: {'; '.join(words)}."
    with drawing(alt, 6.6, 0.5 + 0.43 * len(names), numbers=None, grid=None, near="xy") as drawn:
        axes = drawn.axes
        axes.set(xlim=(-0.5, len(scores) - 0.5), ylim=(len(names) - 0.5, -0.5))
        for (row, column), value in np.ndenumerate(percent):
            if np.isfinite(value):
                shade = shades[row, column]
                axes.add_patch(Rectangle((column - 0.49, row - 0.47), 0.98, 0.94, facecolor=shade, linewidth=0))
                verdict = verdicts.get((names[row], scores[column]), "")
                differs = verdict in _DIFFERENT
                axes.text(
                    column,
                    row,
                    f"{signed(value)}\n{verdict}" if differs else signed(value),
                    ha="center",
                    va="center",
                    fontsize=9,
                    linespacing=1.1,
                    color="#000000" if _lightness(shade) > _HALF_LIGHT else "#ffffff",
                    weight="bold" if differs else "normal",
                )
                beside = f", {verdict}" if verdict else ""
                drawn.tell(column, row, f"{names[row]}, {scores[column]}: {signed(value)}{beside}")
        axes.set_xticks(range(len(scores)), [headings.get(score, score.capitalize()) for score in scores])
        axes.set_yticks(range(len(names)), [wrapped(name) for name in names])
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.spines[:].set_visible(False)
    return drawn.svg


def trade_chart(table: "TableComparison", reference: str) -> str:
    """Draw the many-shot error against the few-shot error of each entry.

    A dashed line joins the entries that no other beats in both, a broad one the swept powers of the weights.

    Args:
        table: comparison on one table.
        reference: name of the reference.
    """
    on_front = table.on_front()
    points = {name: (_mean(table, name, "many"), _mean(table, name, "few")) for name in on_front}
    return _trade(points, on_front, reference, "MAE", f" ({table.target})", table.sweep)


def change_chart(changes: Mapping[str, Mapping[str, float]], reference: str) -> str | None:
    """Draw the change of the many-shot error against that of the few-shot error, over several tables.

    ``None`` if no entry has both.

    Args:
        changes: by entry and score, percent.
        reference: name of the reference, whose changes are 0.
    """
    both = {name: (of["many"], of["few"]) for name, of in changes.items() if {"many", "few"} <= of.keys()}
    if not both:
        return None
    points = {reference: (0.0, 0.0), **both}
    on_front = dict(zip(points, pareto_front(list(points.values())).tolist(), strict=True))
    return _trade(points, on_front, reference, "change of the MAE", ", %", ())


def _trade(
    points: Mapping[str, tuple[float, float]],
    on_front: Mapping[str, bool],
    reference: str,
    error: str,
    unit: str,
    sweep: Sequence[str],
) -> str:
    front = sorted(points[name] for name, on in on_front.items() if on)
    swept = [points[name] for name in sweep if name in points]
    each = "; ".join(f"{name} {number(many)} and {number(few)}" for name, (many, few) in points.items())
    best = ", ".join(name for name, on in on_front.items() if on)
    alt = f"{error}{unit} where rows are many and where they are few: {each}. No other is better in both than {best}."
    with drawing(alt[:1].upper() + alt[1:], 5.6, 4.2, grid="both", near="xy") as drawn:
        axes = drawn.axes
        if len(swept) > 1:
            axes.plot(
                *zip(*swept, strict=True), color=OTHER, linewidth=5, alpha=0.3, label="power of the weights, 0 to 1"
            )
        axes.plot(*zip(*front, strict=True), color=INK, linewidth=1.1, linestyle="--", label="no other beats in both")
        for name, (many, few) in points.items():
            color, mark = (OURS if on_front[name] else OTHER), ("D" if name == reference else "o")
            axes.scatter([many], [few], s=36, color=color, zorder=3, marker=mark)
            drawn.tell(many, few, f"{name}: {number(many)} where rows are many, {number(few)} where they are few")
        axes.margins(0.18)
        axes.set_xlabel(short(f"{error} where rows are many{unit}", 60))
        drawn.title(f"{error} where rows are few{unit}")
        drawn.legend(2)
        drawn.figure.draw_without_rendering()
        place_labels(axes, points, (front, swept))
    return drawn.svg


def signed(percent: float, unit: str = " %") -> str:
    """Return a change in whole percent with its sign; a change that rounds to 0 has none.

    >>> signed(-0.2), signed(12.4), signed(-7.5), signed(3.1, "")
    ('0 %', '+12 %', '-8 %', '+3')
    """
    whole = round(percent)
    return (f"{whole:+d}" if whole else "0") + unit


def _lightness(color: NDArray[np.float64]) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def _mean(table: "TableComparison", name: str, score: str) -> float:
    mean = table.mean(name, score)
    return np.nan if mean is None else mean
