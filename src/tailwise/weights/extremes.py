"""Spread of the weights over the training rows, and the warning about extreme ones."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_EXTREME = 20.0


class Spread(NamedTuple):
    """Spread of the weights of training rows.

    Args:
        largest: largest weight over the mean.
        effective_size: effective sample size, (Σw)² / Σw².
        n: number of rows.
    """

    largest: float
    effective_size: float
    n: float


def spread_of(weights: NDArray[np.float64], rows: NDArray[np.float64]) -> Spread:
    """Compute the spread of weights; ``rows`` counts the rows of each weight."""
    n, total = rows.sum(), rows @ weights
    return Spread(float(weights[rows > 0].max() * n / total), float(total**2 / (rows @ weights**2)), float(n))


def warn_if_extreme(spread: Spread, way_out: str) -> None:
    """Warn about extreme weights, at the line that called the public function."""
    if spread.largest > _EXTREME:
        warnings.warn(
            f"the weights are extreme: the largest is {spread.largest:.5g} times the mean, effective sample size "
            f"{spread.effective_size:,.1f} of {spread.n:,.0f} rows; {way_out}",
            UserWarning,
            stacklevel=3,
        )
