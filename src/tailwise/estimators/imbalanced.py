"""A network trained by any method, as a scikit-learn regressor."""

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted, validate_data

from tailwise._checks import InputError, label_array, one_of, shown
from tailwise.data.columns import Column, Schema
from tailwise.data.row_weight import unequal
from tailwise.data.rows import FrameRows, TableLike, as_frame
from tailwise.data.targets import FEWEST_ROWS
from tailwise.data.task import Task
from tailwise.distributions.decisions import Loss
from tailwise.distributions.label_density import Target
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import numbers
from tailwise.estimators.described_experiment import experiment_of
from tailwise.estimators.row_times import latest, times_of
from tailwise.experiment.fit import fit
from tailwise.experiment.model import FittedModel
from tailwise.experiment.prepare import assemble
from tailwise.experiment.target_bins import bins_for
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.model_selection import StratifiedRegressionGroupKFold, StratifiedRegressionKFold
from tailwise.training.epoch import Epoch
from tailwise.training.recipe import Recipe

_PARAMETERS = "estimator.json"
_DROP = re.compile(r"leave it out: `drop=[^`]*`")  # of tables; an estimator has no such parameter
_FOLDS = 8  # one of them is held out


class ImbalancedRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A stack of models on a table, or one network trained by any method of imbalanced regression.

    Args:
        method: train one network with this method: parts joined by ``+``, see ``tailwise methods``; ``"auto"`` is
            no method, as ``None``.
        method_params: parameters of the parts, ``{"conr": {"window": 2.0}}``.
        quality: without a method: ``"fast"`` (one network that predicts distributions), ``"good"`` (the default: a
            stack of three models) or ``"best"`` (of five), see :mod:`tailwise.experiment.quality`. Of fewer than 30
            rows one network is trained with ``"sqinv+lds"``, of censored labels with ``"mixture"``.
        encoder: one of :data:`tailwise.modalities.encoder_names.ENCODERS`, or ``"auto"``, which chooses by rows
            and columns.
        encoder_params: parameters of the encoder, ``{"dropout": 0.2}``.
        bin_width: width of the target's bins, target units; by default :meth:`Bins.auto`.
        n_bins: number of bins instead.
        nominal: names of columns to take as nominal beside those that hold text.
        epochs: most epochs of a stage; by default 60, in a stack 40 for each network.
        batch_size: rows a batch; n / 50 rounded down to a power of two between 32 and 256 if not given.
        lr: learning rate at the start of the cosine; by default 0.001, in a stack twice that from 3,200 rows on.
        weight_decay: of AdamW.
        patience: epochs without a better validation score before stopping; ``None`` never stops.
        criterion: validation score that chooses the epoch to keep, ``"both"``, ``"bmae"``, ``"mae"`` or ``"rmse"``, see
            :class:`tailwise.Recipe`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
        precision: ``"no"``, ``"bf16"`` or ``"fp16"``.
        balance: of predictions where a call gives none, from 0 (labels as they come) to 1 (every value equally
            likely), or ``"auto"``, chosen on held-out rows; it changes decisions alone, not the training. By default
            ``"auto"`` with a quality, and 0 with a method or censored labels.
        within: with a balance of ``"auto"``, see :class:`tailwise.experiment.spec.Experiment`.
        target_transform: of the target that the models are trained on, such as ``"log"``, see
            :class:`tailwise.experiment.spec.Experiment`; everything that is predicted is in target units.
        censored_below: value that low labels were cut off at: where it is the label, the true value lies there or
            below. With a quality and with the method ``"mixture"``. The balance is then 0, and there are no intervals;
            errors in choosing an epoch count no prediction beyond the limit.
        censored_above: value that high labels were cut off at, such as 500001 for all dearer houses.
        jobs: trainings of a stack in parallel; by default one a core.
        backend: of joblib for them: ``"loky"``, or ``"dask"`` or ``"ray"`` on a cluster.
        hurdle: whether a stack learns the chance of 0 apart from the labels above 0 where a fifth of them are 0, see
            :class:`tailwise.backends.stack.stack_settings.StackSettings`; one network has no such setting.
        random_state: seed of the training and of the rows held out.
        verbose: show the progress of the training.

    Attributes:
        model_: the trained :class:`tailwise.FittedModel`, with regions, relevance and intervals.
        shots_: bins and regions of the target, from the training rows.
        history_: one record an epoch: loss terms, validation errors by region.
        n_features_in_: number of columns.
        feature_names_in_: their names, of a data frame.

    Note:
        An eighth of the rows is held out to choose the epoch and to calibrate intervals (of every stretch of the
        target, by whole ``groups``), unless ``eval_set`` gives them. Of fewer than 30 rows none are: then the training
        rows themselves choose the epoch, and there are no intervals. Rows count by ``sample_weight`` in the
        training, in the errors that choose the epoch and the balance, and in the intervals. A network draws rows in
        proportion to it, with replacement, so that every loss and regularizer can be used with it; rows of
        ``eval_set`` have its mean. Regions and label weights follow the number of rows.

    Raises:
        InputError: a method, encoder or number that does not work, a constant target, limits of censored labels with
            a method that has no likelihood of them.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(200, 3))
        >>> y = np.exp(X[:, 0])
        >>> model = ImbalancedRegressor("sqinv+lds", epochs=3, random_state=0).fit(X, y)
        >>> model.predict(X[:2]).shape, model.predict_interval(X[:2], 0.5).shape
        ((2,), (2, 2))
    """

    def __init__(
        self,
        method: str | None = None,
        *,
        method_params: dict[str, dict[str, Any]] | None = None,
        encoder: str = AUTO,
        encoder_params: dict[str, Any] | None = None,
        bin_width: float | None = None,
        n_bins: int | None = None,
        nominal: Sequence[str] = (),
        epochs: int | None = None,
        batch_size: int | None = Recipe.batch_size,
        lr: float | None = None,
        weight_decay: float = Recipe.weight_decay,
        patience: int | None = Recipe.patience,
        criterion: str = Recipe.criterion,
        device: str = Recipe.device,
        precision: str = Recipe.precision,
        quality: str | None = None,
        balance: float | Literal["auto"] | None = None,
        within: float = 0.0,
        target_transform: str | None = None,
        censored_below: float | None = None,
        censored_above: float | None = None,
        jobs: int | None = None,
        backend: str = "loky",
        hurdle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.method, self.method_params = method, method_params
        self.encoder, self.encoder_params = encoder, encoder_params
        self.bin_width, self.n_bins, self.nominal = bin_width, n_bins, nominal
        self.epochs, self.batch_size, self.lr, self.weight_decay = epochs, batch_size, lr, weight_decay
        self.patience, self.criterion, self.device, self.precision = patience, criterion, device, precision
        self.quality, self.balance, self.within, self.jobs = quality, balance, within, jobs
        self.backend, self.target_transform, self.random_state = backend, target_transform, random_state
        self.censored_below, self.censored_above = censored_below, censored_above
        self.verbose, self.hurdle = verbose, hurdle

    def fit(
        self,
        X: TableLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        eval_set: tuple[TableLike, ArrayLike] | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Train.

        Args:
            X: ``(n, p)`` numbers, NaN where missing, or a data frame, of pandas or polars, whose text and category
                columns are nominal.
            y: ``(n,)`` targets.
            sample_weight: ``(n,)`` weights of at least 0: how much a row counts, relative to others.
            groups: ``(n,)`` group of each row; no group is divided between training and validation rows.
            eval_set: validation rows and targets, in place of held-out ones.
            time: ``(n,)`` dates or numbers: the latest rows are held out, those of one time together, and the folds of
                a stack look forward only. The time itself is no feature.

        Raises:
            InputError: times that cannot be read or are all the same; a time together with ``groups`` or ``eval_set``.
        """
        if y is None:
            raise ValueError("This ImbalancedRegressor estimator requires y to be passed, but the target y is None.")
        frame = self._frame(X, reset=True)
        labels = label_array(column_or_1d(np.asarray(y), warn=True))
        groups = None if groups is None else column_or_1d(np.asarray(groups))
        times = None if time is None else times_of(time, groups=groups, eval_set=eval_set)
        check_consistent_length(frame, labels, groups, times)
        one_of(self.encoder, "encoder", (AUTO, *ENCODERS))
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, frame, ensure_non_negative=True)
        if weight is not None:
            kept = weight > 0
            frame, labels, weight = frame.loc[kept].reset_index(drop=True), labels[kept], weight[kept]
            groups = None if groups is None else groups[kept]
            times = None if times is None else times[kept]
        seed = self._seed()
        task = self._task(frame, labels, groups, weight, eval_set, times, seed)
        experiment = experiment_of(self, len(labels), seed)
        self.history_: list[Epoch] = []
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            self.model_ = fit(task, experiment, on_epoch=self.history_.append, verbose=self.verbose).on_cpu()
        self.shots_ = task.shots
        return self

    def predict(
        self,
        X: TableLike,
        *,
        balance: float | None = None,
        density: Target | None = None,
        loss: Loss | None = None,
        under: float | None = None,
        over: float | None = None,
    ) -> NDArray[np.float64]:
        """``(n,)`` predictions, target units; arguments as in :meth:`tailwise.FittedModel.predict`.

        Raises:
            InputError: a balance outside 0 to 1, costs that are not above 0, a model without distributions.
        """
        check_is_fitted(self)
        return self.model_.predict(
            self._frame(X, reset=False), balance=balance, density=density, loss=loss, under=under, over=over
        )

    def predict_quantiles(
        self, X: TableLike, levels: ArrayLike, *, balance: float | None = None, density: Target | None = None
    ) -> NDArray[np.float64]:
        """``(n, k)`` quantiles at k levels in (0, 1), target units.

        Raises:
            InputError: levels outside (0, 1), a model without distributions.
        """
        return self.predict_distribution(X, balance=balance, density=density).quantile(np.atleast_1d(levels))

    def predict_above(
        self, X: TableLike, threshold: ArrayLike, *, balance: float | None = None, density: Target | None = None
    ) -> NDArray[np.float64]:
        """``(n,)`` chance that the label is above a threshold, one number or ``(n,)``, target units.

        Raises:
            InputError: a threshold that is not a number, a model without distributions.
        """
        thresholds = numbers(threshold, "threshold")
        predictive = self.predict_distribution(X, balance=balance, density=density)
        if thresholds.ndim == 1 and len(thresholds) != len(predictive):
            raise InputError(
                f"threshold must be one number, or one a row ({len(predictive)},), got shape {thresholds.shape}"
            )
        return predictive.above(thresholds)

    def predict_distribution(
        self, X: TableLike, *, balance: float | None = None, density: Target | None = None
    ) -> Predictive:
        """Distributions of the labels of n rows: as they come, unless a balance or a density is given.

        Raises:
            InputError: a balance outside 0 to 1, a model without distributions.
        """
        check_is_fitted(self)
        of_target: Any = self.model_.predictive(self._frame(X, reset=False), balance=balance, density=density)
        predictive: Predictive = of_target  # estimators have one target
        return predictive

    def predict_interval(
        self, X: TableLike, confidence: float = 0.9, *, balance: float | None = None, density: Target | None = None
    ) -> NDArray[np.float64]:
        """``(n, 2)`` low and high end of conformal intervals, calibrated region by region, target units.

        Args:
            X: the rows.
            confidence: fraction of new rows to cover, in (0, 1).
            balance: of the distributions whose intervals to return, from 0 (labels as they come) to 1 (every value
                equally likely); by default that of the model. Without it and a density intervals of a model that
                predicts no distributions of its own lie around the predictions.
            density: declared density of the labels, in place of a balance.

        Raises:
            InputError: a model without calibration rows, a confidence outside (0, 1).
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        return self.model_.predict_interval(frame, confidence, balance=balance, density=density)

    def unseen(self, X: TableLike) -> dict[str, float]:
        """Fraction of rows with a value that no training row had, by column; see :meth:`tailwise.FittedModel.unseen`.

        Columns of an array are called ``x0``, ``x1`` and so on.
        """
        check_is_fitted(self)
        return self.model_.unseen(self._frame(X, reset=False))

    def save(self, folder: str | Path) -> None:
        """Write the trained model and the parameters into a new or empty folder.

        Raises:
            InputError: a folder that holds something, or cannot be written.
        """
        check_is_fitted(self)
        folder = Path(folder)
        described = {
            "parameters": {k: _plain(v, k) for k, v in self.get_params(deep=False).items()},
            "columns": self._columns,
            "n_features_in": self.n_features_in_,
            "named": hasattr(self, "feature_names_in_"),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise InputError(f"{str(folder)!r} is not empty; choose another folder")
            self.model_.save(folder)
            (folder / _PARAMETERS).write_text(json.dumps(described, indent=2), encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote; nothing in it is executed. There is no ``history_``.

        Raises:
            InputError: files that are missing or cannot be read.
        """
        model = FittedModel.load(folder)
        try:
            described = json.loads((Path(folder) / _PARAMETERS).read_text(encoding="utf-8"))
            estimator = cls(**{name: _frozen(value) for name, value in described["parameters"].items()})
            estimator._columns = described["columns"]
            estimator.n_features_in_ = described["n_features_in"]
            if described["named"]:
                estimator.feature_names_in_ = np.asarray(described["columns"], dtype=object)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{str(folder)!r} holds no saved ImbalancedRegressor; for the model of a run use FittedModel.load"
            ) from error
        estimator.model_, estimator.shots_ = model, model.shots
        return estimator

    def _frame(self, X: TableLike, *, reset: bool) -> pd.DataFrame:
        """Rows as a data frame, checked as scikit-learn does."""
        X = as_frame(X)
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True, reset=reset)
            _check_finite(X)
            frame = X.rename(columns=str).reset_index(drop=True)
        else:
            least = 2 if reset else 1
            array: NDArray[np.float64] = validate_data(
                self, X, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=least, reset=reset
            )
            frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
        if reset:
            self._columns = [str(name) for name in frame.columns]
        return frame.set_axis(self._columns, axis=1)  # an array may follow a frame, column by column

    def _task(
        self,
        frame: pd.DataFrame,
        labels: NDArray[np.float64],
        groups: NDArray[np.generic] | None,
        weight: NDArray[np.float64] | None,
        eval_set: tuple[TableLike, ArrayLike] | None,
        times: NDArray[np.float64] | None,
        seed: int,
    ) -> Task:
        """Return training rows, then validation rows, as a task."""
        if labels.min() == labels.max():
            raise InputError(f"the target is constant ({labels[0]:g} in every row); there is nothing to learn")
        rows = np.arange(len(labels))
        if eval_set is not None:
            if not isinstance(eval_set, tuple) or len(eval_set) != 2:
                raise InputError("eval_set must be a pair (X, y), not a list of pairs")
            X_val, y_val = eval_set
            extra, y_extra = self._frame(X_val, reset=False), label_array(y_val, "eval_set's y")
            check_consistent_length(extra, y_extra)
            row, n_train = np.r_[rows, np.full(len(y_extra), -1)], len(labels)
            frame, labels = pd.concat([frame, extra], ignore_index=True), np.r_[labels, y_extra]
        elif len(labels) < FEWEST_ROWS and groups is None:
            row, n_train = np.r_[rows, rows], len(labels)  # none are held out: the training rows validate themselves
            frame, labels = pd.concat([frame, frame], ignore_index=True), np.r_[labels, labels]
        else:
            held = self._held_out(labels, groups, seed) if times is None else latest(times, 1 / _FOLDS)
            row, n_train = np.r_[rows[~held], rows[held]], int((~held).sum())
            frame, labels = frame.take(row).reset_index(drop=True), labels[row]
        y_train = labels[:n_train]
        if y_train.min() == y_train.max():
            raise InputError(f"the target is constant in the {n_train} training rows; there is nothing to learn")
        return assemble(
            FrameRows(frame),
            row,
            labels,
            np.where(np.arange(len(labels)) < n_train, "train", "val"),
            "column",
            self._schema(frame, labels, n_train),
            self._bins(y_train),
            weight=None if weight is None else unequal(np.where(row < 0, weight.mean(), weight[row])),
            group=None if groups is None else _codes(groups, row),
            time=None if times is None else times[row],
            held_out=eval_set is not None or len(np.unique(row)) == len(row),
        )

    def _held_out(
        self, labels: NDArray[np.float64], groups: NDArray[np.generic] | None, seed: int
    ) -> NDArray[np.bool_]:
        """``(n,)`` rows to validate on: a share of every stretch of the target, so that intervals hold as rows come."""
        folds: Any = StratifiedRegressionKFold(_FOLDS, random_state=seed)
        if groups is not None:
            n_groups = len(np.unique(groups))
            if n_groups < 2:
                raise InputError("groups must name at least 2 groups, or give validation rows as eval_set=(X, y)")
            folds = StratifiedRegressionGroupKFold(min(_FOLDS, n_groups), random_state=seed)
        _, rows = next(folds.split(labels.reshape(-1, 1), labels, groups))
        held = np.zeros(len(labels), dtype=bool)
        held[rows] = True
        return held

    def _bins(self, y: NDArray[np.float64]) -> Bins | BinGrid | OutputBins:
        if self.bin_width is not None and self.n_bins is not None:
            raise InputError("give `bin_width` or `n_bins`, not both")
        return bins_for(y, self.bin_width, self.n_bins)

    def _schema(self, frame: pd.DataFrame, labels: NDArray[np.float64], n_train: int) -> Schema:
        """Return the columns, with what the first ``n_train`` rows have; warn about columns that are no inputs."""
        schema = self._columns_of(frame, labels).trained_on(frame[:n_train], required=False)
        for name, reason in schema.unused.items():
            hint = "; name it in nominal" if reason.startswith("identifier") else ""
            warnings.warn(f"column {shown(name)} is not an input: {reason}{hint}", UserWarning, stacklevel=4)
        for note in schema.notes:
            warnings.warn(_DROP.sub("leave it out of X", note), UserWarning, stacklevel=4)
        return schema

    def _columns_of(self, frame: pd.DataFrame, labels: NDArray[np.float64]) -> Schema:
        target = "target"
        while target in frame:
            target += "_"
        if not hasattr(self, "feature_names_in_"):
            kinds: Any = {name: "nominal" if name in self.nominal else "numeric" for name in frame.columns}
            unknown = sorted(set(self.nominal) - set(kinds))
            if unknown:
                raise InputError(f"nominal names {unknown[0]!r}, but the columns of an array are x0, x1, ...")
            return Schema((target,), tuple(Column(name, kind) for name, kind in kinds.items()), {})
        return Schema.infer(frame.assign(**{target: labels}), target, nominal=list(self.nominal))

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer) and not isinstance(self.random_state, bool):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.random_state is None
        return tags


def _codes(groups: NDArray[np.generic], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a code for the group of each row; a validation row that the caller gave is a group of its own."""
    codes: NDArray[np.int64] = np.unique(groups, return_inverse=True)[1][row]
    foreign = np.flatnonzero(row < 0)
    codes[foreign] = -1 - foreign
    return codes


def _check_finite(frame: pd.DataFrame) -> None:
    """Raise for infinity, as scikit-learn does for arrays; missing values are allowed."""
    numeric = frame.select_dtypes("number")
    if np.isinf(numeric.to_numpy(dtype=np.float64, na_value=np.nan)).any():
        raise ValueError("Input X contains infinity or a value too large for dtype('float64').")


def _plain(value: Any, name: str) -> Any:
    """A parameter as JSON keeps it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, np.random.RandomState):
        return None
    raise InputError(f"{name} cannot be saved: {value!r} is no number, text, list or mapping of them")


def _frozen(value: Any) -> Any:
    """Lists as tuples, which is how parameters are written."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
