"""Weights by bins of the target: inverse (smoothed) counts and effective numbers."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tailwise._checks import InputError, not_negative, number_range
from tailwise._part import Part
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins, pieces
from tailwise.labels.density import LDS
from tailwise.labels.kernels import Compat, Kernel, Padding
from tailwise.labels.streaming import LabelDensity, finite_labels
from tailwise.labels.tensors import BinIndex
from tailwise.weights.extremes import Spread, spread_of, warn_if_extreme
from tailwise.weights.weight_function import WeightFunction, check_table

LESS_POWER = "take a lower power (reweight), smooth the density more (lds), or clip the counts"


class LabelWeights(WeightFunction):
    """Table of weights, one per bin of the target.

    Args:
        bins: bins of the target; a grid of bins for K-dimensional labels.
        table: ``(n_bins,)`` weight of each bin, finite and not negative.

    Shape:
        ``target`` ``(B,)`` or dense ``(B, H, W)`` to weights of the same shape, 0 for a NaN pixel; for a grid
        ``(B, K)`` to ``(B,)``.

    Raises:
        InputError: a table of another length, or with negative or infinite weights.
    """

    table: Tensor

    def __init__(self, bins: Bins | BinGrid, table: ArrayLike) -> None:
        super().__init__()
        values = np.asarray(table, dtype=np.float64)
        if values.shape != (bins.n_bins,):
            raise InputError(f"table must have one weight a bin, ({bins.n_bins},), got shape {values.shape}")
        check_table(values)
        self.bins = bins
        self.k = len(bins.axes) if isinstance(bins, BinGrid) else None
        self.bin_index = BinIndex(bins)
        self.register_buffer("table", torch.from_numpy(values).float())

    def weigh(self, labels: Tensor) -> Tensor:
        """Return the weights of float32 labels without NaN."""
        index = self.bin_index(labels)
        return self.table.index_select(0, index.flatten()).view(index.shape)

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the weights of ``(n,)`` or ``(n, K)`` NumPy labels, for any estimator that takes ``sample_weight``."""
        edges = zip(BinIndex(self.bins).buffers(), self.bin_index.buffers(), strict=True)
        if not all(torch.equal(given, used.cpu()) for given, used in edges):  # a state with other edges was loaded
            return super().sample_weight(y)
        labels, table = finite_labels(y, 1 if self.k is None else 2), self.table.double().cpu().numpy()
        weight = np.empty(len(labels))
        for rows in pieces(len(labels)):
            table.take(self.bins.index(labels[rows]), out=weight[rows], mode="clip")
        return weight

    def extra_repr(self) -> str:
        """Return the bins and the largest weight as text."""
        return f"{self.bins!r}, max={float(self.table.max()):.3g}"


def lds_weights(
    y_train: ArrayLike | LabelDensity,
    bins: Bins | BinGrid | None = None,
    *,
    power: float = 0.5,
    kernel: Kernel = "gaussian",
    window: int = 5,
    sigma: float = 2.0,
    padding: Padding | None = None,
    compat: Compat = "paper",
) -> LabelWeights:
    """Weights from the smoothed label density: :func:`~tailwise.weights.by_density.density_weights` with :class:`LDS`.

    Example:
        >>> import torch
        >>> weights = lds_weights([20, 20, 21, 35, 70], Bins.from_edges(range(0, 101)))
        >>> weights(torch.tensor([20.0, 70.0])).shape
        torch.Size([2])
    """
    lds = LDS(kernel=kernel, window=window, sigma=sigma, padding=padding, compat=compat)
    weights, spread = weights_by_bins(y_train, bins, not_negative(power, "power"), lds)
    warn_if_extreme(spread, LESS_POWER)
    return weights


def effective_number_weights(
    y_train: ArrayLike | LabelDensity,
    bins: Bins | BinGrid | None = None,
    *,
    beta: float = 0.999,
    density: LDS | None = None,
) -> LabelWeights:
    """Weights proportional to (1 - β) / (1 - β^n) for a bin of n rows, mean 1 over the training rows.

    Cui et al., *Class-Balanced Loss Based on Effective Number of Samples* (CVPR 2019). β = 0 gives equal weights, β
    near 1 almost the inverse count.

    Args:
        y_train: ``(n,)`` or ``(n, K)`` training labels, target units, or their LabelDensity.
        bins: bins of the target; chosen from the labels if not given.
        beta: β, at least 0 and below 1.
        density: LDS that smooths the counts.

    Raises:
        InputError: labels that are not finite, a β outside [0, 1), a density without bins.

    Warns:
        UserWarning: a weight above 20 times the mean.

    Example:
        >>> weights = effective_number_weights([0, 0, 0, 0, 1], Bins.from_edges([0, 1, 2]), beta=0.5)
        >>> weights.sample_weight([0, 1]).round(4).tolist()
        [0.8511, 1.5957]
    """
    if not_negative(beta, "beta") >= 1:
        raise InputError(f"beta must be at least 0 and below 1, got {beta!r}")
    if density is not None and not isinstance(density, LDS):
        raise InputError(f"effective numbers come from counts of bins; smooth them by LDS, not by {density!r}")
    counted = LabelDensity.of(y_train, bins)
    counts = counted.counts.astype(np.float64)
    smoothed = counts if density is None else _smoothed(counts, counted.bins, density, 1.0)
    weights, spread = _of_bins(counted, (1 - beta**smoothed) / (1 - beta))
    warn_if_extreme(spread, "lower beta, or smooth the density (lds)")
    return weights


def weights_by_bins(
    y_train: ArrayLike | LabelDensity,
    bins: Bins | BinGrid | None,
    power: float,
    lds: LDS | None,
    clip: tuple[float, float] | None = None,
) -> tuple[LabelWeights, Spread]:
    """Weights proportional to 1 / count ** power, and their spread; see :func:`~.by_density.density_weights`."""
    counted = LabelDensity.of(y_train, bins)
    counts = counted.counts.astype(np.float64)
    clipped = counts if clip is None else np.clip(counts, *number_range(clip, "clip"))
    if lds is None:
        return _of_bins(counted, np.where(counts > 0, clipped**power, 0.0))
    return _of_bins(counted, _smoothed(clipped, counted.bins, lds, power))


def _smoothed(counts: NDArray[np.float64], bins: Bins | BinGrid, lds: LDS, power: float) -> NDArray[np.float64]:
    """Smooth counts over neighbouring bins and raise them to a power."""
    return lds.effective(counts, power=power, grid=bins if isinstance(bins, BinGrid) else None)


def _of_bins(counted: LabelDensity, effective: NDArray[np.float64]) -> tuple[LabelWeights, Spread]:
    """Weights proportional to 1 / effective with mean 1 over the training rows, and their spread."""
    counts = counted.counts.astype(np.float64)
    inverse = np.zeros_like(effective)
    np.divide(1.0, effective, out=inverse, where=effective > 0)
    inverse[effective <= 0] = inverse[counts > 0].max()
    table = inverse * (counts.sum() / (counts @ inverse))
    return LabelWeights(counted.bins, table), spread_of(table, counts)


EFFECTIVE_PART = Part(
    name="effective",
    slot="weights",
    make=effective_number_weights,
    summary="inverse of the effective number of samples of a bin",
    source="Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR",
    year=2019,
    cost="O(B)",
    use="""\
from tailwise.weights.by_bins import effective_number_weights
weights = effective_number_weights(y_train, bins, beta=0.99)
loss = (weights(y) * (pred - y).abs()).mean()""",
    needs=("labels", "label_bins"),
    hidden=frozenset({"density"}),
    corrects=True,
)
