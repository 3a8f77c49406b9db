"""Charts of columns by region of the true value: the rise of the MAE without them, and their SHAP values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tailwise._numbers import number
from tailwise.metrics.confidence import Interval
from tailwise.report.drawing import INK, REGION_COLORS, drawing, short

if TYPE_CHECKING:
    from tailwise.experiment.importance import ColumnImportance
    from tailwise.experiment.shap_values import ColumnShap

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
    return _dots([(one.column, one.rise) for one in columns], regions, alt, f"rise of the MAE ({target})")


def shap_chart(columns: Sequence["ColumnShap"], regions: Sequence[str], by: str, target: str) -> str:
    """Draw the mean absolute SHAP value of each column in each region, with its 95 % interval.

    Args:
        columns: sizes of columns, in the order in which they are drawn.
        regions: regions with rows.
        by: the region that orders the columns.
        target: target column.
    """
    most = ", ".join(f"{one.column} {shown_rise(one.size[by])}" for one in columns[:3])
    alt = f"Mean absolute SHAP value of {len(columns)} columns by region, in units of {target}. Largest {by}: {most}."
    return _dots([(one.column, one.size) for one in columns], regions, alt, f"mean absolute SHAP value ({target})")


def _dots(columns: Sequence[tuple[str, Mapping[str, Interval]]], regions: Sequence[str], alt: str, label: str) -> str:
    """Draw a value with its interval for each column and region."""
    step = _BAND / len(regions)
    with drawing(alt, 5.6, 1.5 + 0.5 * len(columns), numbers="x", grid="x", near="xy") as drawn:
        axes = drawn.axes
        axes.axvline(0, color=INK, linewidth=1.0)
        for i, region in enumerate(regions):
            offset = step * (i - (len(regions) - 1) / 2)
            for place, (column, values) in enumerate(columns):
                value, at, color = values[region], -place - offset, REGION_COLORS[region]
                if value.low is not None and value.high is not None:
                    axes.plot([value.low, value.high], [at, at], color=color, linewidth=1.6)
                axes.plot(
                    [value.value],
                    [at],
                    color=color,
                    marker="o",
                    markersize=5,
                    linestyle="none",
                    label=region if place == 0 else None,
                )
                drawn.tell(value.value, at, f"{column}, {region}: {shown_rise(value)}")
        axes.set_yticks([-place for place in range(len(columns))], [short(column, 16) for column, _ in columns])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(0.6 - len(columns), 0.6)
        axes.set_xlabel(short(label))
        drawn.legend()
    return drawn.svg


def shown_rise(rise: Interval) -> str:
    """Return a rise, or another value, with its interval, to three digits.

    >>> shown_rise(Interval(1.23456, 1.0, 1.5))
    '1.23 (1 to 1.5)'
    """
    value, *ends = (None if one is None else number(float(f"{one:.3g}")) for one in (rise.value, rise.low, rise.high))
    return str(value) if None in ends else f"{value} ({' to '.join(map(str, ends))})"
