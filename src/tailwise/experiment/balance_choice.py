"""Choose a balance on rows that a model was not trained on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tailwise.distributions.decisions import Decision, Dial
from tailwise.distributions.predictive import Predictive
from tailwise.labels.shots import Shots
from tailwise.metrics.errors import balanced_mean_absolute_error
from tailwise.metrics.region_errors import error_as_rows_come

CANDIDATES = tuple(np.linspace(0.0, 1.0, 9).tolist())


@dataclass(frozen=True)
class BalanceChoice:
    """A chosen balance and why.

    Args:
        balance: the choice.
        bound: error as rows come that a choice may have, target units.
        as_rows_come: error as rows come at each candidate, target units.
        evenly: error evenly over values (of each bin, then the mean) at each candidate, target units.
    """

    balance: float
    bound: float
    as_rows_come: tuple[float, ...]
    evenly: tuple[float, ...]

    @property
    def reasons(self) -> list[tuple[float, float, float, str]]:
        """Each candidate with its error as rows come, evenly, and a word why it is chosen or not."""
        lines = zip(CANDIDATES, self.as_rows_come, self.evenly, strict=True)
        return [(balance, come, evenly, self._reason(balance, come)) for balance, come, evenly in lines]

    def _reason(self, balance: float, come: float) -> str:
        if balance == self.balance:
            return "chosen"
        return "higher evenly" if come <= self.bound else "beyond the limit as rows come"


def choose_balance(
    y: NDArray[np.float64],
    predictive: Predictive,
    dial: Dial,
    shots: Shots,
    *,
    plain: NDArray[np.float64] | None = None,
    within: float = 0.0,
    weight: NDArray[np.float64] | None = None,
) -> BalanceChoice:
    """Choose the balance with the lowest error evenly over values whose error as rows come is within a bound.

    Args:
        y: ``(n,)`` labels of rows that neither the model nor its distributions were fitted to.
        predictive: their distributions.
        dial: of the training labels.
        shots: regions, from training labels.
        plain: ``(n,)`` predictions of a plain model for these rows, or ``(m, n)`` of several, whose lowest error as
            rows come is the bound; by default the model's own at balance 0.
        within: by how much the error as rows come may exceed the bound, 0.05 for 5 %.
        weight: ``(n,)`` how much each row counts in both errors.

    Example:
        >>> from tailwise.distributions import Mixture
        >>> y = np.random.default_rng(0).exponential(10.0, 2000)
        >>> rows = Mixture(np.ones((2000, 1)), (5 + 0.5 * y)[:, None], np.full((2000, 1), 4.0))
        >>> dial, shots = Dial.from_labels(y), Shots.from_labels(y)
        >>> [choose_balance(y, rows, dial, shots, within=within).balance for within in (0.0, 0.1, 1.0)]
        [0.0, 0.75, 1.0]
    """
    decided = [Decision(balance=balance).of(predictive, dial) for balance in CANDIDATES]
    come = tuple(error_as_rows_come(y, pred, shots, sample_weight=weight) for pred in decided)
    bins = shots.scalar_bins
    evenly = tuple(balanced_mean_absolute_error(y, pred, bins, sample_weight=weight) for pred in decided)
    rivals = () if plain is None else np.atleast_2d(plain)
    of_plain = min((error_as_rows_come(y, one, shots, sample_weight=weight) for one in rivals), default=come[0])
    bound = of_plain * (1 + within)
    allowed = [place for place, error in enumerate(come) if error <= bound] or [int(np.argmin(come))]
    best = min(allowed, key=lambda place: evenly[place])
    return BalanceChoice(CANDIDATES[best], bound, come, evenly)
