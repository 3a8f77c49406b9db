"""The chart of permutation importance: the rise of the MAE without a column, by region of the true value."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tailwise._numbers import number
from tailwise.metrics.confidence import Interval
from tailwise.report.drawing import INK, REGION_COLORS, drawing, short

if TYPE_CHECKING:
    from tailwise.experiment.importance import ColumnImportance

_BAND = 0.62  # of the height of a column


def importance_chart(columns: Sequence["ColumnImportance"], regions: Sequence[str], by: str, target: str) -> str:
    """Draw the rise of the MAE in each region where a column is shuffled, with its 95 % interval.

    Args:
        columns: importance of columns, in the order in which they are drawn.
        regions: regions with rows.
        by: the region that orders the columns.
        target: target column.
    """
    most = ", ".join(f"{one.column} {shown_rise(one.rise[by])}" for one in columns[:3])
    alt = f"Rise of the MAE of {len(columns)} shuffled columns by region, in units of {target}. Largest {by}: {most}."
    step = _BAND / len(regions)
    with drawing(alt, 5.6, 1.5 + 0.5 * len(columns), numbers="x", grid="x", near="xy") as drawn:
        axes = drawn.axes
        axes.axvline(0, color=INK, linewidth=1.0)
        for i, region in enumerate(regions):
            offset = step * (i - (len(regions) - 1) / 2)
            for place, one in enumerate(columns):
                rise, at, color = one.rise[region], -place - offset, REGION_COLORS[region]
                if rise.low is not None and rise.high is not None:
                    axes.plot([rise.low, rise.high], [at, at], color=color, linewidth=1.6)
                axes.plot(
                    [rise.value],
                    [at],
                    color=color,
                    marker="o",
                    markersize=5,
                    linestyle="none",
                    label=region if place == 0 else None,
                )
                drawn.tell(rise.value, at, f"{one.column}, {region}: {shown_rise(rise)}")
        axes.set_yticks([-place for place in range(len(columns))], [short(one.column, 16) for one in columns])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(0.6 - len(columns), 0.6)
        axes.set_xlabel(short(f"rise of the MAE ({target})"))
        drawn.legend()
    return drawn.svg


def shown_rise(rise: Interval) -> str:
    """Return a rise with its interval, to three digits.

    >>> shown_rise(Interval(1.23456, 1.0, 1.5))
    '1.23 (1 to 1.5)'
    """
    value, *ends = (None if one is None else number(float(f"{one:.3g}")) for one in (rise.value, rise.low, rise.high))
    return str(value) if None in ends else f"{value} ({' to '.join(map(str, ends))})"
