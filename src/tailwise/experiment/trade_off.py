"""The trade-off between common and rare values that one trained model offers, and how well its distributions hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.distributions.decisions import Decision, Dial
from tailwise.distributions.label_density import SmoothedDensity, Target
from tailwise.distributions.outputs_dial import AnyDial
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.scores import DistributionScores, score_regions
from tailwise.distributions.vector_predictive import AnyPredictive
from tailwise.labels.shots import Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import error_sizes, in_units
from tailwise.metrics.region_errors import error_as_rows_come, region_errors, region_rows

BALANCES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEVELS = (0.5, 0.9, 0.99)  # of training labels below the thresholds whose exceedance is judged
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class TradeOffPoint:
    """Errors of the decisions at one balance.

    Args:
        balance: from 0 (labels as they come) to 1 (every value equally likely).
        pred: ``(n,)`` or ``(n, K)`` decisions, target units; empty of maps, which are large.
        mae: mean absolute error of each region that has rows, with a 95 % interval.
        bias: mean of predicted minus true value of each region, of one target.
        bmae: mean over bins of each bin's mean absolute error.
        as_rows_come: mean absolute error of rows as they come; ``None`` of maps, where it is not measured.
    """

    balance: float
    pred: NDArray[np.float64]
    mae: Mapping[str, Interval]
    bias: Mapping[str, float]
    bmae: float
    as_rows_come: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the decisions."""
        mae = {name: value.to_json() for name, value in self.mae.items()}
        come = {} if self.as_rows_come is None else {"as_rows_come": self.as_rows_come}
        return {"balance": self.balance, **come, "mae": mae, "bias": dict(self.bias), "bmae": self.bmae}

    @property
    def shown(self) -> Mapping[str, Interval]:
        """Errors of a table of the dial: as rows come in place of those of all rows, where it is measured."""
        if self.as_rows_come is None:
            return self.mae
        regions = {name: value for name, value in self.mae.items() if name != "all"}
        return {"as rows come": Interval(self.as_rows_come), **regions}


@dataclass(frozen=True)
class TradeOff:
    """Errors by region that one model offers at several balances, and scores of its distributions.

    Args:
        balance: of the model's own predictions.
        points: errors by region at several balances, increasing.
        scores: scores of the distributions by region, given labels spread as those of the rows; of one target.
    """

    balance: float
    points: tuple[TradeOffPoint, ...]
    scores: Mapping[str, DistributionScores]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "balance": self.balance,
            "curve": [point.to_json() for point in self.points],
            "scores": {name: scores.to_json() for name, scores in self.scores.items()},
        }


def trade_off(
    y_true: NDArray[np.float64],
    predictive: AnyPredictive,
    dial: AnyDial,
    shots: Shots,
    *,
    balance: float = 0.0,
    balances: Sequence[float] = BALANCES,
    spread: ArrayLike | None = None,
    weight: NDArray[np.float64] | None = None,
) -> TradeOff:
    """Decide at several balances and measure the errors by region.

    Args:
        y_true: ``(n,)`` or ``(n, K)`` labels of rows that neither the model nor its distributions were fitted to.
        predictive: their distributions.
        dial: of the training labels.
        shots: regions, from training labels.
        balance: of the model's own predictions.
        balances: where to decide; the model's own is added.
        spread: labels spread as those of the rows, where these do not come as the training rows do (a balanced split):
            the distributions are scored as tilted by this density.
        weight: ``(n,)`` how much each row counts in all errors and scores.

    Example:
        >>> from tailwise.distributions import Mixture
        >>> y = np.random.default_rng(0).exponential(10.0, 2000)
        >>> rows = Mixture(np.ones((2000, 1)), (5 + 0.5 * y)[:, None], np.full((2000, 1), 4.0))
        >>> curve = trade_off(y, rows, Dial.from_labels(y), Shots.from_labels(y), balances=(0, 1))
        >>> [round(point.mae["few"].value, 1) for point in curve.points]
        [26.4, 24.7]
    """
    masks, points = region_rows(y_true, shots), []
    labels: Any = dial  # its distributions are of as many targets
    for value in sorted({*balances, balance}):
        pred = Decision(balance=value).of(predictive, labels)
        errors = region_errors(y_true, pred, shots, sample_weight=weight)
        sizes = error_sizes(*in_units(y_true, pred, shots.bins))
        points.append(
            TradeOffPoint(
                float(value),
                pred,
                {
                    name: _mean(sizes[mask], None if weight is None else weight[mask])
                    for name, mask in masks.items()
                    if mask.any()
                },
                {name: error["bias"] for name, error in errors.items() if "bias" in error},
                errors["all"]["bmae"],
                error_as_rows_come(y_true, pred, shots, sample_weight=weight),
            )
        )
    scores: Mapping[str, DistributionScores] = {}
    if isinstance(predictive, Predictive) and isinstance(dial, Dial):
        density = None if spread is None else _density(spread, dial, shots, weight)
        scored = predictive if density is None else dial.tilted(predictive, density=density)
        scores = score_regions(scored, y_true, masks, thresholds=_thresholds(dial), sample_weight=weight)
    return TradeOff(balance, tuple(points), scores)


def _density(spread: ArrayLike, dial: Dial, shots: Shots, weight: NDArray[np.float64] | None) -> Target:
    """Return the density of labels, counted by the weights of their rows."""
    labels = np.asarray(spread)
    if weight is None:
        return labels
    return SmoothedDensity.from_labels(labels, shots.scalar_bins, lds=dial.density.lds, sample_weight=weight)


def _mean(errors: NDArray[np.float64], weight: NDArray[np.float64] | None) -> Interval:
    """Return the mean with its 95 % interval by the central limit theorem, cut off at 0: few errors may vary widely."""
    mean = float(np.average(errors, weights=weight))
    if errors.size < 2:
        return Interval(mean)
    if weight is not None:
        half = _NORMAL_95 * float(np.sqrt(np.sum((weight / weight.sum() * (errors - mean)) ** 2)))
        return Interval(mean, max(mean - half, 0.0), mean + half)
    half = _NORMAL_95 * float(errors.std(ddof=1)) / np.sqrt(errors.size)
    return Interval(mean, max(mean - half, 0.0), mean + half)


def _thresholds(dial: Dial) -> list[float]:
    """Return edges of cells below which about half, 90 % and 99 % of the training labels lie."""
    density = dial.density
    inner, below = density.edges[1:-1], density.counts.cumsum()[:-1] / density.counts.sum()
    if not inner.size:
        return []
    return sorted({float(inner[np.abs(below - level).argmin()]) for level in _LEVELS})
