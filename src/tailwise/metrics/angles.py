"""Angle between two directions given as pitch and yaw."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise.metrics.errors import label_pair

_PITCH_AND_YAW = 2


def angular_error(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    """Return ``(n,)`` angles between predicted and true directions of gaze, degrees, from 0 to 180.

    A direction with pitch θ (up) and yaw φ (to the side) is (cos θ sin φ, sin θ, cos θ cos φ), as in the normalised
    data of MPIIGaze (Zhang et al., CVPR 2015) except for the signs of the axes, which do not change angles.

    Args:
        y_true: ``(n, 2)`` pitch and yaw, degrees.
        y_pred: ``(n, 2)`` pitch and yaw, degrees.

    Raises:
        InputError: other shapes, values that are not finite.

    Example:
        >>> angular_error([[0.0, 0.0], [60.0, 10.0]], [[0.0, 30.0], [60.0, 190.0]]).round(6).tolist()
        [30.0, 60.0]
    """
    true, pred = label_pair(y_true, y_pred)
    if true.shape[1:] != (_PITCH_AND_YAW,):
        raise InputError(f"an angular error needs pitch and yaw, (n, 2), got shape {true.shape}")
    a, b = _direction(true), _direction(pred)
    # The arc cosine of the inner product is inexact for small angles.
    sine, cosine = np.linalg.norm(np.cross(a, b), axis=1), np.einsum("ij,ij->i", a, b)
    return np.asarray(np.degrees(np.arctan2(sine, cosine)), dtype=np.float64)


def _direction(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    pitch, yaw = np.radians(angles).T
    return np.stack([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)], axis=1)
