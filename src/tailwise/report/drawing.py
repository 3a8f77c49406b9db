"""The frame of every chart: SVG text, the same for the same numbers, that follows the colours of its page."""

import io
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib as mpl
from markupsafe import escape
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, FuncFormatter, MaxNLocator, NullFormatter

from tailwise._numbers import number

REGION_COLORS = {"many": "#2f6fb0", "medium": "#a06f08", "few": "#c8435a", "zero": "#8b3fa0"}
OURS, OTHER, INK = "#0b7a75", "#8f5f2e", "#808080"

# A page sets these variables to paler colours where it is dark; a chart alone keeps the colours above.
_VARIABLES = REGION_COLORS | {"ours": OURS, "other": OTHER}
_SETTINGS = {
    "svg.hashsalt": "tailwise",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_LONGEST = 42


@dataclass
class Drawing:
    """A chart in the making; ``svg`` is there when its block has ended.

    Args:
        figure: the figure.
        axes: where to draw.
        near: whether the pointer finds the next value along the horizontal axis, or in both directions.
    """

    figure: Figure
    axes: Any
    near: Literal["x", "xy"] = "x"
    svg: str = ""
    told: list[tuple[float, float, str]] = field(default_factory=list)

    def tell(self, x: float, y: float, text: str) -> None:
        """What the page says where the pointer or the keyboard comes to a place, in the units of the axes."""
        self.told.append((x, y, text))

    def title(self, text: str) -> None:
        """Say at the top left what the vertical axis shows, where it can be read without turning the head."""
        self.axes.set_title(short(text, 60), loc="left", color=INK, pad=8)

    def legend(self, columns: int = 5) -> None:
        """Name what is drawn, below the axes, where it hides nothing."""
        self.figure.legend(loc="outside lower left", ncols=columns, handlelength=1.4, columnspacing=2.4)


@contextmanager
def drawing(
    alt: str,
    width: float = 5.6,
    height: float = 3.3,
    *,
    numbers: Literal["x", "y", "both"] | None = "both",
    grid: Literal["x", "y", "both"] | None = "y",
    near: Literal["x", "xy"] = "x",
) -> Iterator[Drawing]:
    """A chart whose SVG text is ready when the block ends.

    Args:
        alt: what the chart shows, in words and numbers, for those who do not see it; without it the page must say so.
        width: inches.
        height: inches.
        numbers: axes that have numbers; others have names.
        grid: lines across the axes.
        near: see :class:`Drawing`.
    """
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the browser has the letters that matplotlib's font lacks
        figure = Figure(figsize=(width, height), layout="constrained", dpi=72)  # the dots of SVG
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        if grid is not None:
            axes.grid(axis=grid, color=INK, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        drawn = Drawing(figure, axes, near)
        yield drawn
        for name in () if numbers is None else ("x", "y") if numbers == "both" else (numbers,):
            _number(getattr(axes, f"{name}axis"))
        _ink(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
        drawn.svg = _finished(buffer.getvalue(), alt, drawn)


def short(text: str, most: int = _LONGEST) -> str:
    """A text cut to what fits beside a chart.

    >>> short("a" * 50, 10)
    'aaaaaaaaa…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def percent(share: float) -> str:
    """A share as a whole percentage.

    >>> percent(0.903)
    '90 %'
    """
    return f"{100 * share:.0f} %"


def _number(axis: Any) -> None:
    """Write the numbers of an axis as the rest of the page does, few enough for the larger letters of a phone."""
    if isinstance(axis.get_major_locator(), AutoLocator):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value).replace("e+0", "e")))
    axis.set_minor_formatter(NullFormatter())


def _ink(figure: Figure) -> None:
    """Letters, ticks and spines in the colour of the page's text."""
    for axes in figure.axes:
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(INK)
        axes.tick_params(which="both", colors=INK)
        for spine in axes.spines.values():
            spine.set_color(INK)
    legends = [axes.get_legend() for axes in figure.axes] + list(figure.legends)
    for legend in legends:
        for text in legend.get_texts() if legend else []:
            text.set_color(INK)


def _finished(text: str, alt: str, drawn: Drawing) -> str:
    svg = text[text.index("<svg") :].replace(INK, "currentColor")
    for name, color in _VARIABLES.items():
        svg = svg.replace(color, f"var(--{name}, {color})")
    # A page holds several charts, and an id must not come twice; the page's own letters take the font's place.
    svg = re.sub(r'<g id="([^"]*)">', r'<g class="\1">', svg)
    svg = re.sub(r' font-family: [^;"]*;?', "", svg)
    svg = re.sub(r'<style type="text/css">.*?</style>', "", svg)
    told: dict[str, str] = {"font-family": "sans-serif", "stroke-linejoin": "round"}
    if alt:
        told |= {"role": "img", "aria-label": alt}
    if drawn.told:
        told |= {"data-near": drawn.near, "data-tips": json.dumps(_places(drawn), ensure_ascii=False)}
    return svg.replace("<svg", "<svg" + "".join(f' {name}="{escape(value)}"' for name, value in told.items()), 1)


def _places(drawn: Drawing) -> list[tuple[float, float, str]]:
    """Where the finished chart has each of its values, in the units of its view box."""
    top = 72 * drawn.figure.get_figheight()
    places = drawn.axes.transData.transform([(x, y) for x, y, _ in drawn.told])
    return [
        (round(float(x), 1), round(top - float(y), 1), text)
        for (x, y), (_, _, text) in zip(places, drawn.told, strict=True)
    ]
