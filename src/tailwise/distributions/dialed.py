"""The dial for any model that predicts numbers, from its predictions for held-out rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, row_weights, whole
from tailwise.distributions.conditional import FEWEST, ConditionalDensity
from tailwise.distributions.decisions import Decision, Dial, Loss
from tailwise.distributions.label_density import SmoothedDensity, Target, check_balance
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import Floats
from tailwise.distributions.transformed import Transformed
from tailwise.labels.bins import Bins
from tailwise.labels.transforms import Transform


@dataclass(frozen=True)
class DialedModel:
    """Map predictions of a model to decisions between common and rare values; see :func:`dial`.

    Args:
        conditional: density of the label given a prediction.
        dial: the training labels' dial.
        balance: used where a call gives none.
    """

    conditional: ConditionalDensity
    dial: Dial
    balance: float = 0.5

    def __post_init__(self) -> None:
        check_balance(self.balance)

    def predictive(self, pred: ArrayLike) -> Mixture:
        """Return the distribution of the label of each of ``(n,)`` predictions, labels as they come."""
        return self.conditional.predictive(pred)

    def __call__(
        self,
        pred: ArrayLike,
        *,
        balance: float | None = None,
        density: Target | None = None,
        loss: Loss | None = None,
        under: float | None = None,
        over: float | None = None,
        quantile: float | None = None,
    ) -> Floats:
        """Return ``(n,)`` decisions for ``(n,)`` predictions; arguments as in :meth:`Dial.decide`."""
        decision = Decision(balance=balance, density=density, loss=loss, under=under, over=over, quantile=quantile)
        return decision.of(self.predictive(pred), self.dial, self.balance)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"conditional": self.conditional.to_json(), "dial": self.dial.to_json(), "balance": self.balance}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        conditional = ConditionalDensity.from_json(saved["conditional"])
        return cls(conditional, Dial.from_json(saved["dial"]), saved["balance"])


def dial(
    y_val: ArrayLike,
    pred_val: ArrayLike,
    *,
    balance: float = 0.5,
    y_train: ArrayLike | None = None,
    bins: Bins | None = None,
    sample_weight: ArrayLike | None = None,
) -> DialedModel:
    """Give a finished model the dial: a function from its predictions to decisions, without training it again.

    Args:
        y_val: ``(m,)`` labels of rows that the model was not trained on, at least 20.
        pred_val: ``(m,)`` the model's predictions for them.
        balance: from 0 (labels as they come) to 1 (every value equally likely); a call can change it.
        y_train: training labels, for the density of labels; by default ``y_val``, counted by ``sample_weight``.
        bins: of the target; by default :meth:`Bins.auto` of the training labels.
        sample_weight: ``(m,)`` above 0, where the held-out rows are not drawn as rows come.

    Raises:
        InputError: fewer than 20 rows, shapes that differ, values that are not finite, a balance outside 0 to 1.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.exponential(10.0, 3000)
        >>> pred = 5 + 0.5 * (y + rng.normal(0, 5, 3000))  # pulled to the middle, as rare values are
        >>> decide = dial(y[:1000], pred[:1000], y_train=y)
        >>> decide([20.0], balance=0).round(0).tolist(), decide([20.0], balance=1).round(0).tolist()
        ([27.0], [30.0])
    """
    conditional = ConditionalDensity.fit(y_val, pred_val, sample_weight=sample_weight)
    if y_train is None:
        return DialedModel(conditional, Dial.from_labels(y_val, bins, sample_weight=sample_weight), balance)
    return DialedModel(conditional, Dial.from_labels(y_train, bins), balance)


def weights_as_rows_come(
    y_val: ArrayLike, density: SmoothedDensity, bins: Bins, *, sample_weight: ArrayLike | None = None
) -> Floats:
    """Weights ``(m,)`` that give held-out labels the density of the training labels; their mean is 1.

    For validation rows of a balanced split, which hold more rare labels than rows as they come. Rows with weights
    ``(m,)`` keep them within a value: the result is their product with what the density asks for.
    """
    y = label_array(y_val, "y_val")
    weight = row_weights(sample_weight, y.size)
    ratio = density(y) / SmoothedDensity.from_labels(y, bins, sample_weight=weight)(y)
    least = ratio[ratio > 0].min(initial=1.0)  # labels outside the training labels' range
    ratio = np.maximum(ratio, least) if weight is None else np.maximum(ratio, least) * weight
    return np.asarray(ratio / ratio.mean(), dtype=np.float64)


def cross_fitted(
    y: ArrayLike,
    pred: ArrayLike,
    folds: int | ArrayLike = 5,
    *,
    sample_weight: ArrayLike | None = None,
    group: ArrayLike | None = None,
    reference: ArrayLike | None = None,
    seed: int = 0,
) -> Mixture:
    """Return the distribution of each row's label given its prediction, fitted on the other folds.

    For judging decisions on the rows that the density is made of: no row is judged by a density that saw its label.

    Args:
        y: ``(n,)`` labels.
        pred: ``(n,)`` predictions of a model that was not trained on these rows, such as out-of-fold predictions.
        folds: number of random folds of equal size, or ``(n,)`` fold of each row (rows of one group in one fold).
        sample_weight: ``(n,)`` above 0, as in :meth:`ConditionalDensity.fit`.
        group: ``(n,)`` group of each row, such as the person: the groups are drawn into folds, each of them whole.
        reference: ``(n,)`` bools, the rows that densities are fitted to, such as healthy controls; by default all. The
            other rows get the density of all reference rows, less those of their own group.
        seed: of random folds.

    Raises:
        InputError: fewer than two folds or groups, fewer than 20 rows outside a fold, shapes that differ, values that
            are not finite, groups beside folds that are given row by row.

    Example:
        >>> age = np.random.default_rng(0).uniform(20, 80, 600)
        >>> pred, healthy = 50 + 0.6 * (age - 50), np.arange(600) < 400
        >>> pred[~healthy] += 3  # five years older than they are, pulled to the middle
        >>> gap = cross_fitted(age, pred, reference=healthy).median() - age
        >>> bool(abs(gap[healthy].mean()) < 0.5), bool(abs(gap[~healthy].mean() - 5) < 0.5)
        (True, True)
    """
    labels, predictions = label_array(y, "y"), label_array(pred, "pred")
    weight = np.ones(labels.size) if sample_weight is None else label_array(sample_weight, "sample_weight")
    fits = _reference(reference, labels.size)
    fold = _folds(folds, fits, seed) if group is None else _group_folds(folds, group, fits, seed)
    if not labels.shape == predictions.shape == fold.shape == weight.shape:
        raise InputError(
            "y, pred, folds and sample_weight must have one value a row, got "
            f"{labels.size}, {predictions.size}, {fold.size} and {weight.size}"
        )
    parts: list[Mixture] = []
    rows: list[NDArray[np.int64]] = []
    for name in np.unique(fold):
        others, inside = fits & (fold != name), np.flatnonzero(fold == name)
        if others.sum() < FEWEST:
            raise InputError(
                f"with a fold left out, {int(others.sum())} rows are left to fit distributions to; at least {FEWEST} "
                "are needed: give more rows, or groups of fewer rows"
            )
        fitted = ConditionalDensity.fit(labels[others], predictions[others], sample_weight=weight[others])
        parts.append(fitted.predictive(predictions[inside]))
        rows.append(inside)
    order = np.argsort(np.concatenate(rows))
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in ("weights", "means", "scales"))
    weights, means, scales = (array[order] for array in arrays)
    return Mixture(weights, means, scales)


def cross_fitted_through(
    transform: Transform | None, y: Floats, pred: Floats, *, sample_weight: ArrayLike | None = None
) -> Predictive:
    """Return the distributions of :func:`cross_fitted`, fitted to transformed labels and predictions."""
    if transform is None:
        return cross_fitted(y, pred, sample_weight=sample_weight)
    rows = cross_fitted(transform.forward(y), transform.forward(pred), sample_weight=sample_weight)
    return Transformed(rows, transform)


def _reference(reference: ArrayLike | None, n: int) -> NDArray[np.bool_]:
    """Return which of n rows densities are fitted to."""
    if reference is None:
        return np.ones(n, dtype=bool)
    fits = np.asarray(reference)
    if fits.dtype != np.bool_ or fits.shape != (n,):
        raise InputError(f"reference must be ({n},) bools, one a row, got {fits.dtype} of shape {fits.shape}")
    return fits


_OUTSIDE = -1  # fold of the rows that no density is fitted to


def _folds(folds: int | ArrayLike, fits: NDArray[np.bool_], seed: int) -> NDArray[Any]:
    """Return the fold of each row; rows that no density is fitted to are a fold apart if folds are drawn."""
    if np.ndim(folds) == 0:
        n = int(fits.sum())
        count = whole(folds, "folds", least=2, most=max(n, 2))
        fold = np.full(fits.size, _OUTSIDE)
        fold[fits] = np.random.default_rng(seed).permutation(n) % count
        return fold
    given = np.asarray(folds)
    if given.ndim != 1 or np.unique(given).size < 2:
        raise InputError(f"folds must name at least two folds, one a row, got {np.unique(given).size}")
    return given


def _group_folds(folds: int | ArrayLike, group: ArrayLike, fits: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Return the fold of each row, that of its group; groups that no density is fitted to are a fold apart."""
    if np.ndim(folds) != 0:
        raise InputError("folds names the fold of each row, and group draws folds; give one of them")
    names = np.asarray(group)
    if names.shape != fits.shape:
        raise InputError(f"group must have shape {fits.shape}, one group a row, got shape {names.shape}")
    _, number = np.unique(names, return_inverse=True)
    fitted = np.unique(number[fits])
    if fitted.size < 2:
        raise InputError(f"folds need at least 2 groups of rows that densities are fitted to, got {fitted.size}")
    count = min(whole(folds, "folds", least=2), fitted.size)
    fold = np.full(int(number.max()) + 1, _OUTSIDE)
    fold[fitted] = np.random.default_rng(seed).permutation(fitted.size) % count
    return np.asarray(fold[number], dtype=np.int64)
