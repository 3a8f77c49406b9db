"""The page of a run: one self-contained page."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from tailwise.experiment.leaderboard import Leaderboard, Standing
from tailwise.experiment.trade_off import TradeOff
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.coverage import CONFIDENCE, MeasuredIntervals, RegionCoverage
from tailwise.metrics.region_metrics import DISTANCE_METRICS, METRICS, RegionMetrics, dimension_metrics, region_metrics
from tailwise.report.against import FEWEST_TO_SPEAK, HEADLINES, Comparison, OtherRun
from tailwise.report.cell_charts import cell_error_chart, cells_chart
from tailwise.report.charts import density_chart, error_chart, scatter_chart, training_chart
from tailwise.report.features import FeatureMap, map_chart, similarity_chart
from tailwise.report.kept_epoch import why_stopped
from tailwise.report.rendering import render
from tailwise.report.run_answer import answer
from tailwise.report.trade_off_charts import (
    dial_data,
    exchange_chart,
    exchange_regions,
    pit_chart,
    reliability_chart,
    trade_off_chart,
)
from tailwise.report.trust_charts import calibration_chart, residual_chart

if TYPE_CHECKING:
    from tailwise.experiment.worst_rows import WorstRows


_FEW_TARGETS = 3  # whose errors by region stand side by side


def run_page(
    *,
    title: str,
    target: str,
    method: str,
    data: str,
    rows: Mapping[str, int],
    split: str,
    shots: Shots,
    regions: Mapping[str, RegionMetrics],
    y_true: NDArray[np.float64],
    y_pred: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
    history: list[dict[str, Any]],
    notes: list[str],
    other: OtherRun | None = None,
    rival: OtherRun | None = None,
    changes: Mapping[str, Comparison] | None = None,
    coverage: Mapping[str, RegionCoverage] | None = None,
    shared: Sequence[str] = (),
    levels: Mapping[float, Mapping[str, RegionCoverage]] | None = None,
    features: FeatureMap | None = None,
    targets: Sequence[str] = (),
    trade_off: TradeOff | None = None,
    leaderboard: Leaderboard | None = None,
    references: Sequence[Standing] = (),
    outputs: Sequence[Standing] = (),
    worst: "WorstRows | None" = None,
    balance: float = 0.0,
    as_rows_come: Interval | None = None,
    beaten_by_constant: str = "",
    intervals: Sequence[MeasuredIntervals] = (),
    own_intervals: bool = False,
) -> str:
    """Return the page of a finished run as HTML text.

    Args:
        title: title of the page.
        target: name of the target column, the unit of the errors.
        method: method string.
        data: name of the table.
        rows: number of rows by part.
        split: name of the split.
        shots: bins and regions.
        regions: metrics on the test rows.
        y_true: test labels, ``(n,)`` or ``(n, K)``.
        y_pred: test predictions.
        weight: how much each test row counts, ``(n,)``.
        history: records of the epochs.
        notes: notes for the user.
        other: another run on the same test rows, shown next to this one.
        rival: a plain model on the same test rows, where no other run is shown.
        changes: comparison with the other run or the rival, by region and headline.
        coverage: coverage of the intervals at the run's confidence level, by region.
        shared: groups of regions whose intervals are calibrated together, as text.
        levels: coverage by region at several confidence levels.
        features: features of test rows.
        targets: names of the targets.
        trade_off: errors by region at several balances, and scores of the distributions.
        leaderboard: out-of-fold errors of a stack and its experts.
        worst: test rows with the largest errors.
        outputs: errors of each of several targets alone.
        references: errors of this model, of plain LightGBM and of a constant on the test rows.
        balance: of the predictions.
        as_rows_come: error of rows as they come.
        beaten_by_constant: a sentence if a constant has a lower error as rows come.
        intervals: coverage of each kind of intervals.
        own_intervals: whether the model's intervals are those of distributions that it predicts itself.
    """
    beside = other or rival
    name, beside_name = (method, "") if beside is None else beside.names(method, masked=shots.gaps is not None)
    runs = [(name, y_pred)]
    others: Mapping[str, RegionMetrics] = {}
    if beside is not None:
        runs.append((beside_name, beside.y_pred))
        others = region_metrics(y_true, beside.y_pred, shots, sample_weight=weight)
    steps = "epochs" if any(line.get("terms") for line in history) else "rounds"
    several = y_true.ndim > 1
    few_targets = len(targets) <= _FEW_TARGETS and not isinstance(shots.bins, OutputBins)
    metrics = DISTANCE_METRICS if several else METRICS
    known = {key for region in regions.values() for key in region.metrics}
    pictures: dict[str, str] = {}
    if not several:
        pictures |= {
            "size": error_chart(y_true, runs, shots, target, show="size", weight=weight),
            "sign": error_chart(y_true, runs, shots, target, weight=weight),
            "scatter": scatter_chart(y_true, y_pred, shots, target),
            "residuals": residual_chart(y_true, runs, shots, target),
            "density": density_chart(shots, target),
        }
    elif isinstance(shots.bins, BinGrid) and len(targets) == len(("x", "y")):
        pictures |= {
            "cells": cells_chart(shots, targets),
            "cell_errors": cell_error_chart(y_true, y_pred, shots, targets),
        }
    if len(history) > 1 and leaderboard is None:  # the records of a stack are folds, not steps of a training
        pictures["training"] = training_chart(history, target, steps.rstrip("s"), error=metrics["mae"][0])
    if levels:
        pictures |= {"predicted": calibration_chart(levels), "true": calibration_chart(levels, by="true")}
    if features is not None:
        pictures |= {"map": map_chart(features, target), "similarity": similarity_chart(features, target)}
    if trade_off is not None:
        pictures["trade_off"] = trade_off_chart(trade_off)
        if exchange_regions(trade_off) is not None:
            pictures["exchange"] = exchange_chart(trade_off, y_true, runs, shots, weight)
    if trade_off is not None and not several:
        pictures["pit"] = pit_chart(trade_off.scores)
        if trade_off.scores["all"].reliability:
            pictures["reliability"] = reliability_chart(trade_off.scores["all"], target)
    return render(
        "run.html",
        trade_off=trade_off,
        leaderboard=leaderboard,
        references=references,
        outputs=outputs,
        worst=worst,
        balance=balance,
        as_rows_come=as_rows_come,
        beaten_by_constant=beaten_by_constant,
        intervals=intervals,
        own_intervals=own_intervals,
        dial=None if trade_off is None or several else dial_data(y_true, trade_off, shots, weight),
        title=title,
        target=target,
        method=method,
        name=name,
        other_name="" if other is None else beside_name,
        beside_name=beside_name,
        answer=answer(regions, target, changes or {}, others, beside_name, leaderboard),
        headlines=HEADLINES,
        fewest=FEWEST_TO_SPEAK,
        data=data,
        rows=rows,
        split=split,
        shots=shots,
        region_names=list(regions),
        regions=regions,
        no_rare_tested=not_tested(regions, shots),
        others=others,
        metrics=metrics,
        shown_metrics={key: about for key, about in metrics.items() if key != "sera" and key in known},
        few_targets=few_targets,
        unit=f"units of {target}" if few_targets else "standard deviations of the targets",
        by_target=_by_target(y_true, y_pred, shots, targets, weight) if several else {},
        history=history,
        steps=steps,
        stopped="" if leaderboard else why_stopped(history, steps.rstrip("s")),
        stages=1 + sum(line["stage"] != before["stage"] for before, line in pairwise(history)),
        notes=notes,
        changes=changes or {},
        coverage=coverage,
        confidence=CONFIDENCE,
        shared=shared,
        charts={chart: Markup(svg) for chart, svg in pictures.items()},
        features=features,
        alike="" if features is None else " to ".join(f"{end:.2f}" for end in features.span),
        n=len(y_true),
    )


def not_tested(regions: Mapping[str, RegionMetrics], shots: Shots) -> bool:
    """Return whether training rows are few-shot, and no test row is few-shot or zero-shot."""
    tested = sum(regions[name].n for name in ("few", "zero") if name in regions)
    return "few" in regions and not tested and bool((shots.bin_codes[shots.counts > 0] == REGIONS.index("few")).any())


def _by_target(
    y_true: NDArray[np.float64],
    y_pred: NDArray[np.float64],
    shots: Shots,
    targets: Sequence[str],
    weight: NDArray[np.float64] | None,
) -> dict[str, tuple[Mapping[str, RegionMetrics], Markup]]:
    """Return, for each of several targets, its errors by region and its chart of predicted against true values."""
    codes = shots.codes(y_true)
    resamples = 1000 if isinstance(shots.bins, BinGrid) else 0
    metrics = dimension_metrics(y_true, y_pred, shots, sample_weight=weight, resamples=resamples)
    return {
        name: (metrics[j], Markup(scatter_chart(y_true[:, j], y_pred[:, j], shots, name, codes=codes)))
        for j, name in enumerate(targets)
    }
