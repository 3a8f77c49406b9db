"""Loss weights as a function of the label: inverse density to any power, with or without LDS."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError, label_array, not_negative, number_range
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.kernels import Compat, Kernel, Padding
from tailwise.labels.tensors import bin_index, edge_bits


class UniformWeights(nn.Module):
    """The null object of the weights slot: every label weighs 1."""

    def forward(self, target: Tensor) -> Tensor:
        """Ones, ``(B,)`` for targets ``(B,)`` and ``(B, K)``, and of the shape of dense ones."""
        shape = target.shape[:1] if target.ndim == 2 else target.shape
        dtype = target.dtype if target.is_floating_point() else torch.float32
        return torch.ones(shape, dtype=dtype, device=target.device)

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Ones for NumPy labels."""
        return np.ones(np.shape(y))


class LabelWeights(nn.Module):
    """A weight for every bin of the target, mean 1 over the training rows.

    Args:
        bins: bins of the target.
        table: ``(n_bins,)`` weight of each bin, finite and not negative.

    Shape:
        ``target`` ``(B,)`` or dense ``(B, H, W)`` to weights of the same shape; a NaN pixel weighs 0.

    Raises:
        InputError: a table of another length, or with negative or infinite weights.
    """

    edges: Tensor
    table: Tensor

    def __init__(self, bins: Bins, table: ArrayLike) -> None:
        super().__init__()
        values = np.asarray(table, dtype=np.float64)
        if values.shape != (bins.n_bins,):
            raise InputError(f"table must have one weight a bin, ({bins.n_bins},), got shape {values.shape}")
        if not (np.isfinite(values).all() and (values >= 0).all()):
            raise InputError("every weight must be finite and at least 0")
        self.bins = bins
        self.register_buffer("edges", edge_bits(bins))
        self.register_buffer("table", torch.from_numpy(values).float())

    def forward(self, target: Tensor) -> Tensor:
        """Weight of each label, in the type of ``target`` if that is a floating-point one."""
        index = bin_index(target, self.edges)
        weight = self.table.index_select(0, index.flatten()).view(index.shape)
        if target.is_floating_point():
            weight = weight.to(target.dtype)
        if target.ndim <= 1:
            return weight
        if target.ndim == 2:
            raise InputError(f"weights need a scalar target (B,) or a dense one (B, H, W), got {tuple(target.shape)}")
        return torch.where(torch.isnan(target), torch.zeros_like(weight), weight)

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Weight of each of ``(n,)`` NumPy labels, for any estimator that takes ``sample_weight``."""
        labels = torch.from_numpy(label_array(y)).to(self.table.device)
        weight: NDArray[np.float64] = self(labels).cpu().numpy()
        return weight

    def extra_repr(self) -> str:
        """Bins and the heaviest weight."""
        return f"{self.bins!r}, max={float(self.table.max()):.3g}"


def density_weights(
    y_train: ArrayLike,
    bins: Bins | None = None,
    *,
    power: float = 0.5,
    lds: LDS | None = None,
    clip: tuple[float, float] | None = None,
) -> LabelWeights:
    """Weights proportional to 1 / density ** power, mean 1 over the training rows.

    Yang et al. (ICML 2021): power 1 is inverse, 0.5 square-root inverse re-weighting; 0 weighs all alike.
    ``loss = (1/N) Σ w_i l_i``: divide by the number of rows, not by the sum of the weights.

    Args:
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target; ``Bins.auto(y_train)`` if not given.
        power: at least 0.
        lds: smooth the density first.
        clip: lowest and highest count a bin may have, as the authors' age code clips to (5, 1000) for power 1.

    Raises:
        InputError: labels that are not finite, a negative power, an empty clip range.

    Note:
        A bin without training rows takes the largest weight of those with some; it never occurs in training.

    Example:
        >>> weights = density_weights([0, 0, 0, 0, 1], Bins.from_edges([0, 1, 2]), power=1.0)
        >>> weights.sample_weight([0, 1]).tolist()
        [0.625, 2.5]
    """
    not_negative(power, "power")
    bins = Bins.auto(y_train) if bins is None else bins
    counts = bins.histogram(y_train).astype(np.float64)
    raw_counts = counts
    if clip is not None:
        low, high = number_range(clip, "clip")
        counts = np.clip(counts, low, high)
    effective = counts**power if lds is None else lds.effective(counts, power=power)
    seen = raw_counts > 0
    inverse = np.zeros_like(effective)
    np.divide(1.0, effective, out=inverse, where=effective > 0)
    inverse[effective <= 0] = inverse[seen].max()
    if lds is None:
        inverse[~seen] = inverse[seen].max()
    return LabelWeights(bins, inverse * (raw_counts.sum() / (raw_counts @ inverse)))


def lds_weights(
    y_train: ArrayLike,
    bins: Bins | None = None,
    *,
    power: float = 0.5,
    kernel: Kernel = "gaussian",
    window: int = 5,
    sigma: float = 2.0,
    padding: Padding | None = None,
    compat: Compat = "paper",
) -> LabelWeights:
    """Weights from the smoothed label density: :func:`density_weights` with :class:`LDS`.

    Example:
        >>> import torch
        >>> weights = lds_weights([20, 20, 21, 35, 70], Bins.from_edges(range(0, 101)))
        >>> weights(torch.tensor([20.0, 70.0])).shape
        torch.Size([2])
    """
    lds = LDS(kernel=kernel, window=window, sigma=sigma, padding=padding, compat=compat)
    return density_weights(y_train, bins, power=power, lds=lds)
