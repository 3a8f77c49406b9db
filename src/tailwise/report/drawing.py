"""The frame of every chart: deterministic SVG text that follows the colours of its page."""

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

# A dark page sets these variables to paler colours; a chart outside a page keeps the colours above.
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
    """A chart being drawn; ``svg`` is set when its block ends.

    Args:
        figure: the figure.
        axes: where to draw.
        near: whether the pointer finds the nearest value along the horizontal axis, or in both directions.
    """

    figure: Figure
    axes: Any
    near: Literal["x", "xy"] = "x"
    svg: str = ""
    tips: list[tuple[float, float, str]] = field(default_factory=list)

    def tell(self, x: float, y: float, text: str) -> None:
        """Show a text when the pointer or the keyboard reaches a place, given in the units of the axes."""
        self.tips.append((x, y, text))

    def title(self, text: str) -> None:
        """Write the label of the vertical axis horizontally at the top left."""
        self.axes.set_title(short(text, 60), loc="left", color=INK, pad=8)

    def legend(self, columns: int = 5) -> None:
        """Put the legend below the axes."""
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
    """Yield a chart whose SVG text is ready when the block ends.

    Args:
        alt: description for readers who cannot see the chart; if empty, the page must describe it.
        width: width in inches.
        height: height in inches.
        numbers: axes with numbers; the others have names.
        grid: axes with grid lines.
        near: see :class:`Drawing`.
    """
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the browser has the glyphs that matplotlib's font lacks
        figure = Figure(figsize=(width, height), layout="constrained", dpi=72)  # units of SVG
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
    """Cut a text to the length that fits beside a chart.

    >>> short("a" * 50, 10)
    'aaaaaaaaa…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def percent(fraction: float) -> str:
    """Return a fraction as a whole percentage.

    >>> percent(0.903)
    '90 %'
    """
    return f"{100 * fraction:.0f} %"


def _number(axis: Any) -> None:
    """Format the numbers of an axis like those of the page, few enough for the larger letters on a phone."""
    if isinstance(axis.get_major_locator(), AutoLocator):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value).replace("e+0", "e")))
    axis.set_minor_formatter(NullFormatter())


def _ink(figure: Figure) -> None:
    """Draw letters, ticks and spines in the colour of the page's text."""
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
    # Ids must be unique in a page with several charts; the page's font replaces matplotlib's.
    svg = re.sub(r'<g id="([^"]*)">', r'<g class="\1">', svg)
    svg = re.sub(r' font-family: [^;"]*;?', "", svg)
    svg = re.sub(r'<style type="text/css">.*?</style>', "", svg)
    attributes: dict[str, str] = {"font-family": "sans-serif", "stroke-linejoin": "round"}
    if alt:
        attributes |= {"role": "img", "aria-label": alt}
    if drawn.tips:
        attributes |= {"data-near": drawn.near, "data-tips": json.dumps(_places(drawn), ensure_ascii=False)}
    return svg.replace("<svg", "<svg" + "".join(f' {name}="{escape(value)}"' for name, value in attributes.items()), 1)


def _places(drawn: Drawing) -> list[tuple[float, float, str]]:
    """Return the position of each tip in the finished chart, in the units of its view box."""
    top = 72 * drawn.figure.get_figheight()
    places = drawn.axes.transData.transform([(x, y) for x, y, _ in drawn.tips])
    return [
        (round(float(x), 1), round(top - float(y), 1), text)
        for (x, y), (_, _, text) in zip(places, drawn.tips, strict=True)
    ]
