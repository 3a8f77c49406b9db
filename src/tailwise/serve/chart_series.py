"""Charts as series of numbers, which become SVG, PNG and CSV."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
from matplotlib.ticker import MaxNLocator

from tailwise._numbers import number
from tailwise.report.drawing import INK, Drawing, drawing, short

KINDS = {
    "regions": "MAE by region",
    "dial": "Common against rare values",
    "error": "Error by true value",
    "training": "Validation error",
}

_MOST_MARKED, _MOST_TIPS, _SHARE_OF_X = 40, 250, 0.7
_DRAWING = Lock()  # matplotlib's settings are global
_LETTERS_ACROSS, _LETTERS_OF_A_KEY = 76, 7  # widths of a legend and of a key in it, in letters
_DPI = 200
_VARIABLE = re.compile(r"var\(--[\w-]+, (#\w+)\)")
_TIPS = re.compile(r' data-(?:tips|near)="[^"]*"')


@dataclass(frozen=True)
class Series:
    """One line or set of points of a chart.

    Args:
        name: name in the legend.
        x: positions; indices of names in a chart with names.
        y: values.
        low: lower ends of 95 % intervals, NaN for none.
        high: upper ends.
        color: color of the line.
        marker: marker of the points.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    color: str
    marker: str


@dataclass(frozen=True)
class Plot:
    """A chart as numbers.

    Args:
        kind: one of ``KINDS``.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis.
        series: the series.
        names: names at 0, 1, ... of the horizontal axis in place of numbers.
        rules: positions of vertical lines.
    """

    kind: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    names: tuple[str, ...] = ()
    rules: tuple[float, ...] = ()

    @property
    def description(self) -> str:
        """The chart in words and numbers, for readers who cannot see it."""
        if self.names:
            parts = [
                f"{one.name}: "
                + ", ".join(f"{self.names[int(x)]} {_short(y)}" for x, y in zip(one.x, one.y, strict=True))
                for one in self.series
            ]
        else:
            parts = [f"{one.name}: from {_short(min(one.y))} to {_short(max(one.y))}" for one in self.series]
        return f"{KINDS[self.kind]}, {self.y_label}. " + "; ".join(parts)

    def svg(self) -> str:
        """Return the chart as SVG text for a page: in the page's colours, with its values under the pointer."""
        return self._drawn()[0]

    def picture(self) -> str:
        """Return the chart as stand-alone SVG text."""
        return _TIPS.sub("", _VARIABLE.sub(r"\1", self.svg()))

    def png(self) -> bytes:
        """Return the chart as a PNG image on white."""
        return self._drawn(png=True)[1]

    def csv(self) -> str:
        """Return the numbers of the chart as CSV, one line a point."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["series", harmless(self.x_label), harmless(self.y_label), "low", "high"])
        for one in self.series:
            for x, *values in zip(one.x, one.y, one.low, one.high, strict=True):
                at = harmless(self.names[int(x)]) if self.names else repr(float(x))
                writer.writerow([harmless(one.name), at, *("" if np.isnan(v) else repr(float(v)) for v in values)])
        return buffer.getvalue()

    def _drawn(self, *, png: bool = False) -> tuple[str, bytes]:
        buffer = io.BytesIO()
        with _DRAWING:
            with drawing(self.description, 5.8, 3.4, numbers="y" if self.names else "both", near="xy") as drawn:
                self._paint(drawn)
            if png:
                drawn.figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
        return drawn.svg, buffer.getvalue()

    def _paint(self, drawn: Drawing) -> None:
        axes = drawn.axes
        for i, one in enumerate(self.series):
            x, y, low, high = (np.asarray(v, dtype=np.float64) for v in (one.x, one.y, one.low, one.high))
            style = {"color": one.color, "label": short(one.name)}
            if self.names:
                x = x + (i - (len(self.series) - 1) / 2) * _SHARE_OF_X / len(self.series)
                ends = np.maximum(np.nan_to_num(np.stack([y - low, high - y])), 0)
                axes.errorbar(x, y, ends, fmt=one.marker, markersize=5, **style)
            else:
                axes.fill_between(x, low, high, color=one.color, alpha=0.16, linewidth=0)
                marker = one.marker if x.size <= _MOST_MARKED else None
                axes.plot(x, y, linewidth=1.5, marker=marker, markersize=4, **style)
            points = list(zip(one.x, x, y, low, high, strict=True))[:: 1 + x.size // _MOST_TIPS]
            for at, place, value, *ends_of in points:
                where = self.names[int(at)] if self.names else f"{self.x_label} {_short(at)}"
                interval = "" if np.isnan(ends_of).any() else f" ({' to '.join(map(_short, ends_of))})"
                drawn.tell(place, value, f"{one.name}, {where}: {_short(value)}{interval}")
        for at in self.rules:
            axes.axvline(at, color=INK, linewidth=0.8, linestyle="--")
        if self.names:
            axes.set_xticks(range(len(self.names)), self.names)
            axes.set_xlim(-0.5, len(self.names) - 0.5)
        if self.kind == "error":
            axes.axhline(0, color=INK, linewidth=0.8)
        else:
            axes.set_ylim(bottom=0)
        if self.kind == "training":
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        if not self.names:
            axes.set_xlabel(short(self.x_label))
        drawn.title(self.y_label)
        longest = max(len(short(one.name)) for one in self.series)
        drawn.legend(max(1, _LETTERS_ACROSS // (longest + _LETTERS_OF_A_KEY)))


def harmless(text: str) -> str:
    """Escape text that a spreadsheet would read as a formula.

    >>> harmless("=1+1"), harmless("lds")
    ("'=1+1", 'lds')
    """
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _short(value: float) -> str:
    return number(float(f"{value:.3g}"))
