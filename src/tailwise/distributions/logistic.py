"""Logistic regression of calibration: drawn by one row's weight towards the mean of what it calibrates."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

_NEWTON_STEPS = 30
_SMALL_STEP = 1e-6


def logistic_coefficients(logits: Floats, y: Floats, weight: Floats) -> Floats:
    """Return ``(1 + k,)`` intercept and slopes, fitted by likelihood.

    Newton's method, with steps of at most 1. The weight of one row draws the coefficients towards 0 and 1/k, so that
    no set of rows makes them infinite.

    Args:
        logits: ``(k, n)`` logits of the chances that are calibrated.
        y: ``(n,)`` 1 where it happened, else 0.
        weight: ``(n,)`` how much each row counts.

    Example:
        >>> happened = np.tile([1.0, 0.0, 0.0, 0.0], 250)
        >>> logistic_coefficients(np.zeros((1, 1000)), happened, np.ones(1000)).round(2).tolist()
        [-1.09, 1.0]
    """
    k = len(logits)
    columns = np.vstack([np.ones(logits.shape[1]), logits])
    start = beta = np.concatenate([[0.0], np.full(k, 1 / k)])
    for _ in range(_NEWTON_STEPS):
        p = expit(beta @ columns)
        gradient = columns @ (weight * (y - p)) - (beta - start)
        curvature = (columns * (weight * p * (1 - p))) @ columns.T + np.eye(1 + k)
        step: Floats = np.linalg.solve(curvature, gradient)
        beta = beta + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < _SMALL_STEP:
            break
    return beta
