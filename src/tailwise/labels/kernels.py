"""Smoothing kernels over neighbouring bins, for LDS (label densities) and FDS (feature statistics)."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import convolve1d, gaussian_filter1d

from tailwise._checks import InputError, one_of, positive

Kernel = Literal["gaussian", "triangular", "laplace"]
Compat = Literal["paper", "reference"]
Padding = Literal["renormalise", "constant", "reflect", "mirror"]

KERNELS = ("gaussian", "triangular", "laplace")
COMPATS = ("paper", "reference")

_WIDEST_SIGMA = 1000.0


def kernel_window(
    kernel: Kernel = "gaussian", *, window: int = 5, sigma: float = 2.0, compat: Compat = "paper"
) -> NDArray[np.float64]:
    """Return the taps of a symmetric kernel over ``window`` bins, scaled so that the middle tap is 1.

    Symmetric kernels of Yang et al., *Delving into Deep Imbalanced Regression* (ICML 2021): ``gaussian`` is
    exp(-x² / 2σ²), ``laplace`` exp(-|x| / σ), ``triangular`` 1 - |x| / (half + 1), x in bins.

    Args:
        kernel: shape of the kernel.
        window: number of taps, odd.
        sigma: σ in bins; the triangular kernel ignores it.
        compat: ``"reference"`` gives the authors' Gaussian, whose tails are folded back into the window (5 taps,
            σ 2: .858 .946 1 .946 .858 instead of .607 .882 1 .882 .607).

    Raises:
        InputError: an unknown kernel, an even or non-positive window, σ not above 0.

    Example:
        >>> kernel_window("triangular", window=3).tolist()
        [0.5, 1.0, 0.5]
    """
    one_of(kernel, "kernel", KERNELS)
    one_of(compat, "compat", COMPATS)
    positive(sigma, "sigma")
    if sigma > _WIDEST_SIGMA:
        raise InputError(f"sigma must be at most {_WIDEST_SIGMA:g} bins, got {sigma!r}")
    if isinstance(window, bool) or not isinstance(window, int | np.integer) or window < 1 or window % 2 == 0:
        raise InputError(f"window must be an odd number of bins of at least 1, got {window!r}")
    half = window // 2
    x = np.abs(np.arange(-half, half + 1))
    if kernel == "triangular":
        from scipy.signal.windows import triang

        taps = triang(window)
    elif kernel == "laplace":
        taps = np.exp(-x / sigma)
    elif compat == "reference":
        taps = gaussian_filter1d((x == 0).astype(np.float64), sigma)
    else:
        taps = np.exp(-(x**2) / (2 * sigma**2))
    return np.asarray(taps / taps.max(), dtype=np.float64)


def smooth(values: ArrayLike, taps: NDArray[np.float64], *, padding: Padding = "renormalise") -> NDArray[np.float64]:
    """Convolve ``(n_bins, ...)`` with symmetric taps along the bins.

    Args:
        values: one row per bin.
        taps: from :func:`kernel_window`.
        padding: values beyond the ends. ``"renormalise"`` averages over the bins that exist; ``"constant"`` takes
            zeros; ``"reflect"`` and ``"mirror"`` mirror the values at the edge, with and without the last value (as in
            ``scipy.ndimage``).

    Raises:
        InputError: mirror padding of a window wider than the bins allow.
    """
    array = np.asarray(values, dtype=np.float64)
    if padding == "renormalise":
        total = convolve1d(np.ones(array.shape[0]), taps, mode="constant")
        summed = convolve1d(array, taps, axis=0, mode="constant")
        return np.asarray(summed / total.reshape(-1, *[1] * (array.ndim - 1)), dtype=np.float64)
    if padding == "mirror" and taps.size // 2 >= array.shape[0]:
        raise InputError(f"a window of {taps.size} bins needs more than {taps.size // 2} bins, got {array.shape[0]}")
    return np.asarray(convolve1d(array, taps, axis=0, mode=padding), dtype=np.float64)
