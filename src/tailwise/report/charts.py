"""Static charts as SVG text, the same for the same numbers, with text that follows the page's colours."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.labels.shots import REGIONS, Shots

REGION_COLORS = {"many": "#4477aa", "medium": "#ccbb44", "few": "#ee6677", "zero": "#aa3377"}
OURS, OTHER, INK = "#4477aa", "#aa7744", "#808080"

_MOST_POINTS = 3000
_FEWEST_FOR_A_BAND = 2
_SETTINGS = {
    "svg.hashsalt": "tailwise",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
}


@contextmanager
def chart(width: float = 7.5, height: float = 3.4, *, numbers: bool = True) -> Iterator[tuple[Figure, Any, list[str]]]:
    """A figure whose SVG text is appended to the list when the block ends; its axes have numbers, or names."""
    made: list[str] = []
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the browser has the letters that matplotlib's font lacks
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=INK, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        yield figure, axes, made
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(INK)
        axes.tick_params(which="both", colors=INK)
        for spine in axes.spines.values():
            spine.set_color(INK)
        for axis in (axes.xaxis, axes.yaxis) if numbers else ():
            axis.set_major_formatter(FuncFormatter(lambda value, _: number(value).replace("e+0", "e")))
            axis.set_minor_formatter(NullFormatter())
        legend = axes.get_legend()
        for text in legend.get_texts() if legend else []:
            text.set_color(INK)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    made.append(svg[svg.index("<svg") :].replace(INK, "currentColor"))


def density_chart(shots: Shots, target: str) -> str:
    """Training rows in each bin, coloured by region."""
    with chart() as (_, axes, made):
        names = np.asarray(REGIONS)[shots.bin_codes]
        for region, color in REGION_COLORS.items():
            here = names == region
            if here.any() and region != "zero":
                axes.bar(
                    shots.bins.centers[here],
                    shots.counts[here],
                    width=shots.bins.widths[here],
                    color=color,
                    label=region,
                )
        axes.set_yscale("symlog", linthresh=10)
        for threshold in (shots.many, shots.few):
            axes.axhline(threshold, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel(target)
        axes.set_ylabel("training rows a bin")
        axes.legend(frameon=False)
    return made[0]


def error_chart(
    y_true: NDArray[np.float64],
    runs: Sequence[tuple[str, NDArray[np.float64]]],
    shots: Shots,
    target: str,
) -> str:
    """Mean signed error by target value, with 95 % intervals of the mean of several rows, for one or two runs."""
    with chart() as (_, axes, made):
        edges = _wide_edges(y_true, shots)
        index = np.clip(np.searchsorted(edges[1:-1], y_true, side="right"), 0, edges.size - 2)
        count = np.bincount(index, minlength=edges.size - 1)
        there = count > 0
        centers = ((edges[:-1] + edges[1:]) / 2)[there]
        for (name, y_pred), color in zip(runs, (OURS, OTHER), strict=False):
            error = y_pred - y_true
            mean = np.bincount(index, weights=error, minlength=count.size)[there] / count[there]
            square = np.bincount(index, weights=error**2, minlength=count.size)[there] / count[there]
            spread = np.sqrt(np.maximum(square - mean**2, 0) / np.maximum(count[there] - 1, 1))
            spread[count[there] < _FEWEST_FOR_A_BAND] = np.nan
            axes.fill_between(centers, mean - 1.96 * spread, mean + 1.96 * spread, color=color, alpha=0.2, linewidth=0)
            axes.plot(centers, mean, color=color, marker="o", markersize=3, linewidth=1.5, label=name)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlabel(f"true {target}")
        axes.set_ylabel("mean error (predicted - true)")
        axes.legend(frameon=False)
    return made[0]


def scatter_chart(y_true: NDArray[np.float64], y_pred: NDArray[np.float64], shots: Shots, target: str) -> str:
    """Predicted against true, coloured by region; at most 3,000 rows, rare regions first."""
    with chart(5.2, 4.6) as (_, axes, made):
        names = shots.names(y_true)
        rng = np.random.default_rng(0)
        low, high = float(min(y_true.min(), y_pred.min())), float(max(y_true.max(), y_pred.max()))
        axes.plot([low, high], [low, high], color=INK, linewidth=0.8)
        for region in REGIONS:
            rows = np.flatnonzero(names == region)
            if rows.size > _MOST_POINTS // len(REGIONS):
                rows = rng.choice(rows, _MOST_POINTS // len(REGIONS), replace=False)
            if rows.size:
                axes.scatter(
                    y_true[rows], y_pred[rows], s=8, alpha=0.5, linewidth=0, color=REGION_COLORS[region], label=region
                )
        axes.set_xlabel(f"true {target}")
        axes.set_ylabel(f"predicted {target}")
        axes.legend(frameon=False)
    return made[0]


def training_chart(history: Sequence[dict[str, Any]], target: str, step: str = "epoch") -> str:
    """Validation MAE by region over the epochs, or rounds; a dashed line where a stage begins."""
    with chart() as (_, axes, made):
        epochs = np.arange(1, len(history) + 1)
        for region, color in REGION_COLORS.items():
            errors = np.array([line["validation"].get(region, np.nan) for line in history])
            if not np.isnan(errors).all():
                alone = "o" if np.isfinite(errors).sum() == 1 else None  # no line joins a single point
                axes.plot(epochs, errors, color=color, linewidth=1.5, marker=alone, label=region)
        for start in [i for i in range(1, len(history)) if history[i]["stage"] != history[i - 1]["stage"]]:
            axes.axvline(start + 0.5, color=INK, linewidth=0.8, linestyle="--")
        axes.set_ylim(bottom=0)
        axes.set_xlim(0.5, len(history) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel(step)
        axes.set_ylabel(f"validation MAE ({target})")
        axes.legend(frameon=False)
    return made[0]


def _wide_edges(y: NDArray[np.float64], shots: Shots, most: int = 25) -> NDArray[np.float64]:
    """Edges of at most 25 equal intervals over the test labels, no finer than the bins."""
    low, high = float(y.min()), float(y.max())
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    n = int(np.clip(np.ceil((high - low) / np.median(shots.bins.widths)), 2, most))
    return np.linspace(low, high, n + 1)
