"""The chance of a label of 0 in a stack: a logistic regression on what several experts say about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from tailwise.distributions.logistic import logistic_coefficients

Floats = NDArray[np.float64]

_SURE = 0.005  # chances of experts are believed to this distance from 0 and 1


@dataclass(frozen=True, eq=False)
class ZeroChance:
    """P(y = 0) of rows, from the chances that experts give out of fold.

    With the chances p_j of k experts the chance is

        logit P(y = 0 | x) = intercept + sum of slope_j * logit p_j(x),

    fitted by likelihood (Platt, *Probabilistic outputs for support vector machines*, 1999), one member for each fold,
    which is not fitted to the rows of that fold. Where the derivatives of the likelihood are 0 the chances add up to
    the number of zeros. One row's weight draws each coefficient towards the mean of the experts, 0 and 1/k.

    Args:
        coefficients: ``(members, 1 + k)`` intercept and slopes.
    """

    coefficients: Floats

    @classmethod
    def fit(
        cls,
        chances: Floats,
        is_zero: NDArray[np.bool_],
        fold: NDArray[np.int64],
        weight: Floats | None = None,
        *,
        forward: bool = False,
    ) -> Self:
        """Fit to out-of-fold rows.

        Args:
            chances: ``(n, k)`` chances of 0 by each expert, out of fold; numbers outside 0 to 1 count as its ends.
            is_zero: ``(n,)`` whether the label is 0.
            fold: ``(n,)`` fold of each row, from 0.
            weight: ``(n,)`` how much each row counts.
            forward: whether folds are in the order of time, and a member is fitted to earlier folds alone; that of the
                first fold, which has none, to this fold.
        """
        logits = _logits(chances)
        counts = np.ones(len(chances)) if weight is None else weight / weight.mean()
        members = []
        for number in range(int(fold.max()) + 1):
            used = fold < max(number, 1) if forward else fold != number
            members.append(logistic_coefficients(logits[:, used], is_zero[used].astype(np.float64), counts[used]))
        return cls(np.stack(members))

    def chance(self, chances: Floats) -> Floats:
        """Return P(y = 0), the mean of all members, from chances ``(n, k)`` of the experts."""
        intercepts, slopes = self.coefficients[:, :1], self.coefficients[:, 1:]
        return np.asarray(expit(intercepts + slopes @ _logits(chances)).mean(axis=0), dtype=np.float64)

    def out_of_fold(self, chances: Floats, fold: NDArray[np.int64]) -> Floats:
        """Return P(y = 0) of each row by the member that was not fitted to it."""
        of_rows = self.coefficients[fold]
        return np.asarray(expit(of_rows[:, 0] + (of_rows[:, 1:] * _logits(chances).T).sum(axis=1)), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {"coefficients": self.coefficients.tolist()}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        return cls(np.asarray(saved["coefficients"], dtype=np.float64))


def _logits(chances: Floats) -> Floats:
    """Return ``(k, n)`` logits of the chances ``(n, k)`` of the experts."""
    return np.asarray(logit(np.clip(chances, _SURE, 1 - _SURE)).T, dtype=np.float64)
