"""The page of a run on maps: errors by region, examples next to their true maps, pixels by bin."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.image import imsave
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.experiment.trade_off import TradeOff
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.depth import DEPTH_METRICS
from tailwise.metrics.region_metrics import RegionMetrics
from tailwise.modalities.map_evaluation import Example
from tailwise.report.charts import rows_chart, training_chart
from tailwise.report.rendering import render
from tailwise.report.trade_off_charts import trade_off_chart

_MOST_PIXELS = 360
_ENDS = 1, 99  # percentiles at the ends of a map's colours


def dense_page(
    *,
    title: str,
    target: str,
    method: str,
    data: str,
    rows: Mapping[str, int],
    split: str,
    shots: Shots,
    regions: Mapping[str, RegionMetrics],
    examples: Sequence[Example],
    history: list[dict[str, Any]],
    notes: list[str],
    trade_off: TradeOff | None = None,
    judged: int = 0,
) -> str:
    """Return the page of a finished run as HTML text.

    Args:
        title: title of the page.
        target: name of the column of maps.
        method: method string.
        data: where the table came from.
        rows: number of images by part.
        split: kind of split.
        shots: bins and regions.
        regions: metrics on the test images.
        examples: test images to show.
        history: epochs.
        notes: notes for the user.
        trade_off: errors by region at several balances, of a model with distributions.
        judged: number of test images that these are of.
    """
    names = [REGIONS[code] for code in shots.bin_codes]
    charts = {
        "pixels": Markup(
            rows_chart(
                shots.scalar_bins.edges, shots.counts, names, (shots.many, shots.few), target, rows="training pixels"
            )
        ),
        "training": Markup(training_chart(history, target)) if len(history) > 1 else None,
        "trade_off": None if trade_off is None else Markup(trade_off_chart(trade_off)),
    }
    return render(
        "dense.html",
        title=title,
        target=target,
        method=method,
        data=data,
        rows=rows,
        split=split,
        shots=shots,
        regions=regions,
        metrics=DEPTH_METRICS,
        examples=[_shown(example) for example in examples],
        history=history,
        notes=notes,
        charts=charts,
        trade_off=trade_off,
        judged=judged,
    )


def _shown(example: Example) -> dict[str, Any]:
    """Return the pictures of an example as base64, with the values of their colours."""
    step = -(-max(example.truth.shape) // _MOST_PIXELS)
    image, truth, pred = example.image[:, ::step, ::step], example.truth[::step, ::step], example.pred[::step, ::step]
    error = pred - truth
    low, high = np.nanpercentile(np.concatenate([example.truth.ravel(), example.pred.ravel()]), _ENDS).tolist()
    size = np.abs(example.pred - example.truth)  # over all pixels: every pixel shown may be unknown
    most = max(float(np.nanpercentile(size, _ENDS[1])), 1e-12)
    return {
        "name": example.name,
        "mae": float(np.nanmean(size)),
        "pictures": [
            ("image", _png(image.transpose(1, 2, 0)), "the image"),
            ("truth", _png(truth, low, high), f"{number(low)} dark, {number(high)} bright"),
            ("prediction", _png(pred, low, high), f"{number(low)} dark, {number(high)} bright"),
            ("error", _png(error, -most, most, "RdBu"), f"too low: red, to {number(-most)}; too high: blue"),
        ],
    }


def _png(values: NDArray[Any], low: float | None = None, high: float | None = None, colours: str = "viridis") -> str:
    buffer = io.BytesIO()
    imsave(buffer, values, vmin=low, vmax=high, cmap=colours, format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
