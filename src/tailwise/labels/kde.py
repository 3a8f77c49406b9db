"""Gaussian kernel density of scalar labels on a grid, and bandwidths of scalar and K-dimensional labels."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import one_of, positive
from tailwise.labels.kernels import Compat

Rule = Literal["silverman", "scott"]
RULES = ("silverman", "scott")

_NODES = 4096
_BANDWIDTHS = 4.0
_REFERENCE_TAIL = 1e-4
_NORMAL_QUARTILES = 1.3489795003921634  # interquartile range of a standard normal distribution


def scalar_bandwidth(y: NDArray[np.float64], bandwidth: float | Rule | None) -> float:
    """Return the bandwidth h of ``(n,)`` labels, target units.

    ``None`` is the normal-reference rule 1.06 σ n^(-1/5), ``"scott"`` σ n^(-1/5), ``"silverman"``
    (4 / 3n)^(1/5) min(σ, IQR / 1.349); the last two use the sample standard deviation. Constant labels count as σ = 1.

    Raises:
        InputError: a bandwidth that is neither a rule nor a finite number above 0.
    """
    shrinking = y.size**-0.2
    if bandwidth is None:
        return float(1.06 * (y.std() or 1.0) * shrinking)
    if not isinstance(bandwidth, str):
        return positive(bandwidth, "bandwidth")
    one_of(bandwidth, "bandwidth", RULES)
    spread = float(y.std(ddof=1)) if y.size > 1 else 0.0
    if bandwidth == "silverman":
        low, high = np.percentile(y, [25, 75])
        # The interquartile range is 0 if half of the labels are equal.
        spread = min(spread, (high - low) / _NORMAL_QUARTILES) or spread
        shrinking *= (4 / 3) ** 0.2
    return float((spread or 1.0) * shrinking)


def row_bandwidth(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(K,)`` bandwidths of ``(n, K)`` labels by the normal-reference rule, σ_j (4 / ((K+2) n))^(1 / (K+4))."""
    n, k = rows.shape
    spread = rows.std(axis=0)
    return np.asarray(np.where(spread > 0, spread, 1.0) * (4 / ((k + 2) * n)) ** (1 / (k + 4)), dtype=np.float64)


def grid_margin(bandwidth: float, compat: Compat = "paper") -> float:
    """Return the reach of the grid beyond the labels, which is also the half-width of the kernel; target units.

    4 bandwidths; with ``"reference"`` the distance at which the kernel falls to 1e-4 per unit of the target, unless its
    maximum is below.
    """
    ratio = _REFERENCE_TAIL * bandwidth * np.sqrt(2 * np.pi)
    if compat == "reference" and ratio < 1:
        return float(bandwidth * np.sqrt(-2 * np.log(ratio)))
    return _BANDWIDTHS * bandwidth


def binned_density(
    y: NDArray[np.float64], bandwidth: float, *, margin: float
) -> tuple[float, float, NDArray[np.float64]]:
    """Return first node, step and density at the nodes of a grid over ``(n,)`` labels.

    The mass of every label is divided linearly between its two neighbouring nodes, and the masses are convolved with
    the kernel. A bandwidth below the step leaves the masses unsmoothed, so it acts like a bandwidth of one step.

    Args:
        y: labels.
        bandwidth: h, in the units of ``y``.
        margin: from :func:`grid_margin`.
    """
    start = float(y.min()) - margin
    step = (float(y.max()) + margin - start) / (_NODES - 1)
    position = (y - start) / step
    left = np.clip(position.astype(np.int64), 0, _NODES - 2)
    fraction = position - left
    mass = np.bincount(left, 1 - fraction, minlength=_NODES) + np.bincount(left + 1, fraction, minlength=_NODES)
    density = smoothed_masses(mass, step, bandwidth, margin=margin) / (y.size * bandwidth * np.sqrt(2 * np.pi))
    return start, step, np.maximum(density, 0.0)


def smoothed_masses(mass: NDArray[Any], step: float, bandwidth: float, *, margin: float) -> NDArray[np.float64]:
    """Return masses at the nodes of a grid convolved with exp(-(distance / bandwidth)² / 2) up to the margin."""
    from scipy.signal import fftconvolve

    half = int(margin / step)
    kernel = np.exp(-((np.arange(-half, half + 1) * step / bandwidth) ** 2) / 2)
    return np.asarray(fftconvolve(mass, kernel)[half : half + mass.size], dtype=np.float64)
