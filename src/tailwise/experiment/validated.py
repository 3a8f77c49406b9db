"""What is fitted to a model's predictions of held-out rows: correction, dial, distributions, balance, intervals."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.protocol import OutOfFold
from tailwise.calibration.corrections import Correction, FitsCorrection, Fitting
from tailwise.calibration.intervals import RegionIntervals
from tailwise.data.task import Task
from tailwise.distributions.atoms import atoms_of
from tailwise.distributions.conditional import FEWEST, ConditionalDensity
from tailwise.distributions.decisions import Decision, Dial
from tailwise.distributions.dialed import weights_as_rows_come
from tailwise.distributions.outputs_dial import OutputsDial
from tailwise.distributions.vector_dial import VectorDial
from tailwise.experiment.balance_choice import choose_balance
from tailwise.experiment.held_out import HeldOut
from tailwise.experiment.leaderboard import RIVALS, Leaderboard
from tailwise.experiment.row_predictions import Predictions, one_target
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.output_bins import OutputBins

if TYPE_CHECKING:
    from tailwise.experiment.model import FittedModel

Floats = NDArray[np.float64]

_FOLDS = 5


@dataclass(frozen=True)
class _Known:
    """Labels, weights and predictions of the rows that the model was not trained on, and the training labels."""

    y_train: Floats
    weight_train: Floats | None
    y: Floats
    weight: Floats | None
    raw: Predictions


def validated(
    model: "FittedModel",
    task: Task,
    correction: FitsCorrection | None = None,
    *,
    intervals: bool = True,
    out_of_fold: OutOfFold | None = None,
    within: float | None = None,
) -> "tuple[FittedModel, Predictions]":
    """Return a model with what is fitted to its predictions of held-out rows, and those of the validation rows.

    Args:
        model: a model without any of it.
        task: the task it was trained on.
        correction: ``fit(fitting)``, see :mod:`tailwise.calibration.corrections`; intervals are those of corrected
            predictions.
        intervals: whether to calibrate intervals; several targets have none.
        out_of_fold: predictions of other rows than the validation rows, by models that were not trained on them.
        within: choose the balance, see :func:`tailwise.experiment.balance_choice.choose_balance`.
    """
    known = _known(model, task, out_of_fold)
    y, raw, pred, fitted = known.y, known.raw, known.raw.pred, None
    if correction is not None:
        fitted, pred = _corrected(known, task, correction)
        raw = Predictions(fitted(raw.pred), raw.std, raw.features)
    model = replace(model, correction=fitted)
    if len(model.schema.targets) > 1:
        return replace(model, dial=_dial_of_targets(known, task)), raw
    dial = Dial.from_labels(known.y_train, task.shots.scalar_bins, sample_weight=known.weight_train)
    atoms = None if model.censoring is not None else atoms_of(known.y_train, model.transform)
    model = replace(model, dial=dial, atoms=atoms)
    held, own = None, one_target(raw.predictive)
    if intervals and len(y) >= FEWEST:
        weight = weights_as_rows_come(y, dial.density, task.shots.scalar_bins, sample_weight=known.weight)
        if correction is not None or own is None:
            model = replace(model, conditional=_density_given(model, pred, y, weight))
        balanced = (task.split == "balanced" and out_of_fold is None) or known.weight is not None
        held = HeldOut(y, pred, weight, balanced, own, model.atoms, model.transform)
        model = replace(model, atoms=held.calibrated_atoms(), held_out=held.thinned())
    raw = replace(raw, std=model.spread(raw.std, own, raw.pred))
    if held is not None and (model.balance > 0 or within is not None or own is not None):
        raw = replace(raw, predictive=held.distributions)
    choice, own = None, one_target(raw.predictive)
    if within is not None and own is not None and len(y) >= 2 * FEWEST:
        plain = None
        if out_of_fold is not None:
            rivals = {out_of_fold.plain, *RIVALS}
            plain = np.stack([point for name, point in out_of_fold.points.items() if name in rivals])
        choice = choose_balance(y, own, dial, task.shots, plain=plain, within=within, weight=known.weight)
        model = replace(model, balance=choice.balance)
    pred = model.decided(replace(raw, pred=pred), Decision())
    if out_of_fold is not None:
        leaderboard = Leaderboard.of(y, pred, out_of_fold.points, task.shots, choice, known.weight, model.censoring)
        model = replace(model, leaderboard=leaderboard)
    if intervals:
        model = replace(model, intervals=RegionIntervals.fit(y, pred, task.shots, sample_weight=known.weight))
    return model, raw if out_of_fold is None else raw.of_rows((task.part == "val")[out_of_fold.rows])


def _known(model: "FittedModel", task: Task, out_of_fold: OutOfFold | None) -> _Known:
    if out_of_fold is None:
        rows, y = task.rows_of("val")
        raw = replace(model, correction=None).predictions(rows, predictive=True)
        return _Known(task.rows_of("train")[1], task.weight_of("train"), y, task.weight_of("val"), raw)
    y = task.y[out_of_fold.rows]
    weight = None if task.weight is None else task.weight[out_of_fold.rows]
    outputs = out_of_fold.outputs
    return _Known(y, weight, y, weight, Predictions(outputs.pred, outputs.std, None, outputs.predictive))


def _corrected(known: _Known, task: Task, correction: FitsCorrection) -> tuple[Correction, Floats]:
    """Return the correction, and predictions of the rows it was fitted to: each fold corrected by the others.

    It would be too good on its own rows.
    """
    pred = known.raw.pred

    def fit_to(chosen: NDArray[np.bool_]) -> Correction:
        weight = None if known.weight is None else known.weight[chosen]
        of_rows = Fitting(known.y_train, task.shots.scalar_bins, known.y[chosen], pred[chosen], weight)
        result = correction.fit(of_rows)
        return result

    fitted = fit_to(np.ones(len(pred), dtype=bool))
    fold = np.arange(len(pred)) % _FOLDS if len(pred) >= 2 * _FOLDS else np.zeros(len(pred), dtype=np.int64)
    crossed = pred.copy()
    for i in range(int(fold.max()) + 1):
        crossed[fold == i] = (fit_to(fold != i) if fold.max() else fitted)(pred[fold == i])
    return fitted, crossed


def _dial_of_targets(known: _Known, task: Task) -> VectorDial | OutputsDial | None:
    """Return the dial of several targets; ``None`` of a model without joint distributions."""
    bins = task.shots.bins
    if known.raw.predictive is None or not len(known.raw.pred):
        return None
    if isinstance(bins, BinGrid):
        return VectorDial.from_labels(known.y_train, bins, sample_weight=known.weight_train)
    axes = bins.axes if isinstance(bins, OutputBins) else None
    return OutputsDial.from_labels(known.y_train, axes, sample_weight=known.weight_train)


def _density_given(model: "FittedModel", pred: Floats, y: Floats, weight: Floats) -> ConditionalDensity:
    """Return the density of labels given predictions, of a transformed target in its units."""
    transform = model.transform
    labels, at = (values if transform is None else transform.forward(values) for values in (y, pred))
    return ConditionalDensity.fit(labels, at, sample_weight=weight)
