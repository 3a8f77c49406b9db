"""Score of predicted remaining useful lives: late predictions cost more than early ones."""

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError
from tailwise.metrics.errors import label_pair

_EARLY, _LATE = 13.0, 10.0  # cycles
_LARGEST = 600.0  # exponent whose exponential, times any number of rows, is finite


def nasa_score(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the asymmetric score of C-MAPSS, a sum over rows without a unit; 0 is perfect.

    Saxena, Goebel, Simon and Eklund, *Damage Propagation Modeling for Aircraft Engine Run-to-Failure Simulation* (PHM
    2008): with d = ŷ - y in cycles, exp(-d / 13) - 1 for d < 0 and exp(d / 10) - 1 for d >= 0.

    Args:
        y_true: ``(n,)`` remaining useful lives, cycles.
        y_pred: ``(n,)`` predictions, cycles; an error counts at most 6,000 cycles.

    Raises:
        InputError: other shapes, values that are not finite.

    Example:
        >>> round(nasa_score([100.0, 100.0], [110.0, 87.0]), 4)
        3.4366
    """
    true, pred = label_pair(y_true, y_pred)
    if true.ndim != 1:
        raise InputError(f"the score needs one remaining life a row, (n,), got shape {true.shape}")
    d = pred - true
    return float(np.expm1(np.minimum(np.where(d < 0, -d / _EARLY, d / _LATE), _LARGEST)).sum())
