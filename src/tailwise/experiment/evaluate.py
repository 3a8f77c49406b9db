"""Evaluate a fitted model on one part of a task: predictions, errors by region, coverage, from one forward pass."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from tailwise.data.task import Task
from tailwise.distributed import gather_objects, piece
from tailwise.distributions.decisions import Decision
from tailwise.distributions.pooling import concatenate
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.vector_predictive import AnyPredictive
from tailwise.experiment.interval_coverage import measured_intervals
from tailwise.experiment.leaderboard import Leaderboard, Rival, Standing, errors_by_output
from tailwise.experiment.model import FittedModel
from tailwise.experiment.row_predictions import Predictions
from tailwise.experiment.trade_off import TradeOff, trade_off
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.censoring import Censoring
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.coverage import CONFIDENCE, MeasuredIntervals, RegionCoverage, coverage_by_region
from tailwise.metrics.headlines import as_rows_come
from tailwise.metrics.heavy_rows import notes_on_heavy_row
from tailwise.metrics.region_metrics import RegionMetrics, region_metrics
from tailwise.modalities.map_evaluation import MapEvaluation, Store, evaluate_part
from tailwise.modalities.map_model import MapModel
from tailwise.modalities.map_task import PreparedMaps

_OWN = Decision()


@dataclass(frozen=True)
class PredictedPart:
    """Predictions of the rows of one part.

    Args:
        part: ``"train"``, ``"val"`` or ``"test"``.
        row: ``(n,)`` position of each row in the source.
        y: ``(n,)`` or ``(n, K)`` targets.
        pred: ``(n,)`` or ``(n, K)`` predictions, target units.
        std: ``(n,)`` standard deviations, target units, where the model gives them.
        ends: ``(n, 2)`` low and high ends of the model's intervals, where it has some.
        features: ``(m, d)`` features of the rows that were asked for, where the model has features.
        predictive: distributions of the labels, where the model has some.
        notes: notes for the user, of the predictions.
        weight: ``(n,)`` how much each row counts; ``None`` where all count alike.
        censoring: limits at which labels are censored.
    """

    part: str
    row: NDArray[np.int64]
    y: NDArray[np.float64]
    pred: NDArray[np.float64]
    std: NDArray[np.float64] | None
    ends: NDArray[np.float64] | None
    features: NDArray[np.float64] | None
    predictive: AnyPredictive | None = None
    notes: tuple[str, ...] = ()
    weight: NDArray[np.float64] | None = None
    censoring: Censoring | None = None

    def counted(self, pred: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return predictions as errors count them: of a censored label, one beyond the limit is no error.

        Args:
            pred: other predictions of the rows; by default :attr:`pred`.
        """
        given = self.pred if pred is None else pred
        return given if self.censoring is None else self.censoring.counted(self.y, given)

    @property
    def notes_on_censored(self) -> list[str]:
        """One note on how errors of censored labels are counted; none where there are no such labels."""
        return [] if self.censoring is None else self.censoring.note(self.y)


