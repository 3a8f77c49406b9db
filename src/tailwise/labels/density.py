"""Label densities per bin, and label distribution smoothing (LDS)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import one_of
from tailwise.labels.kernels import COMPATS, Compat, Kernel, Padding, kernel_window, smooth


@dataclass(frozen=True, kw_only=True)
class LDS:
    """Label distribution smoothing: the density a bin shares with its neighbours.

    p̃(y') = ∫ k(y, y') p(y) dy, Yang et al. (ICML 2021) Only the density is smoothed, never the labels.

    Args:
        kernel: ``"gaussian"``, ``"triangular"`` or ``"laplace"``.
        window: number of bins the kernel covers, odd.
        sigma: σ in bins.
        padding: what stands beyond the ends of the label range; ``None`` takes the form's own (see Note).
        compat: ``"paper"`` or ``"reference"``.

    Note:
        The formula smooths the density and takes its root afterwards, with the kernel's average over the label range
        at its ends. ``compat="reference"`` is the authors' code: the root first, zeros beyond the ends
        (``padding="reflect"`` for their depth data) and their folded Gaussian; see
        ``tests/test_golden_weights.py``. Their rounding down of smoothed counts to whole numbers is not reproduced.

    Example:
        >>> LDS(window=3, sigma=1.0).effective(np.array([0, 4, 0, 0]), power=1.0).round(3).tolist()
        [1.51, 1.807, 1.096, 0.0]
    """

    kernel: Kernel = "gaussian"
    window: int = 5
    sigma: float = 2.0
    padding: Padding | None = None
    compat: Compat = "paper"

    def __post_init__(self) -> None:
        one_of(self.compat, "compat", COMPATS)
        if self.padding is not None:
            one_of(self.padding, "padding", ("renormalise", "constant", "reflect", "mirror"))
        self._taps()

    def _taps(self) -> NDArray[np.float64]:
        return kernel_window(self.kernel, window=self.window, sigma=self.sigma, compat=self.compat)

    def effective(self, counts: ArrayLike, *, power: float) -> NDArray[np.float64]:
        """``(n_bins,)`` smoothed counts to a power: what a weight is the inverse of."""
        values = np.asarray(counts, dtype=np.float64)
        taps = self._taps()
        if self.compat == "reference":
            return smooth(values**power, taps, padding=self.padding or "constant")
        return np.asarray(
            smooth(values, taps / taps.sum(), padding=self.padding or "renormalise") ** power, dtype=np.float64
        )
