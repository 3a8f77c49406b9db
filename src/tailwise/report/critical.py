"""The critical-difference diagram: mean ranks on a line, with a bar for entries that do not differ."""

import math
import textwrap
from typing import TYPE_CHECKING, Any

from tailwise._numbers import number
from tailwise.report.drawing import INK, OURS, drawing

if TYPE_CHECKING:
    from tailwise.compare.ranks import Ranking

_BAR, _LINE, _INCH = 0.32, 0.5, 2.1  # heights in the units of the drawing: a bar, a line of names, an inch


def critical_chart(ranking: "Ranking") -> str:
    """Draw mean ranks, best to the left; a bar joins entries whose mean ranks do not differ.

    Janez Demšar, *Statistical Comparisons of Classifiers over Multiple Data Sets*, JMLR 2006. The groups
    are those of the ranking: mean ranks closer than Nemenyi's critical difference, or all entries if Friedman's test
    finds no difference.

    Args:
        ranking: mean ranks of the entries over tables.
    """
    names, ranks = list(ranking.mean_ranks), list(ranking.mean_ranks.values())
    k, left = len(names), math.ceil(len(names) / 2)
    bars = 0.35 + _BAR * len(ranking.groups)
    labels = [f"{wrapped(name, 24)} ({rank:.2f})".split("\n") for name, rank in ranking.mean_ranks.items()]
    line = _LINE * (0.4 + 0.6 * max(map(len, labels)))
    depth = bars + line * left
    with drawing(critical_text(ranking), 6.6, (depth + 1.6) / _INCH + 0.1, numbers=None, grid=None, near="xy") as drawn:
        axes = drawn.axes
        axes.spines[:].set_visible(False)
        axes.set(xticks=[], yticks=[])
        axes.set_xlim(1 - 0.02 * k, k + 0.02 * k)
        axes.set_ylim(-depth - 0.1, 1.5)
        axes.plot([1, k], [0, 0], color=INK, linewidth=1.2)
        for tick in range(1, k + 1):
            axes.plot([tick, tick], [0, 0.18], color=INK, linewidth=1.0)
            axes.text(tick, 0.28, str(tick), ha="center", va="bottom", fontsize=9, color=INK)
        _ruler(axes, ranking.critical_difference, k)
        for place, (first, last) in enumerate((names.index(g[0]), names.index(g[-1])) for g in ranking.groups):
            y = -0.3 - _BAR * place
            reach = 0.012 * k
            axes.plot([ranks[first] - reach, ranks[last] + reach], [y, y], color=OURS, linewidth=4, alpha=0.8)
        for i, (name, rank) in enumerate(ranking.mean_ranks.items()):
            on_left = i < left
            y = -bars - line * ((i if on_left else k - 1 - i) + 0.5)
            drawn.tell(rank, 0, f"{name}: mean rank {rank:.2f}")
            axes.plot([rank, rank], [0, y], color=INK, linewidth=0.8)
            for place, words in enumerate(labels[i]):  # line by line: a browser's letters have other widths
                axes.annotate(
                    words,
                    (rank, y + 0.3 * _LINE * (len(labels[i]) - 1 - 2 * place)),
                    xytext=(-4 if on_left else 4, 0),
                    textcoords="offset points",
                    ha="right" if on_left else "left",
                    va="center",
                    fontsize=9,
                    color=INK,
                )
    return drawn.svg


def _ruler(axes: Any, distance: float, k: int) -> None:
    """Draw the critical difference as a length above the line, or write it if it is longer than the line."""
    label = f"critical difference {number(float(f'{distance:.2g}'))}"
    if distance > k - 1:
        axes.text(1, 1.15, f"{label}: longer than the line", ha="left", va="center", fontsize=9, color=INK)
        return
    axes.plot(
        [1, 1, 1, 1 + distance, 1 + distance, 1 + distance], [1, 1.3, 1.15, 1.15, 1.3, 1], color=INK, linewidth=1.0
    )
    axes.annotate(
        label, (1 + distance, 1.15), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9, color=INK
    )


def critical_text(ranking: "Ranking") -> str:
    """Return the diagram as text."""
    ranks = ", ".join(f"{name} {rank:.2f}" for name, rank in ranking.mean_ranks.items())
    groups = "; ".join(", ".join(group) for group in ranking.groups)
    alike = f"No difference within: {groups}." if groups else "All differ."
    distance = number(float(f"{ranking.critical_difference:.2g}"))
    return f"Mean ranks, 1 is best: {ranks}. {alike} Critical difference {distance}."


def wrapped(name: str, width: int = 26) -> str:
    """Break a long name into lines."""
    return "\n".join(textwrap.wrap(name, width, break_on_hyphens=False))
