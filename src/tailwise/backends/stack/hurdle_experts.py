"""Experts of a stack on a target with many zeros: some learn whether a label is 0, others how far it is above."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tailwise.backends.stack.experts import ABOVE, COMPARED_WITH, PLAIN, WHETHER_ZERO, Expert
from tailwise.data.task import Task
from tailwise.distributions.atoms import Lattice
from tailwise.labels.bins import Bins
from tailwise.labels.shots import Shots
from tailwise.metrics.region_errors import zero_rows

FEWEST_OF_FOLD = 10
WAY_OUT = " (`model.hurdle=false` turns that off)"

_OF_WHETHER = Bins.from_edges([-0.5, 0.5, 1.5])


def has_many_zeros(task: Task, fold: NDArray[np.int64]) -> bool:
    """Whether a fifth of the labels in folds are 0, none is below, and those above are no counts.

    Counts are left to :class:`tailwise.distributions.atoms.Lattice`, whose values all have masses. A 0 at which labels
    are censored stands for values below it too, and is no value that many labels share.

    Args:
        task: a table with one target.
        fold: ``(n,)`` fold of each row, -1 for rows that take no part.
    """
    y = task.y[fold >= 0]
    if task.units is not None and task.units.transform.forward(np.zeros(1))[0] != 0:
        return False
    if task.censoring is not None and task.censoring.below is not None:
        return False  # the lowest label is the limit
    return bool(zero_rows(y)) and bool(y.min() == 0) and Lattice.from_labels(y) is None


def enough_of_both(task: Task, fold: NDArray[np.int64]) -> bool:
    """Whether each fold, and the rows before the first in time, have ten zeros and ten different labels above 0."""
    sets = [fold == number for number in range(int(fold.max()) + 1)]
    if task.time is not None:
        sets.append((fold == -1) & np.isin(task.part, ["train", "val"]))
    labels = [task.y[rows] for rows in sets]
    return all((y == 0).sum() >= FEWEST_OF_FOLD and np.unique(y[y > 0]).size >= FEWEST_OF_FOLD for y in labels)


def learns_zeros_apart(task: Task, fold: NDArray[np.int64]) -> tuple[bool, str | None]:
    """Return whether a stack has a hurdle, and a note for the user on a target with many zeros.

    Args:
        task: a table with one target.
        fold: ``(n,)`` fold of each row, -1 for rows that take no part.
    """
    if not has_many_zeros(task, fold):
        return False, None
    if not enough_of_both(task, fold):
        return False, (
            f"stack: the chance of 0 is not learned apart, as a fold has fewer than {FEWEST_OF_FOLD} zeros or "
            f"fewer than {FEWEST_OF_FOLD} different labels above 0"
        )
    return True, (
        f"stack: {(task.y[fold >= 0] == 0).mean():.0%} of the labels are 0; the chance of 0 is learned apart from the "
        f"labels above 0{WAY_OUT}"
    )


def hurdle_experts(chosen: Sequence[Expert]) -> tuple[Expert, ...]:
    """Return the plain experts, two of whether a label is 0, and the chosen ones on labels above 0.

    Plain experts learn every label. The combiner does not see them: they are what a stack is compared with.
    """
    plain = sorted((expert for expert in chosen if expert.name in COMPARED_WITH), key=lambda e: e.name != PLAIN)
    whether = (Expert("lightgbm", "lightgbm"), Expert(PLAIN, "network"))
    return (
        *plain,
        *(replace(expert, name=f"{expert.name}: zero or not", learns=WHETHER_ZERO) for expert in whether),
        *(replace(expert, name=f"{expert.name} above 0", learns=ABOVE) for expert in chosen),
    )


def seen_by(expert: Expert, task: Task, fold: NDArray[np.int64]) -> tuple[Task, NDArray[np.int64]]:
    """Return the task and the folds as an expert learns from them.

    An expert of whether a label is 0 has labels of 1 and 0 for it; one of labels above 0 has no other rows.
    """
    if expert.learns == WHETHER_ZERO:
        is_zero = (task.y == 0).astype(np.float64)
        shots = Shots.from_labels(is_zero[fold >= 0], _OF_WHETHER)
        return replace(task, y=is_zero, shots=shots, relevance=None, units=None, censoring=None), fold
    if expert.learns == ABOVE:
        zero = task.y == 0
        left_out = zero & np.isin(task.part, ["train", "val"])
        return replace(task, part=np.where(left_out, "masked", task.part)), np.where(zero, -1, fold)
    return task, fold
