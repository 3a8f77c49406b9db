"""Charts of a run: rows by bin, errors by target value, predictions against true values, training."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.labels.shots import REGIONS, Shots
from tailwise.report.bands import Bands
from tailwise.report.drawing import INK, OTHER, OURS, REGION_COLORS, Drawing, drawing, short
from tailwise.report.kept_epoch import kept_epoch

Array = NDArray[np.float64]

_MOST_COLUMNS = 250
_FAINTEST = 0.2
_HEXAGONS = 36, 13  # regular ones in the shape of the axes
_MOST_ROOM = 0.2  # of the range of the means, for intervals that reach beyond it
_WAYS = {"size": "mean absolute error", "sign": "mean error (predicted − true)"}


def density_chart(shots: Shots, target: str) -> str:
    """Draw the training rows in each bin, coloured by region; removed ranges are hatched."""
    names = [REGIONS[code] for code in shots.bin_codes]
    gaps = () if shots.gaps is None else shots.gaps.ranges
    return rows_chart(shots.scalar_bins.edges, shots.counts, names, (shots.many, shots.few), target, removed=gaps)


def rows_chart(
    edges: Sequence[float] | NDArray[Any],
    counts: Sequence[int] | NDArray[np.int64],
    regions: Sequence[str],
    thresholds: tuple[float, float],
    target: str,
    *,
    smoothed: Sequence[float] = (),
    removed: Sequence[tuple[float, float]] = (),
    rows: str = "training rows",
) -> str:
    """Draw rows by bin, coloured by region, with the thresholds of the regions; very many bins are averaged in groups.

    Args:
        edges: ``(n_bins + 1,)`` target units.
        counts: ``(n_bins,)`` rows.
        regions: ``(n_bins,)`` region of each bin.
        thresholds: rows above which a bin is many-shot, below which few-shot.
        target: name of the target.
        smoothed: ``(n_bins,)`` LDS curve; empty for none.
        removed: ranges to hatch.
        rows: name of what is counted.
    """
    edge, count, name = np.asarray(edges, dtype=np.float64), np.asarray(counts), np.asarray(regions)
    top = int(count.argmax())
    each = ", ".join(f"{count[name == r].sum():,} where they are {r}" for r in REGIONS[:3] if (name == r).any())
    alt = (
        f"{rows.capitalize()} in {count.size:,} bins of {target} from {number(edge[0])} to {number(edge[-1])}: {each}; "
        f"{(count == 0).sum()} bins have none. The fullest, {_between(edge, top)}, has {count[top]:,}."
    )
    curve = np.asarray(smoothed, dtype=np.float64)
    together = -(-count.size // _MOST_COLUMNS)
    if together > 1:
        first = np.arange(0, count.size, together)
        edge = np.append(edge[first], edge[-1])
        count, curve = (_mean_of(values, first) for values in (count, curve))
        name = np.select([count == 0, count > thresholds[0], count < thresholds[1]], ["zero", "many", "few"], "medium")
    center, width = (edge[:-1] + edge[1:]) / 2, np.diff(edge)
    with drawing(alt) as drawn:
        axes = drawn.axes
        for region, color in REGION_COLORS.items():
            in_region = name == region
            if region == "zero" and in_region.any():
                axes.bar(
                    center[in_region],
                    0.025,
                    width[in_region],
                    color=color,
                    linewidth=0,
                    transform=axes.get_xaxis_transform(),
                    label="no row",
                )
            elif in_region.any():
                axes.bar(
                    center[in_region], count[in_region], width[in_region] * 0.92, color=color, linewidth=0, label=region
                )
        if curve.size:
            axes.plot(center, curve, color=INK, linewidth=1.4, label="LDS curve")
        for low, high in removed:
            axes.axvspan(max(low, edge[0]), min(high, edge[-1]), facecolor="none", edgecolor=INK, hatch="//", alpha=0.5)
        axes.set_yscale("symlog", linthresh=10)
        for threshold in thresholds:
            axes.axhline(threshold, color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
        for i in range(count.size):
            also = f", smoothed {number(curve[i])}" if curve.size else ""
            exact = number(count[i]) if together > 1 else f"{count[i]:,}"
            rows_of_bin = "no row" if count[i] == 0 else f"{exact} row{'s' if count[i] != 1 else ''}, {name[i]}"
            drawn.tell(center[i], count[i], f"{_between(edge, i)}: {rows_of_bin}{also}")
        axes.margins(x=0.01)
        axes.set_xlabel(short(target))
        drawn.title(f"{rows} a bin" + (f" (mean of {together} bins)" if together > 1 else ""))
        drawn.legend()
    return drawn.svg


def _mean_of(values: NDArray[Any], first: NDArray[np.int64]) -> Array:
    """Return the mean of each run of values, given where the runs begin."""
    if not values.size:
        return values
    return np.asarray(np.add.reduceat(values, first) / np.diff(first, append=values.size))


def error_chart(
    y_true: Array,
    runs: Sequence[tuple[str, Array]],
    shots: Shots,
    target: str,
    *,
    show: Literal["size", "sign"] = "sign",
    weight: Array | None = None,
) -> str:
    """Draw the mean error by target value, signed or absolute, with 95 % intervals of the mean.

    Args:
        y_true: ``(n,)`` labels.
        runs: name and predictions of one or two runs.
        shots: regions.
        target: name of the target.
        show: ``"size"`` for absolute errors, ``"sign"`` for signed ones.
        weight: ``(n,)`` how much each row counts.
    """
    bands = Bands.of(y_true, shots, weight)
    counts, centers = bands.counts, bands.centers
    filled = np.flatnonzero(counts)
    means, words = [], []
    for name, y_pred in runs:
        error = y_pred - y_true
        mean, spread = bands.mean(np.abs(error) if show == "size" else error)
        means.append((name, mean, 1.96 * spread))
        low, high = filled[np.argmin(mean[filled])], filled[np.argmax(mean[filled])]
        words.append(
            f"{name} from {number(mean[low])} (true value {bands.name(low)}) to {number(mean[high])} "
            f"({bands.name(high)})"
        )
    with drawing(f"{_WAYS[show].capitalize()} by true {target}: {'; '.join(words)}.") as drawn:
        axes = drawn.axes
        for (name, mean, half), color, line, mark in zip(means, (OURS, OTHER), ("-", "--"), ("o", "s"), strict=False):
            m, h = mean[filled], half[filled]
            axes.fill_between(centers[filled], m - h, m + h, color=color, alpha=0.18, linewidth=0)
            axes.plot(
                centers[filled], m, color=color, linestyle=line, marker=mark, markersize=3.5, linewidth=1.6, label=name
            )
        for i in filled.tolist():
            each = "; ".join(f"{_named(runs, name)}{_with_band(mean[i], half[i])}" for name, mean, half in means)
            rows = "1 row" if counts[i] == 1 else f"{counts[i]:,} rows"
            drawn.tell(centers[i], means[0][1][i], f"{bands.name(i)} ({rows}): {each}")
        if show == "sign":
            axes.axhline(0, color=INK, linewidth=0.9)
        low, high = _limits([(mean[filled], half[filled]) for _, mean, half in means])
        axes.set_ylim(0 if show == "size" else low, high)
        axes.set_xlabel(short(f"true {target}"))
        drawn.title(_WAYS[show])
        drawn.legend(1)
    return drawn.svg


def _limits(means: Sequence[tuple[Array, Array]]) -> tuple[float, float]:
    """Return the ends of an axis for means, 0 and their intervals, as far as these do not squash the means."""
    every = np.concatenate([[0.0], *(mean for mean, _ in means)])
    ends = np.concatenate([every, *(mean + side * half for mean, half in means for side in (-1, 1))])
    low, high = float(every.min()), float(every.max())
    room = _MOST_ROOM * (high - low or 1.0)
    pad = 0.04 * (high - low or 1.0)
    return max(float(np.nanmin(ends)), low - room) - pad, min(float(np.nanmax(ends)), high + room) + pad


def scatter_chart(
    y_true: Array, y_pred: Array, shots: Shots, target: str, *, codes: NDArray[np.int64] | None = None
) -> str:
    """Draw predicted against true values: rows in each hexagon, in the colour of the rarest; the more, the stronger.

    Args:
        y_true: ``(n,)`` labels.
        y_pred: ``(n,)`` predictions.
        shots: regions.
        target: name of the target.
        codes: ``(n,)`` region of each row as an index into ``REGIONS``; by default that of its label.
    """
    low, high = float(min(y_true.min(), y_pred.min())), float(max(y_true.max(), y_pred.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    above = float((y_pred > y_true).mean())
    alt = (
        f"Predicted against true {target} of {y_true.size:,} rows: true values from {number(y_true.min())} to "
        f"{number(y_true.max())}, predictions from {number(y_pred.min())} to {number(y_pred.max())}; "
        f"{100 * above:.0f} % of the predictions are too high."
    )
    with drawing(alt, 5.6, 4.2, grid="both", near="xy") as drawn:
        axes = drawn.axes
        grid = {"gridsize": _HEXAGONS, "extent": (low, high) * 2, "mincnt": 1}
        of_row = shots.codes(y_true) if codes is None else codes
        rarest = axes.hexbin(y_true, y_pred, C=of_row, reduce_C_function=np.max, **grid)
        of_cell = np.asarray(REGIONS)[np.asarray(rarest.get_array()).astype(int)]
        rarest.remove()
        cells = axes.hexbin(y_true, y_pred, **grid)
        count, places = np.asarray(cells.get_array()), cells.get_offsets()
        share = np.log1p(count) / np.log1p(count.max())
        faces = [
            to_rgba(REGION_COLORS[region], _FAINTEST + (1 - _FAINTEST) * part)
            for region, part in zip(of_cell, share, strict=True)
        ]
        cells.set_array(None)
        cells.set(facecolor=faces, edgecolor="none")
        axes.plot([low, high], [low, high], color=INK, linewidth=1)
        for region in REGIONS:
            if (of_cell == region).any():
                axes.scatter([], [], marker="h", s=40, color=REGION_COLORS[region], linewidth=0, label=region)
        for (x, y), n in zip(places, count.astype(int), strict=True):
            rows = "1 row" if n == 1 else f"{n:,} rows"
            drawn.tell(x, y, f"true about {number(x)}, predicted about {number(y)}: {rows}")
        pad = 0.03 * (high - low)
        axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
        axes.set_xlabel(short(f"true {target}"))
        drawn.title(f"predicted {target}")
        drawn.legend()
    return drawn.svg


def training_chart(history: Sequence[dict[str, Any]], target: str, step: str = "epoch", *, error: str = "MAE") -> str:
    """Draw the validation error by region over the epochs, with lines where a stage begins and at the kept epoch.

    Args:
        history: records of the epochs.
        target: name of the target.
        step: name of a step: epoch, or round of boosting.
        error: name of the error.
    """
    epochs = np.arange(1, len(history) + 1)
    errors = {r: np.array([line["validation"].get(r, np.nan) for line in history]) for r in REGIONS}
    errors = {region: values for region, values in errors.items() if np.isfinite(values).any()}
    each = []
    for region, values in errors.items():
        seen = values[np.isfinite(values)]
        each.append(f"{region} from {number(seen[0])} to {number(seen[-1])}, lowest {number(seen.min())}")
    with drawing(f"Validation {error} over {len(history)} {step}s: {'; '.join(each)}.") as drawn:
        axes = drawn.axes
        for region, values in errors.items():
            alone = "o" if np.isfinite(values).sum() == 1 else None  # no line joins a single point
            axes.plot(epochs, values, color=REGION_COLORS[region], linewidth=1.6, marker=alone, label=region)
        for start in [i for i in range(1, len(history)) if history[i]["stage"] != history[i - 1]["stage"]]:
            axes.axvline(start + 0.5, color=INK, linewidth=0.9, linestyle="--")
        kept = kept_epoch(history)
        if kept is not None:
            axes.axvline(kept + 1, color=OURS, linewidth=1.4, linestyle=":", label=f"kept: {step} {kept + 1}")
        _tell_epochs(drawn, errors, step)
        axes.set_ylim(bottom=0)
        axes.set_xlim(0.5, len(history) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.set_xlabel(step)
        drawn.title(f"validation {error} ({target})")
        drawn.legend()
    return drawn.svg


def _tell_epochs(drawn: Drawing, errors: dict[str, Array], step: str) -> None:
    for i in range(len(next(iter(errors.values()), ()))):
        seen = {region: values[i] for region, values in errors.items() if np.isfinite(values[i])}
        if seen:
            each = ", ".join(f"{region} {number(value)}" for region, value in seen.items())
            drawn.tell(i + 1, next(iter(seen.values())), f"{step} {i + 1}: {each}")


def _between(edges: Array, i: int) -> str:
    return f"{number(edges[i])} to {number(edges[i + 1])}"


def _named(runs: Sequence[tuple[str, Array]], name: str) -> str:
    return f"{name} " if len(runs) > 1 else ""


def _with_band(mean: float, half: float) -> str:
    if not np.isfinite(half):
        return number(mean)
    return f"{number(mean)} ({' to '.join(number(float(f'{end:.3g}')) for end in (mean - half, mean + half))})"
