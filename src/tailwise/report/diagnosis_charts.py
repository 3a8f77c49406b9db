"""Charts of a diagnosis: rows by bin with the LDS curve, relevance, and errors of a quick model by region."""

import numpy as np

from tailwise._numbers import number
from tailwise.diagnose.facts import Density, QuickModel, RelevanceSummary, Target
from tailwise.labels.relevance import Relevance
from tailwise.report.charts import rows_chart
from tailwise.report.drawing import INK, OURS, REGION_COLORS, drawing, short

_POINTS = 61


def label_chart(density: Density, target: str) -> str:
    """Draw the rows by bin, coloured by region, and the LDS curve."""
    return rows_chart(
        density.edges,
        density.counts,
        density.bin_regions,
        (density.many, density.few),
        target,
        smoothed=density.smoothed,
        rows="rows",
    )


def relevance_chart(summary: RelevanceSummary, target: Target) -> str:
    """Draw relevance φ over the range of the target, with its control points."""
    phi = Relevance(np.array(summary.points), np.array(summary.values))
    y = np.linspace(target.low, target.high, _POINTS)
    points = ", ".join(f"{v:g} at {number(p)}" for p, v in zip(summary.points, summary.values, strict=True))
    alt = (
        f"Relevance of {target.name}: {points}; at least 0.8 for {summary.low_rows:,} low and "
        f"{summary.high_rows:,} high rows."
    )
    with drawing(alt) as drawn:
        axes = drawn.axes
        axes.fill_between(y, phi(y), color=OURS, alpha=0.15, linewidth=0)
        axes.plot(y, phi(y), color=OURS, linewidth=1.8)
        axes.plot(summary.points, summary.values, color=OURS, marker="o", linestyle="none", markersize=6)
        axes.axhline(0.8, color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
        for at, value in zip(y.tolist(), phi(y).tolist(), strict=True):
            drawn.tell(at, value, f"{number(float(f'{at:.3g}'))}: relevance {value:.2f}")
        axes.set(xlim=(target.low, target.high), ylim=(0, 1.05))
        axes.set_xlabel(short(target.name))
        drawn.title("relevance φ")
    return drawn.svg


def quick_model_chart(model: QuickModel, target: str) -> str:
    """Draw the out-of-fold MAE of the quick model by region."""
    each = ", ".join(f"{error.region} {number(error.mae)}" for error in model.errors)
    with drawing(
        f"MAE of a quick model by region, in units of {target}: {each}.",
        5.6,
        1.2 + 0.38 * len(model.errors),
        numbers="x",
        grid="x",
        near="xy",
    ) as drawn:
        axes = drawn.axes
        for place, error in enumerate(model.errors):
            color = REGION_COLORS.get(error.region.split(",")[0], INK)
            axes.barh(-place, error.mae, height=0.62, color=color, linewidth=0)
            axes.annotate(
                number(error.mae), (error.mae, -place), (5, 0), textcoords="offset points", va="center", color=INK
            )
            words = f"{error.region}, {error.n:,} rows: MAE {number(error.mae)}, bias {number(error.bias)}"
            drawn.tell(error.mae, -place, words)
        names = [error.region.capitalize() for error in model.errors]
        axes.set_yticks([-i for i in range(len(names))], names)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.14)
        axes.set_xlim(left=0)
        axes.set_xlabel(short(f"MAE ({target})"))
    return drawn.svg
