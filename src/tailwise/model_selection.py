"""Model selection for imbalanced targets: folds stratified over the target, and scorers by region."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import make_scorer
from sklearn.model_selection import BaseCrossValidator, StratifiedGroupKFold
from sklearn.utils import check_random_state

from tailwise._checks import InputError, label_array, one_of, whole
from tailwise.labels.bins import Bins
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.errors import sera
from tailwise.metrics.region_errors import region_errors

Scorer = Callable[[BaseEstimator, ArrayLike, ArrayLike], float]
"""``scorer(model, X, y)``, as scikit-learn takes it."""

_ERRORS = ("mae", "rmse", "gm", "balanced_mae")
SCORERS = (*_ERRORS, *(f"{region}_shot_mae" for region in REGIONS), "sera")


class _RegressionFolds(BaseCrossValidator):  # type: ignore[misc]
    """Base of the folds: number of folds and random seed."""

    def __init__(self, n_splits: int = 5, *, shuffle: bool = True, random_state: Any = None) -> None:
        self.n_splits = whole(n_splits, "n_splits", least=2)
        self.shuffle, self.random_state = shuffle, random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002
        """Return K."""
        return self.n_splits


class StratifiedRegressionKFold(_RegressionFolds):
    """K folds stratified evenly over the range of the target.

    Rows are sorted by target, and each run of K neighbours is distributed over the K folds: any region with at least K
    rows is in every fold, and the distributions of the folds differ by at most one row in K in any range.

    Args:
        n_splits: K, at least 2.
        shuffle: draw the folds of K neighbours, and the order of equal targets; otherwise both follow the order of the
            rows.
        random_state: random seed of the draws.

    Raises:
        InputError: fewer rows than folds, targets that are not finite.

    Example:
        >>> y = np.array([0.0] * 8 + [90.0, 100.0])
        >>> folds = StratifiedRegressionKFold(2, random_state=0).split(np.zeros((10, 1)), y)
        >>> [int((y[test] > 50).sum()) for _, test in folds]
        [1, 1]
    """

    def _iter_test_indices(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[NDArray[np.int64]]:  # noqa: ARG002
        labels = _labels(y, self.n_splits)
        n, k = labels.size, self.n_splits
        if self.shuffle:
            random = check_random_state(self.random_state)
            order = np.lexsort((random.permutation(n), labels))
            places = np.argsort(random.random_sample((-(-n // k), k)), axis=1).ravel()[:n]
        else:
            order, places = np.argsort(labels, kind="stable"), np.arange(n) % k
        fold = np.empty(n, dtype=np.int64)
        fold[order] = places
        for number in range(k):
            yield np.flatnonzero(fold == number)


class StratifiedRegressionGroupKFold(_RegressionFolds):
    """K folds that never split a group, stratified over the target as evenly as the groups allow.

    scikit-learn's ``StratifiedGroupKFold`` over the bins of the target, with neighbouring bins merged until each has at
    least K rows.

    Args:
        n_splits: K, at least 2.
        shuffle: shuffle the groups first.
        random_state: random seed of the shuffling.

    Raises:
        InputError: fewer groups than folds, targets that are not finite.
    """

    def _iter_test_indices(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[NDArray[np.int64]]:
        labels = _labels(y, self.n_splits)
        if groups is None:
            raise InputError("groups is missing; pass groups=, or use StratifiedRegressionKFold")
        n_groups = len(np.unique(np.asarray(groups)))
        if n_groups < self.n_splits:
            raise InputError(f"groups has {n_groups} groups, fewer than the {self.n_splits} folds; lower n_splits")
        folds = StratifiedGroupKFold(
            self.n_splits, shuffle=self.shuffle, random_state=self.random_state if self.shuffle else None
        )
        for _, test in folds.split(np.zeros(labels.size) if X is None else X, _strata(labels, self.n_splits), groups):
            yield test


def region_scorers(y: ArrayLike, *, bins: Bins | None = None, shots: Shots | None = None) -> dict[str, Scorer]:
    """Return scorers for scikit-learn's searches and cross-validation, all negative errors (higher is better).

    ``mae``, ``rmse``, ``gm`` (geometric mean of |e|), ``balanced_mae`` (every bin counts the same), ``many_shot_mae``,
    ``medium_shot_mae``, ``few_shot_mae``, ``zero_shot_mae`` for regions with labels, and ``sera`` if any label is
    extreme. Regions and relevance come from ``y``, the same in every fold. A scorer of a region raises an error in a
    fold without rows of it, since no number stands for them; scikit-learn turns errors into NaN and warnings, unless
    ``error_score="raise"``. :class:`StratifiedRegressionKFold` gives every fold rows of any range with K rows.

    Args:
        y: ``(n,)`` labels of all rows that may be used for training, never of a test set.
        bins: bins of the target; ``Bins.auto(y)`` if not given.
        shots: regions; from ``y`` and ``bins`` if not given.

    Raises:
        InputError: labels that are not finite, both bins and shots.

    Example:
        >>> sorted(region_scorers([1.0, 2.0, 3.0, 50.0]))[:3]
        ['balanced_mae', 'few_shot_mae', 'gm']
    """
    if bins is not None and shots is not None:
        raise InputError("give bins or shots, not both: shots include bins")
    labels = label_array(y)
    regions = Shots.from_labels(labels, Bins.auto(labels) if bins is None else bins) if shots is None else shots
    relevance = Relevance.extremes(labels)
    present = set(np.unique(regions.names(labels)).tolist())
    names = [*_ERRORS, *(f"{region}_shot_mae" for region in REGIONS if region in present)]
    names += [] if relevance is None else ["sera"]
    return {
        name: make_scorer(region_error, greater_is_better=False, name=name, shots=regions, relevance=relevance)
        for name in names
    }


def region_error(
    y_true: ArrayLike, y_pred: ArrayLike, *, name: str, shots: Shots, relevance: Relevance | None = None
) -> float:
    """Compute one error of :func:`region_scorers`.

    Args:
        y_true: ``(n,)`` labels, target units.
        y_pred: ``(n,)`` predictions.
        name: name of the scorer.
        shots: regions, from training labels.
        relevance: φ, for ``"sera"``.

    Raises:
        InputError: an unknown name, SERA without relevance, no row of the region.
    """
    one_of(name, "name", SCORERS)
    if name == "sera":
        if relevance is None:
            raise InputError("sera needs a relevance, for example Relevance.extremes(y_train)")
        return sera(y_true, y_pred, relevance(y_true))
    errors = region_errors(y_true, y_pred, shots)
    if name in _ERRORS:
        return errors["all"]["bmae" if name == "balanced_mae" else name]
    region = name.removesuffix("_shot_mae")
    if region not in errors:
        raise InputError(
            f"{name}: none of the {len(np.asarray(y_true))} rows to score is {region}-shot; use fewer folds, "
            "StratifiedRegressionKFold, or balanced_mae, which every fold has"
        )
    return errors[region]["mae"]


def _labels(y: Any, n_splits: int) -> NDArray[np.float64]:
    """Return the labels to stratify; raise if there are fewer than folds."""
    if y is None:
        raise InputError("y is missing; stratified folds need it")
    labels = label_array(y)
    if labels.size < n_splits:
        raise InputError(f"y has {labels.size} rows, fewer than the {n_splits} folds; lower n_splits")
    return labels


def _strata(labels: NDArray[np.float64], least: int) -> NDArray[np.int64]:
    """Return the bin of each label, with neighbouring bins merged until each has at least ``least`` rows."""
    if labels.min() == labels.max():
        return np.zeros(labels.size, dtype=np.int64)
    index = Bins.auto(labels).index(labels)
    counts = np.bincount(index)
    stratum, rows, strata = 0, 0, np.empty(counts.size, dtype=np.int64)
    for b, count in enumerate(counts.tolist()):
        strata[b] = stratum
        rows += count
        if rows >= least:
            stratum, rows = stratum + 1, 0
    if rows:  # the last bins have too few rows
        strata[strata == stratum] = max(stratum - 1, 0)
    return strata[index]
