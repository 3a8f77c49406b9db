"""Distributions of labels with many zeros: the chance of 0, and a mixture cut off at 0 for labels above it."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from tailwise._checks import InputError, label_array, positive
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.predictive import NO_MASS
from tailwise.distributions.steps import StepFunction
from tailwise.distributions.tilted import TiltedMixture

FAR = 1e4  # standard deviations of the training labels, above which no label lies
_SMALLEST_SCALE = 1e-300


def zero_or_above(chance_of_zero: ArrayLike, above: Mixture, far: float) -> TiltedMixture:
    """Return distributions with an atom at 0 and, above it, a mixture without its part at and below 0; exact.

    Rows whose mixture has less than 1e-12 of its mass above 0 are certain of 0.

    Args:
        chance_of_zero: ``(n,)`` P(y = 0), from 0 to 1.
        above: ``n`` distributions of labels above 0, target units.
        far: a value, target units, above which no label lies.

    Raises:
        InputError: another number of chances than of rows, chances outside 0 to 1, ``far`` that is not above 0.

    Example:
        >>> rain = zero_or_above([0.6], Mixture([[1.0]], [[0.0]], [[2.0]]), far=1e3)
        >>> rain.cdf(0.0).tolist(), rain.below(0.0).tolist(), rain.above(0.0).round(12).tolist()
        ([0.6], [0.0], [0.4])
    """
    zero = label_array(chance_of_zero, "chance_of_zero")
    if zero.shape != (len(above),) or not ((zero >= 0) & (zero <= 1)).all():
        raise InputError(f"chance_of_zero must have one number from 0 to 1 a row, ({len(above)},), got {zero.shape}")
    weights = above.weights * ndtr(above.means / np.maximum(above.scales, _SMALLEST_SCALE))
    mass = weights.sum(axis=1)
    lost = mass < NO_MASS
    zero = np.where(lost, 1.0, zero)
    factor = np.where(lost, 0.0, (1 - zero) / np.where(lost, 1.0, mass))
    column = np.zeros((len(above), 1))
    mixture = Mixture(
        np.hstack([zero[:, None], factor[:, None] * above.weights]),
        np.hstack([column, above.means]),
        np.hstack([column, above.scales]),
    )
    return mixture.tilt(StepFunction(np.array([0.0, positive(far, "far")]), np.ones(1)))