@dataclass(frozen=True)
class Evaluation:
    """Predictions of the rows of one part and the errors that follow from them.

    Args:
        predicted: the predictions.
        regions: metrics by region.
        coverage: coverage of the intervals by region; ``None`` where there are none.
        trade_off: errors by region at several balances, and scores of the distributions; ``None`` of a
            model without distributions.
        leaderboard: out-of-fold errors of a stack and its experts; ``None`` of other models.
        balance: of the predictions.
        as_rows_come: mean absolute error of rows as they come, see :mod:`tailwise.metrics.headlines`; ``None`` of no
            rows.
        references: errors of this model, of plain LightGBM and of a constant on the same rows, if they were asked for;
            see :func:`tailwise.experiment.references.references`.
        intervals: coverage of each kind of intervals by region of the true value, of a model with distributions.
        notes: notes for the user: predictions at the limit, a row that carries much of an error, no rare row.
        rival: predictions of a plain model for the same rows, if they were asked for.
        outputs: of several targets, errors of each alone, in its own unit, bins and regions.
    """

    predicted: PredictedPart
    regions: Mapping[str, RegionMetrics]
    coverage: Mapping[str, RegionCoverage] | None
    trade_off: TradeOff | None = None
    leaderboard: Leaderboard | None = None
    balance: float = 0.0
    as_rows_come: Interval | None = None
    intervals: tuple[MeasuredIntervals, ...] = ()
    notes: tuple[str, ...] = ()
    references: tuple[Standing, ...] = ()
    rival: Rival | None = None
    outputs: tuple[Standing, ...] = ()

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return number of rows and metrics by region as plain numbers, without intervals."""
        metrics = {
            name: {"n": region.n, **{key: value.value for key, value in region.metrics.items()}}
            for name, region in self.regions.items()
        }
        if self.as_rows_come is not None:
            metrics["all"]["as_rows_come"] = self.as_rows_come.value
        return metrics

    def metrics_json(self) -> dict[str, Any]:
        """Return what ``metrics.json`` of a run holds: metrics by region with their intervals."""
        metrics: dict[str, Any] = {name: region.to_json() for name, region in self.regions.items()}
        if self.as_rows_come is not None:
            metrics["all"]["as_rows_come"] = self.as_rows_come.to_json()
        return metrics

    def _repr_html_(self) -> str:
        """Return tables for a notebook."""
        from tailwise.experiment.shown_in_notebooks import evaluation_html

        return evaluation_html(self)


def predict_part(
    model: FittedModel,
    task: Task,
    part: str,
    *,
    features_of: NDArray[np.int64] | None = None,
    known: Predictions | None = None,
) -> PredictedPart:
    """Predict the rows of a part in one pass through the model.

    On several processes each predicts its piece of the rows, and all of them get the whole.

    Args:
        model: a fitted model.
        task: the task it was fitted to, or another with the same columns.
        part: ``"train"``, ``"val"`` or ``"test"``.
        features_of: positions of the rows, within the part, whose features to keep.
        known: the model's predictions of the part, where they were made before.
    """
    (rows, y), weight = task.rows_of(part), task.weight_of(part)
    if known is None:
        positions = np.arange(len(rows))[piece(len(rows))]
        wanted = None if features_of is None else np.isin(positions, features_of)
        known = _gathered(
            model.predictions(
                rows.select(positions), features_of=wanted, predictive=_needs_distributions(model), quiet=True
            )
        )
        if part == "val" and model.conditional is not None:  # it was fitted to these rows
            known = replace(known, predictive=model.cross_fitted(y, known.pred, weight))
    pred = model.decided(known, _OWN)
    ends = None
    if model.has_own_intervals and known.predictive is not None:
        ends = model.intervals_of_decision(known, _OWN.for_questions(), CONFIDENCE)
    elif model.intervals is not None:
        ends = model.intervals_of(pred, CONFIDENCE)
    place = task.row[task.part == part]
    return PredictedPart(
        part, place, y, pred, known.std, ends, known.features, known.predictive, known.notes, weight, model.censoring
    )


def predict_rows(
    model: FittedModel,
    rows: Any,
    y: NDArray[np.float64],
    *,
    ignore_extra: bool = False,
    weight: NDArray[np.float64] | None = None,
    decision: Decision = _OWN,
) -> PredictedPart:
    """Predict rows that belong to no task, in one pass through the model, without intervals.

    Args:
        model: a fitted model.
        rows: a data frame, or rows.
        y: their targets, ``(n,)`` or ``(n, K)``.
        ignore_extra: allow columns that the model was not trained on.
        weight: ``(n,)`` how much each row counts in the errors.
        decision: what the predictions minimise, and under which balance or density; by default those of the model.

    Raises:
        InputError: a decision that the model cannot make.
    """
    predictive = decision.given or _needs_distributions(model)
    known = model.predictions(rows, predictive=predictive, ignore_extra=ignore_extra, quiet=True)
    pred = model.decided(known, decision)
    return PredictedPart(
        "new",
        np.arange(len(y)),
        y,
        pred,
        known.std,
        None,
        known.features,
        known.predictive,
        known.notes,
        weight,
        model.censoring,
    )


@overload
def evaluate(
    model: FittedModel,
    task: Task,
    part: str = "test",
    *,
    seed: int = 0,
    resamples: int = 1000,
    features_of: NDArray[np.int64] | None = None,
) -> Evaluation: ...


@overload
def evaluate(
    model: MapModel, task: PreparedMaps, part: str = "test", *, store: Store | None = None
) -> MapEvaluation: ...


def evaluate(
    model: FittedModel | MapModel,
    task: Task | PreparedMaps,
    part: str = "test",
    *,
    seed: int = 0,
    resamples: int = 1000,
    features_of: NDArray[np.int64] | None = None,
    store: Store | None = None,
) -> Evaluation | MapEvaluation:
    """Predict the rows of a part, in one pass through the model, and measure the errors by region.

    Args:
        model: a fitted model.
        task: the task it was fitted to, or another with the same columns.
        part: ``"train"``, ``"val"`` or ``"test"``.
        seed: random seed of the bootstrap.
        resamples: bootstrap resamples for the intervals of metrics; 0 for none.
        features_of: positions of the rows, within the part, whose features to keep.
        store: keeps each predicted map, of a model of maps.

    Example:
        >>> import numpy as np, pandas as pd
        >>> from tailwise.experiment.fit import fit
        >>> from tailwise.experiment.prepare import prepare
        >>> from tailwise.experiment.spec import Experiment
        >>> x = np.random.default_rng(0).normal(size=300)
        >>> task = prepare(pd.DataFrame({"x": x, "y": np.exp(x)}), "y")
        >>> evaluation = evaluate(fit(task, Experiment("vanilla", model="linear")), task)
        >>> list(evaluation.regions)
        ['all', 'many', 'medium', 'few', 'zero']
    """
    if isinstance(task, PreparedMaps):
        return evaluate_part(cast("MapModel", model), task, part, store=store)
    model = cast("FittedModel", model)
    predicted = predict_part(model, task, part, features_of=features_of)
    spread = predicted.y if task.split == "balanced" and part != "train" else None
    return measure(model, predicted, task.shots, task.relevance, spread=spread, seed=seed, resamples=resamples)


def measure(
    model: FittedModel,
    predicted: PredictedPart,
    shots: Shots,
    relevance: Relevance | None,
    *,
    spread: NDArray[np.float64] | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Evaluation:
    """Measure the errors of predictions by region.

    Args:
        model: the model that made them.
        predicted: predictions of rows with labels.
        shots: regions.
        relevance: φ of the target, if any value is extreme.
        spread: see :func:`tailwise.experiment.trade_off.trade_off`.
        seed: random seed of the bootstrap.
        resamples: bootstrap resamples for the intervals of metrics; 0 for none.
    """
    y, pred, ends, predictive = predicted.y, predicted.counted(), predicted.ends, predicted.predictive
    weight = predicted.weight
    curve: TradeOff | None = None
    intervals: tuple[MeasuredIntervals, ...] = ()
    if predictive is not None and model.has_dial and len(y):
        dial: Any = model.dial
        curve = trade_off(y, predictive, dial, shots, balance=model.balance, spread=spread, weight=weight)
        if isinstance(predictive, Predictive) and predicted.part != "val":  # the intervals are calibrated on these rows
            known = Predictions(pred, predictive=predictive)
            balanced = spread is not None
            intervals = measured_intervals(model, y, known, ends, shots, balanced=balanced, row_weight=weight)
    return Evaluation(
        predicted,
        region_metrics(y, pred, shots, relevance=relevance, resamples=resamples, seed=seed, sample_weight=weight),
        None if ends is None else coverage_by_region(y, pred, ends[:, 0], ends[:, 1], shots, sample_weight=weight),
        curve,
        model.leaderboard,
        model.balance,
        as_rows_come(y, pred, shots, sample_weight=weight) if len(y) else None,
        intervals,
        (
            *predicted.notes,
            *predicted.notes_on_censored,
            *_heavy_row(predicted, shots),
            *_no_rare_row(y, shots),
        ),
        outputs=errors_by_output(y, pred, shots, model.schema.targets, weight) if y.ndim > 1 and len(y) else (),
    )


def _heavy_row(predicted: PredictedPart, shots: Shots) -> list[str]:
    """Return a note on a row that carries much of an error; none of many targets."""
    if isinstance(shots.bins, OutputBins):
        return []
    unit = shots.bins.unit if isinstance(shots.bins, BinGrid) else None
    return notes_on_heavy_row(predicted.y, predicted.counted(), predicted.row, predicted.weight, unit)


def _no_rare_row(y: NDArray[np.float64], shots: Shots) -> list[str]:
    """Return a note where training rows are few-shot and none of these rows is."""
    few = REGIONS.index("few")
    n_train = int(shots.counts[shots.bin_codes == few].sum())
    if not n_train or (shots.codes(y) >= few).any():
        return []
    return [f"no row here is few-shot, {n_train:,} training rows are: errors on rare values are not measured"]


def _needs_distributions(model: FittedModel) -> bool:
    """Whether an evaluation asks for distributions: of several targets, a model without joint ones has no dial."""
    return len(model.schema.targets) == 1 or model.dial is not None


def _gathered(mine: Predictions) -> Predictions:
    """Return the predictions of all processes, in the order of the rows."""
    std, features, predictive = mine.std, mine.features, mine.predictive
    return Predictions(
        np.concatenate(gather_objects(mine.pred)),
        None if std is None else np.concatenate(gather_objects(std)),
        None if features is None else np.concatenate(gather_objects(features)),
        None if predictive is None else concatenate(gather_objects(predictive)),
        mine.of_lags,
        mine.bounded,
    )
