"""From out-of-fold predictions to a choice: balanced error, a guard of the overall error, one standard error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.03


@dataclass(frozen=True)
class Ground:
    """Rows on which candidates are compared, with their folds, and the weights of the bins.

    Args:
        y: ``(n,)`` labels, target units.
        fold: ``(n,)`` fold of each row.
        index: ``(n,)`` bin of each row.
        fraction: ``(n_bins,)`` estimated fraction of the rows to be predicted that are in the bin.
    """

    y: NDArray[np.float64]
    fold: NDArray[np.int64]
    index: NDArray[np.int64]
    fraction: NDArray[np.float64]

    def errors(self, size: NDArray[np.float64], used: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Return the overall and the balanced mean of errors, ``(2, ...)``.

        Both are means over bins of the mean error in the bin: the overall one weights bins by ``fraction``, the
        balanced one weights all bins with a positive fraction equally.

        Args:
            size: ``(n, ...)`` absolute errors.
            used: ``(n,)`` mask of rows; all rows by default.
        """
        rows = np.ones(len(self.y), dtype=bool) if used is None else used
        count = np.bincount(self.index[rows], minlength=self.fraction.size)
        total = np.zeros((self.fraction.size, *size.shape[1:]))
        np.add.at(total, self.index[rows], size[rows])
        kept = (count > 0) & (self.fraction > 0)
        mean = total[kept] / count[kept].reshape(-1, *[1] * (size.ndim - 1))
        weight = self.fraction[kept] / self.fraction[kept].sum()
        return np.stack([np.tensordot(weight, mean, axes=1), mean.mean(axis=0)])


@dataclass(frozen=True)
class Score:
    """Errors of one candidate.

    Args:
        overall: mean absolute error for the distribution of the rows to be predicted, target units.
        balanced: mean over bins of the mean absolute error in each, target units.
        change: relative change of the overall error against vanilla; 0.02 is 2 % worse.
        change_error: standard error of ``change``.
        behind: balanced error minus that of the best eligible candidate, target units.
        behind_error: standard error of ``behind``.
        eligible: whether the overall error is within the tolerance.
    """

    overall: float
    balanced: float
    change: float
    change_error: float
    behind: float
    behind_error: float
    eligible: bool


def judge(ground: Ground, predictions: Sequence[NDArray[np.float64]]) -> tuple[list[Score], int]:
    """Return the scores of candidates, and the position of the chosen one.

    1. A candidate is eligible if its overall error is at most 3 % above vanilla's, one standard error of
       the difference included. Vanilla always is eligible.
    2. The best candidate is the eligible one with the lowest balanced error.
    3. The chosen candidate is the simplest one whose balanced error is within one standard error of the best one's. The
       standard error is that of the difference of the two; Breiman et al., *Classification and Regression Trees*, 1984,
       use that of the best one.

    Standard errors are jackknife estimates over the folds, of paired differences.

    Args:
        ground: rows and weights of bins.
        predictions: ``(n,)`` predictions of each candidate, from simple to complex; vanilla first.
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
    """Return errors divided by vanilla's; if vanilla has no error, 1 for no error and 2 for any."""
    if overall[0] > 0:
        return np.asarray(overall / overall[0], dtype=np.float64)
    return np.where(overall > 0, 2.0, 1.0)


def _jackknife(left_out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(m,)`` standard errors from ``(folds, m)`` values that each leave out one fold."""
    folds = len(left_out)
    spread = np.square(left_out - left_out.mean(axis=0)).sum(axis=0)
    error: NDArray[np.float64] = np.sqrt((folds - 1) / folds * spread)
    return error
