"""Smallest difference that a paired test finds, and number of splits that would decide an open one."""

import numpy as np
from scipy.special import stdtrit

from tailwise.compare.paired import Paired

CHANCE = 0.8  # of finding a difference, the power of the test
MOST_SPLITS = 100


def smallest_difference(paired: Paired, level: float) -> float | None:
    """Return the mean difference that the test of a pair would have found with a chance of 80 %, target units.

    Args:
        paired: a paired test.
        level: significance level of the test, two-sided, after the correction for other comparisons.

    Returns:
        A size above 0; ``None`` of cells that are inconclusive or do not differ at all.

    Example:
        >>> from tailwise.compare.paired import compare_paired
        >>> round(smallest_difference(compare_paired([2.7, 3.0, 2.8], [3.0, 3.2, 2.9]), 0.05), 2)
        0.31
    """
    if paired.error is None or paired.degrees is None:
        return None
    return paired.error * (float(stdtrit(paired.degrees, 1 - level / 2)) + float(stdtrit(paired.degrees, CHANCE)))


def splits_needed(paired: Paired, level: float) -> int | None:
    """Return the number of splits with which the mean difference of a pair would be found with a chance of 80 %.

    Args:
        paired: a paired test that found nothing.
        level: significance level of the test, two-sided, after the correction for other comparisons.

    Returns:
        More than the pair has and at most 100; ``None`` where that many are not enough: splits of one table share its
        rows, so the variance has a floor.

    Example:
        >>> from tailwise.compare.paired import compare_paired
        >>> splits_needed(compare_paired([2.7, 3.0, 2.8], [3.0, 3.2, 2.9]), 0.05)
        5
    """
    if paired.error is None or paired.degrees is None or not paired.difference:
        return None
    n = np.arange(paired.n + 1, MOST_SPLITS + 1)
    errors = paired.error * np.sqrt((1 / n + paired.shared) / (1 / paired.n + paired.shared))
    degrees = paired.degrees * (n - 1) / (paired.n - 1)
    enough = abs(paired.difference) >= errors * (stdtrit(degrees, 1 - level / 2) + stdtrit(degrees, CHANCE))
    return int(n[enough.argmax()]) if enough.any() else None
