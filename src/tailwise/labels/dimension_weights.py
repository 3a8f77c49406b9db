"""Weights of label dimensions: how much each counts in losses and errors over all of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError, positive

DimensionWeights = tuple[float, ...] | None


def dimension_weights(weights: Sequence[float] | None, k: int) -> DimensionWeights:
    """Return the weights of ``k`` dimensions; ``None`` where all are equal, so that none is used.

    Raises:
        InputError: another number of weights, one that is not finite and above 0.

    Example:
        >>> dimension_weights([2, 1], 2), dimension_weights([3, 3], 2)
        ((2.0, 1.0), None)
    """
    if weights is None:
        return None
    if len(weights) != k:
        raise InputError(f"weights must have one number a dimension, {k}, got {len(weights)}")
    values = tuple(positive(value, "weights") for value in weights)
    return None if len(set(values)) == 1 else values


def relative_weights(weights: Sequence[float]) -> NDArray[np.float64]:
    """Return ``(K,)`` weights of mean 1.

    >>> relative_weights([3, 1]).tolist()
    [1.5, 0.5]
    """
    values = np.asarray(weights, dtype=np.float64)
    return np.asarray(values / values.mean(), dtype=np.float64)
