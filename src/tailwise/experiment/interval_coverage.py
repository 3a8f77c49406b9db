"""Coverage of a model's intervals, around predictions and of distributions, by the region of the true value."""

import warnings

import numpy as np
from numpy.typing import NDArray

from tailwise.distributions.decisions import Decision, Dial
from tailwise.distributions.dialed import weights_as_rows_come
from tailwise.experiment.model import FittedModel
from tailwise.experiment.row_predictions import Predictions
from tailwise.labels.shots import Shots
from tailwise.metrics.coverage import CONFIDENCE, MeasuredIntervals, weighted_coverage
from tailwise.metrics.region_errors import region_rows

BALANCES = (0.0, 1.0)


def measured_intervals(
    model: FittedModel,
    y_true: NDArray[np.float64],
    known: Predictions,
    ends: NDArray[np.float64] | None,
    shots: Shots,
    *,
    balanced: bool,
    row_weight: NDArray[np.float64] | None = None,
) -> tuple[MeasuredIntervals, ...]:
    """Measure the intervals around predictions, and those of the distributions at a balance of 0, 1 and the model's.

    Args:
        model: a fitted model of one target.
        y_true: ``(n,)`` labels of rows that are not the model's validation rows.
        known: the model's predictions of these rows, with distributions.
        ends: ``(n, 2)`` ends of the model's own intervals, if there are some: of a model without distributions of its
            own those around predictions.
        shots: regions.
        balanced: whether the rows are those of a balanced split, and must be weighted to resemble rows as they come.
        row_weight: ``(n,)`` how much each row counts.
    """
    dial = model.dial
    weight = row_weight
    if balanced and isinstance(dial, Dial):
        weight = weights_as_rows_come(y_true, dial.density, shots.scalar_bins, sample_weight=row_weight)
    kinds = {} if ends is None or model.has_own_intervals else {"around predictions": ends}
    if model.has_decision_intervals and known.predictive is not None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "intervals of confidence")  # infinite ones are infinite in the table
            for balance in sorted({*BALANCES, model.balance}):
                name = f"of distributions, balance {balance:g}"
                kinds[name] = model.intervals_of_decision(known, Decision(balance=balance), CONFIDENCE)
    masks = {name: rows for name, rows in region_rows(y_true, shots).items() if name != "all"}
    measured = []
    for name, (low, high) in ((name, one.T) for name, one in kinds.items()):
        whole = weighted_coverage(y_true, low, high, weight)
        by_true = {
            region: weighted_coverage(
                y_true[rows], low[rows], high[rows], None if row_weight is None else row_weight[rows]
            )
            for region, rows in masks.items()
        }
        if whole is not None:
            present = {region: one for region, one in by_true.items() if one is not None}
            measured.append(MeasuredIntervals(name, whole, present))
    return tuple(measured)
