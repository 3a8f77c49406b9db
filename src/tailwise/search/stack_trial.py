"""Scores of a stack in a search: errors out of fold, at the balance that serves the aim best."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.protocol import OutOfFold
from tailwise.backends.stack.experts import CENSORED_EXPERT
from tailwise.data.task import Task
from tailwise.distributions.atoms import atoms_of
from tailwise.distributions.decisions import Decision, Dial
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.transformed import Transformed
from tailwise.experiment.balance_choice import CANDIDATES
from tailwise.experiment.held_out import HeldOut
from tailwise.search.aim import Aim


def errors_of(task: Task, known: OutOfFold, pred: NDArray[np.float64]) -> dict[str, float]:
    """Return the errors of predictions ``(m,)`` of the rows that were predicted out of fold."""
    weight = None if task.weight is None else task.weight[known.rows]
    return task.errors(task.y[known.rows], pred, weight)


def plain_errors(task: Task, known: OutOfFold) -> dict[str, float]:
    """Return the out-of-fold errors of a stack's plain network, or of its mixture network where labels are censored."""
    name = known.plain if task.censoring is None else CENSORED_EXPERT
    return errors_of(task, known, known.points[name])


def best_balance(
    task: Task, known: OutOfFold, aim: Aim, vanilla: Mapping[str, float]
) -> tuple[float, dict[str, float]]:
    """Return the balance whose out-of-fold errors serve an aim best, and these errors.

    Balances within the limit of the overall error come first; if none is, the one that exceeds it least. Where labels
    are censored the density of the true values is unknown, and the balance is 0.

    Args:
        task: the task.
        known: what a stack predicts of rows that its models were not trained on.
        aim: the error to minimise, and the limit of the overall error.
        vanilla: errors of the plain network.
    """
    y = task.y[known.rows]
    weight = None if task.weight is None else task.weight[known.rows]
    outputs = known.outputs
    if not isinstance(outputs.predictive, Predictive):
        raise TypeError("a stack gives distributions of one target")
    counts = np.ones(len(y)) if weight is None else weight
    distributions: Predictive = outputs.predictive
    if task.censoring is not None:
        return 0.0, errors_of(task, known, distributions.median())
    if not isinstance(distributions, Transformed):  # of a transformed target without the values that many labels share
        held = HeldOut(y, outputs.pred, counts, False, distributions, atoms_of(y, None))
        distributions = held.distributions or distributions
    dial = Dial.from_labels(y, task.shots.scalar_bins, sample_weight=weight)
    tried = [
        (balance, errors_of(task, known, Decision(balance=balance).of(distributions, dial))) for balance in CANDIDATES
    ]
    return min(tried, key=lambda one: (max(0.0, aim.excess(one[1], vanilla)), aim.value(one[1])))
