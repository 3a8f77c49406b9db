"""Charts of uncertainty: spread of the residuals by region, and coverage of intervals."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.calibration.distribution_intervals import LEVELS
from tailwise.labels.shots import Shots
from tailwise.metrics.coverage import Coverage, RegionCoverage, coverage_by_region
from tailwise.metrics.region_errors import region_rows
from tailwise.report.drawing import INK, OTHER, OURS, REGION_COLORS, drawing, percent, short

QUANTILES = (0.1, 0.5, 0.9)

_MARKS = {"all": "D", "many": "o", "medium": "s", "few": "^", "zero": "v"}


def residual_chart(
    y_true: NDArray[np.float64], runs: Sequence[tuple[str, NDArray[np.float64]]], shots: Shots, target: str
) -> str:
    """Draw the 10, 50 and 90 % quantiles of predicted minus true by region.

    Args:
        y_true: ``(n,)`` labels.
        runs: name and predictions of one or two runs.
        shots: regions.
        target: name of the target.
    """
    rows = {name: is_in for name, is_in in region_rows(y_true, shots).items() if is_in.any()}
    quantiles = {
        (region, i): np.quantile((y_pred - y_true)[is_in], QUANTILES)
        for region, is_in in rows.items()
        for i, (_, y_pred) in enumerate(runs)
    }
    by_run = {
        region: "; ".join(_in_words(name, quantiles[region, i]) for i, (name, _) in enumerate(runs)) for region in rows
    }
    alt = " ".join(f"{region.capitalize()}: {words}." for region, words in by_run.items())
    step = 0.32 if len(runs) > 1 else 0.0
    alt = f"10, 50 and 90 % quantiles of predicted minus true {target}. {alt}"
    with drawing(alt, 5.6, 1.3 + 0.42 * len(rows), numbers="x", grid="x", near="xy") as drawn:
        axes = drawn.axes
        for i, ((name, _), color, mark) in enumerate(zip(runs, (OURS, OTHER), ("o", "s"), strict=False)):
            for place, region in enumerate(rows):
                low, middle, high = quantiles[region, i].tolist()
                y = -place + step * (0.5 - i)
                axes.plot([low, high], [y, y], color=color, linewidth=4, alpha=0.4, solid_capstyle="round")
                axes.plot([middle], [y], color=color, marker=mark, markersize=6.5, linestyle="none")
                for quantile, at in zip(QUANTILES, (low, middle, high), strict=True):
                    drawn.tell(at, y, f"{name}, {region}: {percent(quantile)} of the residuals are below {number(at)}")
            axes.plot([], [], color=color, marker=mark, linewidth=4, alpha=0.8, label=name)
        axes.axvline(0, color=INK, linewidth=0.9)
        axes.set_yticks([-i for i in range(len(rows))], [region.capitalize() for region in rows])
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(short(f"predicted − true {target}"))
        drawn.title("10 to 90 % of the residuals, and their median")
        if len(runs) > 1:
            drawn.legend(1)
    return drawn.svg


def coverage_by_level(
    ends_at: Callable[[float], NDArray[np.float64]],
    y_true: NDArray[np.float64],
    y_pred: NDArray[np.float64],
    shots: Shots,
    *,
    weight: NDArray[np.float64] | None = None,
) -> dict[float, dict[str, RegionCoverage]]:
    """Return the coverage by region of the intervals at each confidence level of ``LEVELS``.

    Args:
        ends_at: ``(n, 2)`` ends of the model's intervals at a confidence level.
        y_true: ``(n,)`` labels.
        y_pred: ``(n,)`` predictions.
        shots: regions.
        weight: ``(n,)`` how much each row counts.
    """
    coverage = {}
    for confidence in LEVELS:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "intervals of confidence")  # the chart leaves infinite ones out
            low, high = ends_at(confidence).T
        coverage[confidence] = coverage_by_region(y_true, y_pred, low, high, shots, sample_weight=weight)
    return coverage


def calibration_chart(
    levels: Mapping[float, Mapping[str, RegionCoverage]], by: Literal["predicted", "true"] = "predicted"
) -> str:
    """Draw the coverage of intervals against their nominal confidence, by region; below the diagonal it is too low.

    Args:
        levels: coverage by region at each confidence level.
        by: whether the region is that of the predicted value, on which intervals are calibrated, or of the true one.
    """
    covered: dict[str, list[tuple[float, Coverage]]] = {}
    for confidence, regions in levels.items():
        for region, both in regions.items():
            one = both.by_predicted if by == "predicted" else both.by_true
            if one is not None and np.isfinite(one.mean_width):
                covered.setdefault(region, []).append((confidence, one))
    each = "; ".join(
        f"{region}: " + ", ".join(f"nominal {percent(c)}, observed {percent(one.coverage.value)}" for c, one in points)
        for region, points in covered.items()
    )
    alt = f"Coverage of intervals by region of the {by} value. {each.capitalize()}."
    with drawing(alt, 5.6, 4.2, grid="both", near="xy") as drawn:
        axes = drawn.axes
        nominal = [100 * confidence for confidence in levels]
        axes.plot([0, 100], [0, 100], color=INK, linewidth=1, linestyle="--")
        lowest = min(nominal)
        for region in [name for name in _MARKS if name in covered]:
            x = [100 * confidence for confidence, _ in covered[region]]
            observed = [100 * one.coverage.value for _, one in covered[region]]
            lowest = min(lowest, *observed)
            color = REGION_COLORS.get(region, INK)
            axes.plot(x, observed, color=color, marker=_MARKS[region], markersize=5, linewidth=1.6, label=region)
            for confidence, one in covered[region]:
                drawn.tell(100 * confidence, 100 * one.coverage.value, _held(region, confidence, one))
        axes.set(xlim=(min(nominal) - 3, 101), ylim=(max(0, lowest - 5), 101))
        axes.set_xlabel(f"nominal coverage, % (region of the {by} value)")
        drawn.title("observed coverage, %")
        drawn.legend()
    return drawn.svg


def _in_words(name: str, quantiles: NDArray[np.float64]) -> str:
    return f"{name} {', '.join(number(value) for value in quantiles.tolist())}"


def _held(region: str, confidence: float, one: Coverage) -> str:
    low, high = one.coverage.low, one.coverage.high
    band = "" if low is None or high is None else f" ({percent(low)} to {percent(high)})"
    return f"{region}, {one.n:,} rows: nominal {percent(confidence)}, observed {percent(one.coverage.value)}{band}"
