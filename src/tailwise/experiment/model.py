"""A fitted model: raw rows in, predictions out; saved as a folder that loads without running code from it."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise._numbers import number
from tailwise.backends.protocol import Inputs, OutOfFold, Predictor
from tailwise.backends.transformed import TransformedPredictor, WayBack
from tailwise.calibration.corrections import Correction, FitsCorrection
from tailwise.calibration.intervals import RegionIntervals
from tailwise.data.columns import Schema
from tailwise.data.lags import with_lags
from tailwise.data.reach import FEATURE_REACH
from tailwise.data.rows import Rows, as_frame, as_rows
from tailwise.data.seen import Bounded, UnseenValues
from tailwise.data.task import Task
from tailwise.data.time_order import new_labels, new_times
from tailwise.distributions.atoms import Atoms
from tailwise.distributions.conditional import ConditionalDensity
from tailwise.distributions.decisions import Decision, Dial, Loss
from tailwise.distributions.dialed import weights_as_rows_come
from tailwise.distributions.grid_density import GridTarget
from tailwise.distributions.label_density import REACH, Target
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.outputs_dial import AnyDial, OutputsDial
from tailwise.distributions.pooling import concatenate
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.transformed import of_transformed
from tailwise.distributions.vector_mixtures import VectorMixture
from tailwise.distributions.vector_predictive import AnyPredictive
from tailwise.experiment.held_out import HeldOut
from tailwise.experiment.leaderboard import Leaderboard
from tailwise.experiment.model_folder import fields_of, save_model
from tailwise.experiment.row_predictions import Predictions, one_target
from tailwise.experiment.validated import validated
from tailwise.labels.censoring import Censoring
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots
from tailwise.labels.transforms import Transform

_FORMAT = 2
_ROWS_AT_ONCE = 65_536
_DESCRIPTION = "model.json"

_OWN = Decision()  # leaves everything to the model


@dataclass(frozen=True)
class FittedModel:
    """A model of tables: raw rows in, predictions in target units out.

    Args:
        schema: the columns it needs.
        inputs: from rows to the model's inputs.
        model: a network, or another predictor.
        shots: regions of the target, from training labels.
        relevance: φ of the target, if any value is extreme.
        correction: correction of the model's predictions, if there is one.
        intervals: conformal intervals by region, calibrated on validation rows.
        dial: smoothed density of the training labels, for decisions between common and rare values; of several targets
            their joint density, ``None`` of a model without joint distributions.
        conditional: density of the label given a prediction, from validation rows, of a model that predicts numbers
            alone, is corrected or ``reweighted``.
        balance: of predictions where a call gives none, from 0 (labels as they come) to 1 (every value equally likely).
        reweighted: whether training rows were weighted or resampled by label. The distributions of the model itself
            are then not those of labels as they come, and are not used.
        leaderboard: out-of-fold errors of a stack and its experts; ``None`` of other models.
        atoms: values that many training labels share, and so do the distributions.
        held_out: validation rows that the intervals of a decision are calibrated on.
        bounded: whether predictions far beyond the training labels are set to the limit that decisions have too.
        censoring: limits at which labels were censored. Predictions have no bound on such a side, and neither atoms,
            intervals nor decisions under other labels exist, which need the true values of all rows.
    """

    schema: Schema
    inputs: Inputs
    model: Predictor
    shots: Shots
    relevance: Relevance | None
    correction: Correction | None = None
    intervals: RegionIntervals | None = None
    dial: AnyDial | None = None
    conditional: ConditionalDensity | None = None
    balance: float = 0.0
    reweighted: bool = False
    leaderboard: Leaderboard | None = None
    atoms: Atoms | None = None
    held_out: HeldOut | None = None
    bounded: bool = True
    censoring: Censoring | None = None

    @property
    def encoder(self) -> str | None:
        """Name of the encoder of a network; ``None`` of another model."""
        description: Mapping[str, Any] = getattr(self.model, "encoder", {})
        return description.get("encoder")

    @property
    def back(self) -> WayBack | None:
        """The way from a transformed target to predictions; ``None`` of a model of the target as it is."""
        return self.model.back if isinstance(self.model, TransformedPredictor) else None

    @property
    def transform(self) -> Transform | None:
        """Transform of the target that the model was trained on."""
        return None if self.back is None else self.back.transform

    def _given(self, pred: NDArray[np.float64]) -> Predictive | None:
        """Return the distributions of labels given predictions, from held-out rows; ``None`` if there are none."""
        if self.conditional is None:
            return None
        at = pred if self.transform is None else self.transform.forward(pred)
        return of_transformed(self.conditional.predictive(at), self.transform)

    def calibrated(
        self, task: Task, correction: FitsCorrection | None = None, *, intervals: bool = True
    ) -> "FittedModel":
        """Return this model with what is fitted to its predictions of the validation rows; see :meth:`validated`."""
        return self.validated(task, correction, intervals=intervals)[0]

    def validated(
        self,
        task: Task,
        correction: FitsCorrection | None = None,
        *,
        intervals: bool = True,
        out_of_fold: OutOfFold | None = None,
        within: float | None = None,
    ) -> "tuple[FittedModel, Predictions]":
        """Return this model with what is fitted to its predictions of the validation rows, and these, corrected.

        Args:
            task: the task it was trained on.
            correction: ``fit(fitting)``, see ``tailwise.calibration.corrections``; intervals are those of corrected
                predictions.
            intervals: whether to calibrate intervals; several targets have none.
            out_of_fold: predictions of other rows than the validation rows, by models that were not trained on them.
            within: choose the balance, see :func:`tailwise.experiment.balance_choice.choose_balance`.
        """
        return validated(self, task, correction, intervals=intervals, out_of_fold=out_of_fold, within=within)

    def spread(
        self, own: NDArray[np.float64] | None, predictive: Predictive | None, pred: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Return standard deviations that belong to predictions, those of their distributions where they are others.

        Args:
            own: of the model.
            predictive: distributions of the model, without atoms.
            pred: its predictions, corrected.
        """
        corrected = self.correction is not None
        if own is None or not (corrected or (self.atoms is not None and not self.reweighted)):
            return own
        given = self._given(pred) if corrected else predictive
        return None if given is None else self._of_atoms(given).std()

    @overload
    def _of_atoms(self, predictive: Predictive) -> Predictive: ...

    @overload
    def _of_atoms(self, predictive: AnyPredictive) -> AnyPredictive: ...

    def _of_atoms(self, predictive: AnyPredictive) -> AnyPredictive:
        scalar = one_target(predictive)
        return predictive if self.atoms is None or scalar is None else self.atoms.of(scalar)

    def cross_fitted(
        self, y_val: NDArray[np.float64], pred: NDArray[np.float64], row_weight: NDArray[np.float64] | None = None
    ) -> Predictive | None:
        """Return the distributions of validation rows, each from the others; ``None`` of too few rows.

        Args:
            y_val: ``(m,)`` labels of the rows that :attr:`conditional` was fitted to.
            pred: ``(m,)`` predictions for them.
            row_weight: ``(m,)`` weights of the rows, if they have some.
        """
        dial: Any = self._checked_dial()
        weight = weights_as_rows_come(y_val, dial.density, self.shots.scalar_bins, sample_weight=row_weight)
        return HeldOut(y_val, pred, weight, balanced=False, atoms=self.atoms, transform=self.transform).distributions

    def predict(
        self,
        frame: pd.DataFrame | Rows,
        *,
        balance: float | tuple[float, ...] | None = None,
        density: Target | GridTarget | None = None,
        loss: Loss | None = None,
        under: float | None = None,
        over: float | None = None,
        quantile: float | None = None,
        ignore_extra: bool = False,
    ) -> NDArray[np.float64]:
        """Return ``(n,)`` predictions of raw rows, ``(n, K)`` of K targets.

        Without an argument they are the model's own; otherwise they minimize the expected loss under the rows'
        distributions, tilted as the balance or the density says. Nothing is trained again.

        Args:
            frame: the rows; relative paths in cells start at the current folder.
            balance: from 0 (labels as they come) to 1 (every value equally likely); by default the model's. Of targets
                with a dial each also K balances.
            density: declared density of the labels to be predicted, in place of a balance; see
                :meth:`tailwise.distributions.SmoothedDensity.ratio`; of K targets
                :meth:`tailwise.distributions.GridDensity.ratio`.
            loss: ``"absolute"`` (the median; the default of a decision) or ``"squared"`` (the mean), of each target.
            under: cost of predicting too low, per unit; with ``over`` the quantile under / (under + over).
            over: cost of predicting too high, per unit.
            quantile: a level in (0, 1), of each target.
            ignore_extra: allow columns that the model was not trained on.

        Raises:
            InputError: columns that are missing, unknown, or of another type; a model without distributions; what
                :class:`tailwise.distributions.Decision` refuses.
        """
        decision = Decision(balance=balance, density=density, loss=loss, under=under, over=over, quantile=quantile)
        known = self.predictions(frame, ignore_extra=ignore_extra, predictive=self.needs(decision))
        return self.decided(known, decision)

    def needs(self, decision: Decision) -> bool:
        """Whether a decision needs distributions; the model's own predictions do not."""
        return decision.given or self.balance > 0

    def decided(self, known: Predictions, decision: Decision) -> NDArray[np.float64]:
        """Return ``(n,)`` or ``(n, K)`` predictions as a decision asks for them.

        Args:
            known: of the rows, with distributions if :meth:`needs` says so.
            decision: the decision; without anything given the model's balance is used.

        Raises:
            InputError: a model without distributions.
        """
        if not self.needs(decision):
            return known.pred
        self._check_labels_known(decision)
        dial: Any = self._checked_dial(decision)
        return decision.of(self._checked(known.predictive), dial, self.balance)

    def tilted(self, known: Predictions, decision: Decision) -> AnyPredictive:
        """Return the distributions of rows under the balance or density of a decision, else the model's balance.

        Args:
            known: of the rows, with distributions.
            decision: its loss, costs and quantile do not matter here.

        Raises:
            InputError: a model without distributions.
        """
        self._check_labels_known(decision)
        dial: Any = self._checked_dial(decision)
        tilted: AnyPredictive = decision.tilted(self._checked(known.predictive), dial, self.balance)
        return tilted

    def predictive(
        self,
        frame: pd.DataFrame | Rows,
        *,
        balance: float | tuple[float, ...] | None = None,
        density: Target | GridTarget | None = None,
        ignore_extra: bool = False,
    ) -> AnyPredictive:
        """Return the distributions of the labels of raw rows, joint ones of K targets; arguments as in :meth:`predict`.

        Without a balance and a density they are of labels as they come, whatever the model's own balance.

        Raises:
            InputError: columns that are missing, unknown, or of another type; a model without distributions.
        """
        decision = Decision(balance=balance, density=density).for_questions()
        return self.tilted(self.predictions(frame, ignore_extra=ignore_extra, predictive=True), decision)

    @property
    def has_dial(self) -> bool:
        """Whether there are decisions under labels that are spread otherwise than the training labels."""
        return self.dial is not None and self.censoring is None

    def _check_labels_known(self, decision: Decision) -> None:
        """Raise if a decision needs the density of training labels of which some are censored."""
        if self.censoring is not None and (decision.balance or decision.density is not None):
            name = "density" if decision.density is not None else "balance"
            raise InputError(
                f"`{name}` needs the density of the true values, which is unknown where labels are censored; leave it "
                "out, or ask for quantiles"
            )

    def check_distributions(self, decision: Decision = _OWN) -> None:
        """Raise unless the model can have distributions, before any row is predicted.

        Args:
            decision: what is to be decided by them.

        Raises:
            InputError: a model without a density of the training labels, or without a dial for each target where the
                decision has a balance for each.
        """
        self._checked_dial(decision)

    def _checked(self, predictive: AnyPredictive | None) -> Any:
        if predictive is not None:
            return predictive
        self.check_distributions()
        raise InputError(
            "this model has no distributions: it was trained without held-out rows, with fewer than 20 of them, or by "
            "an earlier version; train it again on more rows"
        )

    def _checked_dial(self, decision: Decision = _OWN) -> AnyDial:
        k = len(self.schema.targets)
        if self.dial is None and k > 1:
            raise InputError(
                f"there are no distributions of {k} targets in this model; train it with this version and "
                "`method='mixture'`, without weights, or predict without them"
            )
        if self.dial is None:
            raise InputError(
                "this model has no density of the training labels, which a decision needs; train it again with this "
                "version"
            )
        if isinstance(decision.balance, tuple) and not isinstance(self.dial, OutputsDial):
            raise InputError(
                f"this model has one dial for all combinations of its {k} targets, which are of about one unit; give "
                "one `balance`"
            )
        return self.dial

    def notes_on_unseen(self, frame: pd.DataFrame | Rows) -> list[str]:
        """Return one note on values that no training row had, by column with their fraction; none if there are none.

        Models of earlier versions do not know what they were trained on.

        Raises:
            InputError: columns that are missing or of another type.
        """
        return self._unseen_values(frame).notes

    def unseen(self, frame: pd.DataFrame | Rows) -> dict[str, float]:
        """Return the fraction of rows with a value that no training row had, by column, the highest first.

        Such values are numbers and dates outside the training range, and categories that are new; missing ones are
        not. Columns without such values are left out, and so are images, texts and signals, and categories of more than
        20,000 kinds. Models of earlier versions do not know what they were trained on.

        Raises:
            InputError: columns that are missing or of another type.
        """
        return self._unseen_values(frame).fractions

    def _unseen_values(self, frame: pd.DataFrame | Rows) -> UnseenValues:
        rows, _ = self.with_lags(self._checked_rows(frame, ignore_extra=True))
        unseen = UnseenValues(self.schema.seen)
        for piece in rows.pieces(_ROWS_AT_ONCE) if self.schema.seen else ():
            unseen.add(self.schema.features(piece))
        return unseen

    def predict_std(self, frame: pd.DataFrame | Rows, *, ignore_extra: bool = False) -> NDArray[np.float64] | None:
        """Return ``(n,)`` standard deviations of the predictive distribution, target units; ``None`` if it has none.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        return self.predictions(frame, ignore_extra=ignore_extra).std

    def features(self, frame: pd.DataFrame | Rows) -> NDArray[np.float64] | None:
        """Return ``(n, d)`` features that a network makes of raw rows; ``None`` of a model that is no network.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        return self.predictions(frame, features_of=np.ones(len(frame), dtype=bool)).features

    def predictions(
        self,
        frame: pd.DataFrame | Rows,
        *,
        features_of: NDArray[np.bool_] | None = None,
        predictive: bool = False,
        ignore_extra: bool = False,
        quiet: bool = False,
    ) -> Predictions:
        """Return predictions, standard deviations and features of raw rows, from one pass through the model.

        Args:
            frame: the rows.
            features_of: ``(n,)`` rows whose features to keep; none if not given.
            predictive: whether to return distributions too, of a model that has some.
            ignore_extra: allow columns that the model was not trained on.
            quiet: do not warn about inputs that give predictions far from the training labels.

        Raises:
            InputError: columns that are missing, unknown, or of another type.
        """
        rows, of_lags = self.with_lags(self._checked_rows(frame, ignore_extra))
        k = len(self.schema.targets)
        pred, std, features, distributions = [np.empty(0) if k == 1 else np.empty((0, k))], [], [], list[Any]()
        unchanged = self.correction is None and not self.reweighted
        start, head = 0, (predictive or self.atoms is not None) and self.conditional is None and unchanged
        for x in self.inputs.pieces(self.schema, rows):
            n = _length(x)
            kept = None if features_of is None else features_of[start : start + n]
            outputs = self.model.outputs(x, features=kept is not None and bool(kept.any()), predictive=head)
            pred.append(outputs.pred)
            std += [] if outputs.std is None else [outputs.std]
            features += [] if outputs.features is None else [outputs.features[kept]]
            distributions += [] if outputs.predictive is None else [outputs.predictive]
            start += n
        joined, spread = np.concatenate(pred), np.concatenate(std) if std else None
        if self.correction is not None:
            joined = self.correction(joined)
        joined, bounded = self._bounded(joined, rows, quiet=quiet)
        given: AnyPredictive | None = concatenate(distributions) if distributions else None
        spread = self.spread(spread, one_target(given), joined)
        if not len(joined) and predictive:
            none = np.zeros((0, 1, k))
            given = Mixture(*np.zeros((3, 0, 1))) if k == 1 else VectorMixture(np.zeros((0, 1)), none, none)
        elif predictive and given is None and self.conditional is not None:
            given = self._given(joined)
        return Predictions(
            joined,
            spread,
            np.concatenate(features) if features else None,
            self._of_atoms(given) if predictive and given is not None else None,
            of_lags,
            bounded,
        )

    def _bounded(
        self, pred: NDArray[np.float64], rows: Rows, *, quiet: bool
    ) -> tuple[NDArray[np.float64], Bounded | None]:
        """Return predictions inside the range of the training labels widened by ``REACH``, and which were not.

        There is a warning too where a number is farther from those of the training rows than they are from each other.
        Models without a density of the training labels have no bounds.
        """
        if self.limits is None or self.dial is None or not len(pred):
            return pred, None
        low, high = self.dial.span
        inside = np.clip(pred, *self.limits)
        beyond = np.flatnonzero((inside != pred).reshape(len(pred), -1).any(axis=1))
        if len(beyond):
            worst = beyond[np.abs(inside - pred)[beyond].reshape(len(beyond), -1).max(axis=1).argmax()]
            features = self.schema.features(rows.select(np.array([worst])).frame())
            texts = [", ".join(number(float(v)) for v in np.atleast_1d(values)) for values in (low, high)]
            bounded = Bounded.of(int(worst), len(beyond), pred[worst], inside[worst], texts, features, self.schema.seen)
            if bounded.excess > FEATURE_REACH and not quiet:
                warnings.warn(bounded.note, UserWarning, stacklevel=4)
            return inside, bounded
        return inside, None

    @property
    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Lowest and highest prediction, of each target, target units; ``None`` of a model without limits."""
        if self.dial is None or not self.bounded:
            return None
        low, high = self.dial.span
        least, most = low - REACH * (high - low), high + REACH * (high - low)
        return (least, most) if self.censoring is None else self.censoring.room(least, most)

    def predict_interval(
        self,
        frame: pd.DataFrame | Rows,
        confidence: float = 0.9,
        *,
        balance: float | None = None,
        density: Target | None = None,
        ignore_extra: bool = False,
    ) -> NDArray[np.float64]:
        """Return ``(n, 2)`` low and high ends of conformal intervals, target units.

        They are those of the rows' distributions, tilted as a balance or a density says, see
        :meth:`intervals_of_decision`. Without either, a model that predicts no distributions of its own has intervals
        around its predictions, see :class:`RegionIntervals`; others those of labels as they come, whatever the model's
        own balance, as quantiles and chances are.

        Raises:
            InputError: a model without calibration rows, a confidence outside (0, 1), columns that do not fit.
        """
        decision = Decision(balance=balance, density=density)
        predictive = self.needs(decision) or self.has_own_intervals
        known = self.predictions(frame, ignore_extra=ignore_extra, predictive=predictive)
        if decision.given or self.has_own_intervals:
            return self.intervals_of_decision(known, decision.for_questions(), confidence)
        return self.intervals_of(self.decided(known, decision), confidence)

    @property
    def has_decision_intervals(self) -> bool:
        """Whether held-out rows suffice to calibrate the intervals of a decision."""
        return self.held_out is not None and self.held_out.distributions is not None

    @property
    def has_own_intervals(self) -> bool:
        """Whether intervals are those of distributions that the model predicts itself, as wide as each row's."""
        return self.conditional is None and self.correction is None and self.has_decision_intervals

    def intervals_of_decision(
        self, known: Predictions, decision: Decision, confidence: float = 0.9
    ) -> NDArray[np.float64]:
        """Return ``(n, 2)`` ends of the intervals of rows' distributions as a decision tilts them, conformalized.

        They cover at least a fraction ``confidence`` of rows as they come, in each region of the decided prediction;
        see :class:`tailwise.calibration.distribution_intervals.DistributionIntervals`.

        Args:
            known: of the rows, with distributions.
            decision: the decision.
            confidence: fraction of rows as they come to cover, in (0, 1).

        Raises:
            InputError: a model without distributions or without held-out rows, a confidence outside (0, 1).
        """
        if self.censoring is not None:
            self.intervals_of(known.pred)
        tilted, pred = self.tilted(known, decision), self.decided(known, decision)
        held, dial, fitted = self.held_out, self._checked_dial(), None
        if held is not None and isinstance(dial, Dial):
            fitted = held.intervals(decision, dial, self.shots, self.balance)
        if fitted is None or not isinstance(tilted, Predictive):
            raise InputError(
                "this model has no held-out rows that intervals of a decision could be calibrated on: it was trained "
                "on too few rows, or by an earlier version; train it again, or ask for quantiles"
            )
        return fitted.intervals(tilted, pred, confidence)

    def intervals_of(self, pred: NDArray[np.float64], confidence: float = 0.9) -> NDArray[np.float64]:
        """Return ``(n, 2)`` low and high ends around predictions of this model, ``(n,)``."""
        if len(self.schema.targets) > 1:
            raise InputError(f"there are no intervals of {len(self.schema.targets)} targets; leave them out")
        if self.censoring is not None:
            raise InputError(
                "there are no intervals where labels are censored: how far off those rows are is unknown; ask for "
                "quantiles"
            )
        if self.intervals is None:
            raise InputError("this model was trained without held-out rows to calibrate intervals; train on more rows")
        ends = self.intervals.intervals(pred, confidence)
        return ends if self.transform is None else np.maximum(ends, self.transform.lowest)

    def with_lags(self, frame: pd.DataFrame | Rows) -> tuple[Rows, tuple[str, ...]]:
        """Return rows with the features that are earlier labels of their series, and notes for the user.

        Earlier labels are those of the rows themselves, where their table has the target, and before them the last ones
        of the training table; each of several targets has its own. Rows that have these features already are returned
        as they are.

        Raises:
            InputError: times that cannot be read, two rows of one series and time.
        """
        rows, of_targets = as_rows(frame), self.schema.lags
        if {name for lags in of_targets for name in lags.columns} <= set(rows.columns):
            return rows, ()
        table, readings, notes = rows.frame(), self.schema.readings, []
        for lags in of_targets:
            times, y = new_times(table, lags, readings), new_labels(table, lags, readings)
            table, of_lags = with_lags(table, lags, times, y)
            notes += of_lags
        return as_rows(table), tuple(notes)

    def _checked_rows(self, frame: pd.DataFrame | Rows, ignore_extra: bool) -> Rows:
        frame = as_frame(frame)
        rows = as_rows(frame.rename(columns=str) if isinstance(frame, pd.DataFrame) else frame)
        self.schema.check(rows.columns, ignore_extra=ignore_extra)
        return rows

    def _repr_html_(self) -> str:
        """Return tables for a notebook."""
        from tailwise.experiment.shown_in_notebooks import model_html

        return model_html(self)

    def on_cpu(self) -> Self:
        """Move the model to the CPU, in place, and return it."""
        self.model.cpu()
        return self

    def save(self, folder: Path) -> None:
        """Write the model into a folder that exists."""
        save_model(self, folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a model folder; nothing in it is executed.

        Raises:
            InputError: files that are missing or cannot be read.
        """
        return cls(**fields_of(Path(folder)))


def _length(x: Any) -> int:
    """Return the number of rows of a model's inputs."""
    return _length(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)


TableModel = FittedModel  # its public name until this version
