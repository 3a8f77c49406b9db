"""From out-of-fold predictions to a choice: balanced error, a guard of the overall error, one standard error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.03


@dataclass(frozen=True)
class Ground:
    """On what candidates are judged: rows with a fold each, and how much the bins count.

    Args:
        y: ``(n,)`` labels, target units.
        fold: ``(n,)`` fold of each row.
        index: ``(n,)`` bin of each row.
        share: ``(n_bins,)`` share of the bin among rows distributed as those to be predicted; 0 where there are none.
    """

    y: NDArray[np.float64]
    fold: NDArray[np.int64]
    index: NDArray[np.int64]
    share: NDArray[np.float64]

    def errors(self, size: NDArray[np.float64], here: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Overall and balanced mean of errors, ``(2, ...)``.

        Both are means over bins of the mean error in each: overall a bin counts as often as its rows will come,
        balanced all bins that will come count the same.

        Args:
            size: ``(n, ...)`` absolute errors.
            here: ``(n,)`` which rows to take; all if not given.
        """
        rows = np.ones(len(self.y), dtype=bool) if here is None else here
        count = np.bincount(self.index[rows], minlength=self.share.size)
        total = np.zeros((self.share.size, *size.shape[1:]))
        np.add.at(total, self.index[rows], size[rows])
        there = (count > 0) & (self.share > 0)
        mean = total[there] / count[there].reshape(-1, *[1] * (size.ndim - 1))
        share = self.share[there] / self.share[there].sum()
        return np.stack([np.tensordot(share, mean, axes=1), mean.mean(axis=0)])


@dataclass(frozen=True)
class Score:
    """How one candidate did.

    Args:
        overall: mean absolute error over rows that come as those to be predicted, target units.
        balanced: mean over bins of the mean absolute error in each, target units.
        change: of the overall error, relative to vanilla's; 0.02 is 2 % worse.
        change_error: standard error of that.
        behind: balanced error minus that of the best eligible candidate, target units.
        behind_error: standard error of that.
        eligible: whether the overall error is safe.
    """

    overall: float
    balanced: float
    change: float
    change_error: float
    behind: float
    behind_error: float
    eligible: bool


def judge(ground: Ground, predictions: Sequence[NDArray[np.float64]]) -> tuple[list[Score], int]:
    """Scores of candidates, and which is chosen.

    1. A candidate is eligible if its overall error is at most 3 % above vanilla's, one standard error of
       the difference included. Vanilla always is.
    2. Of these the best has the lowest balanced error.
    3. Chosen is the simplest whose balanced error is within one standard error of the best one's, the standard error
       being that of the difference of the two (Breiman et al., *Classification and Regression Trees*, 1984, there with
       that of the best alone).

    Standard errors are jackknifes over the folds of paired differences: what another draw of rows, and another
    training, would change.

    Args:
        ground: rows and shares.
        predictions: of each candidate ``(n,)``, from simple to complex; vanilla's first.
    """
    size = np.abs(np.column_stack(list(predictions)) - ground.y[:, None])
    overall, balanced = ground.errors(size)
    folds = [ground.errors(size, ground.fold != number) for number in np.unique(ground.fold)]
    left_out = np.stack(folds)  # (folds, 2, candidates)
    change = _ratio(overall) - 1
    change_error = _jackknife(np.stack([_ratio(one) for one in left_out[:, 0]]))
    eligible = change + change_error <= TOLERANCE
    eligible[0] = True
    best = int(np.flatnonzero(eligible)[np.argmin(balanced[eligible])])
    behind = balanced - balanced[best]
    behind_error = _jackknife(left_out[:, 1] - left_out[:, 1, [best]])
    chosen = int(np.flatnonzero(eligible & (behind <= behind_error))[0])
    columns = (overall, balanced, change, change_error, behind, behind_error)
    scores = [
        Score(*values) for values in zip(*(column.tolist() for column in columns), eligible.tolist(), strict=True)
    ]
    return scores, chosen


def _ratio(overall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Errors over vanilla's; of a vanilla without any error, 1 for none and 2 for any."""
    if overall[0] > 0:
        return np.asarray(overall / overall[0], dtype=np.float64)
    return np.where(overall > 0, 2.0, 1.0)


def _jackknife(left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(m,)`` standard errors from ``(folds, m)`` values that each leave out a fold."""
    folds = len(left_out)
    spread = np.square(left_out - left_out.mean(axis=0)).sum(axis=0)
    error: NDArray[np.float64] = np.sqrt((folds - 1) / folds * spread)
    return error
