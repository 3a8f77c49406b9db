"""Label densities for weights: smoothed bins (LDS), kernels (KDE), nearest neighbours (KNN)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, one_of, positive, whole
from tailwise._part import Part
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.kernels import COMPATS, Compat, Kernel, Padding, kernel_window, smooth


@dataclass(frozen=True, kw_only=True)
class LDS:
    """Label distribution smoothing: the density of a bin averaged with those of its neighbours.

    p̃(y') = ∫ k(y, y') p(y) dy, Yang et al. (ICML 2021). Only the density is smoothed, never the labels.

    Args:
        kernel: ``"gaussian"``, ``"triangular"`` or ``"laplace"``.
        window: number of bins that the kernel covers, odd.
        sigma: σ in bins.
        padding: values beyond the ends of the label range, see :func:`tailwise.labels.kernels.smooth`; ``None`` takes
            the default of ``compat`` (see Note).
        compat: ``"paper"`` or ``"reference"``.

    Shape:
        ``effective(counts)``: ``(n_bins,)`` to ``(n_bins,)``.

    Note:
        The paper's formula smooths the density and takes its root afterwards; at the ends of the label range the kernel
        averages over the bins that exist. ``compat="reference"`` is the authors' code: the root first, zeros beyond the
        ends (``padding="reflect"`` for their depth data) and their folded Gaussian; see
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

    def effective(self, counts: ArrayLike, *, power: float, grid: BinGrid | None = None) -> NDArray[np.float64]:
        """Return ``(n_bins,)`` smoothed counts to a power; a weight is their inverse.

        Counts of a ``grid`` of bins are smoothed along each dimension.
        """
        values = np.asarray(counts, dtype=np.float64)
        taps = self._taps()
        smoothing = smooth if grid is None else grid.smooth
        if self.compat == "reference":
            return smoothing(values**power, taps, padding=self.padding or "constant")
        smoothed = smoothing(values, taps / taps.sum(), padding=self.padding or "renormalise")
        return np.asarray(smoothed**power, dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class KDE:
    """Gaussian kernel density of the labels, without bins.

    For scalar labels it is computed on a fine grid, from all training rows. For K-dimensional labels it is
    p(y) = 1/R Σ_r Π_j N(y_j; y_rj, h_j²) over R reference labels.

    Args:
        bandwidth: h, target units, in every dimension; ``None`` takes the normal-reference rule,
            σ_j (4 / ((K + 2) R))^(1 / (K + 4)) in K dimensions and 1.06 σ n^(-1/5) for scalar labels.
        references: largest number of training labels R in a K-dimensional density, drawn with a fixed seed.

    Shape:
        labels ``(n,)`` or ``(n, K)``, densities ``(n,)``.

    Note:
        A K-dimensional density at a training label is bounded below by the kernel of one row among all n, because every
        training label contributes its own kernel.

    Example:
        >>> from tailwise.weights.by_density import density_weights
        >>> weights = density_weights([1.0, 1.1, 1.2, 5.0], power=1.0, density=KDE(bandwidth=0.5))
        >>> weights.sample_weight([1.1, 5.0]).round(2).tolist()
        [0.67, 1.97]
    """

    bandwidth: float | None = None
    references: int = 2000

    def __post_init__(self) -> None:
        if self.bandwidth is not None:
            positive(self.bandwidth, "bandwidth")
        whole(self.references, "references", least=2, most=100_000)


@dataclass(frozen=True, kw_only=True)
class KNN:
    """Nearest-neighbour density of the labels, p(y) ∝ k / (R r_k(y)^K), with r_k the distance to the k-th nearest.

    Distances are taken between labels divided by their standard deviation in each dimension.

    Args:
        neighbours: k; a reference counts as its own neighbour.
        references: largest number of training labels R to search, drawn with a fixed seed.

    Shape:
        labels ``(n,)`` or ``(n, K)``, densities ``(n,)``.

    Note:
        If k or more references equal the label, r_k is 0: the density is then their number over R r^K, where r is half
        the smallest positive r_k of all references. For whole numbers that is about the histogram.

    Example:
        >>> from tailwise.weights.by_density import density_weights
        >>> weights = density_weights([1.0, 1.5, 2.0, 2.5, 9.0], power=1.0, density=KNN(neighbours=2))
        >>> weights.sample_weight([2.0, 9.0]).round(2).tolist()
        [0.29, 3.82]
    """

    neighbours: int = 20
    references: int = 2000

    def __post_init__(self) -> None:
        whole(self.neighbours, "neighbours", least=1)
        whole(self.references, "references", least=2, most=100_000)
        if self.neighbours > self.references:
            raise InputError(f"neighbours ({self.neighbours:,}) must be at most references ({self.references:,})")


LDS_PART = Part(
    name="lds",
    slot="density",
    make=LDS,
    summary="label distribution smoothing of the density that weights use (alone: with sqinv)",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML",
    year=2021,
    cost="O(B)",
    use="""\
from tailwise import LDS, density_weights
weights = density_weights(y_train, bins, power=0.5, density=LDS(window=5, sigma=2.0))
loss = (weights(y) * (pred - y).abs()).mean()""",
    units={"window": "bins", "sigma": "bins"},
    of_none={"padding": "follows compat"},
)
KDE_PART = Part(
    name="kde",
    slot="density",
    make=KDE,
    summary="Gaussian kernel density, without bins, for weights (alone: with sqinv)",
    source="-",
    year=None,
    cost="O(B); O(B R) for K-dimensional labels and R references",
    use="""\
from tailwise.labels.density import KDE
weights = density_weights(y_train, power=0.5, density=KDE())
loss = (weights(y) * (pred - y).abs()).mean()""",
    units={"bandwidth": "target", "references": "rows"},
    of_none={"bandwidth": "1.06 sigma n^(-1/5)"},
)
KNN_PART = Part(
    name="knn",
    slot="density",
    make=KNN,
    summary="nearest-neighbour density, for weights (alone: with sqinv)",
    source="-",
    year=None,
    cost="O(B log R); O(B R) for K-dimensional labels",
    use="""\
from tailwise.labels.density import KNN
weights = density_weights(y_train, power=0.5, density=KNN(neighbours=20))
loss = (weights(y) * (pred - y).abs()).mean()""",
    units={"neighbours": "rows", "references": "rows"},
)
