"""The trade-off between common and rare values that one trained model of maps offers."""

from collections.abc import Sequence

import numpy as np

from tailwise.experiment.trade_off import BALANCES, TradeOff, TradeOffPoint
from tailwise.metrics.depth import DepthErrors
from tailwise.modalities.map_model import MapModel
from tailwise.modalities.map_rows import MapRows, Truths

MOST_IMAGES = 100


def map_trade_off(
    model: MapModel,
    rows: MapRows,
    *,
    balances: Sequence[float] = BALANCES,
    most: int = MOST_IMAGES,
    resamples: int = 1000,
    seed: int = 0,
) -> TradeOff:
    """Decide for the pixels of images at several balances and measure the errors by region.

    The network runs once for each image. Intervals are over images, drawn with replacement.

    Args:
        model: a model with distributions, ``model.dial`` not ``None``.
        rows: images with maps that the model was not fitted to.
        balances: where to decide; the model's own is added.
        most: number of images, spread evenly over the rows; every image where there are no more.
        resamples: bootstrap resamples; 0 for none.
        seed: of the resamples.

    Raises:
        InputError: a model without distributions, a balance outside [0, 1].
    """
    positions = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.int64))
    chosen, at = rows.select(positions), sorted({*balances, model.balance})
    errors = [DepthErrors(model.shots) for _ in at]
    for truth, maps in zip(Truths(chosen), model.at_balances(chosen, at), strict=True):
        for one, pred in zip(errors, maps, strict=True):
            one.add(truth, pred)
    points = (_point(balance, one, resamples, seed) for balance, one in zip(at, errors, strict=True))
    return TradeOff(model.balance, tuple(points), {})


def _point(balance: float, errors: DepthErrors, resamples: int, seed: int) -> TradeOffPoint:
    regions = {
        name: region.metrics for name, region in errors.metrics(resamples=resamples, seed=seed).items() if region.n
    }
    return TradeOffPoint(
        float(balance),
        np.empty(0),
        {name: metrics["mae"] for name, metrics in regions.items()},
        {name: metrics["bias"].value for name, metrics in regions.items()},
        regions["all"]["bmae"].value,
    )
