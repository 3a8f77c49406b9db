"""Loss weights as a function of the label: inverse densities, effective numbers, DenseWeight."""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError, label_array, not_negative, number_range, one_of, positive
from tailwise.labels.bin_grid import BinGrid, label_rows
from tailwise.labels.bins import Bins, pieces
from tailwise.labels.density import KDE, KNN, LDS
from tailwise.labels.kde import Rule, binned_density, grid_margin, row_bandwidth, scalar_bandwidth
from tailwise.labels.kernels import COMPATS, Compat, Kernel, Padding
from tailwise.labels.streaming import LabelDensity, finite_labels, labels_themselves
from tailwise.labels.tensors import BinIndex, KernelDensity, NeighbourDensity, float_bits, in_pieces

_EXTREME = 20.0
_FINEST = 4
_LESS_POWER = "take a lower power (reweight), smooth the density more (lds), or clip the counts"


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


class _Weights(nn.Module):
    """What all weights share: shapes and types, and NaN pixels, which weigh 0."""

    k: int | None = None
    rows_at_once = 1024

    def weigh(self, labels: Tensor) -> Tensor:
        """Weights of float32 labels, not NaN."""
        raise NotImplementedError

    def forward(self, target: Tensor) -> Tensor:
        """Weight of each label, in the type of ``target`` if that is a floating-point one."""
        if self.k is None and target.ndim == 2:
            raise InputError(f"weights need a scalar target (B,) or a dense one (B, H, W), got {tuple(target.shape)}")
        if self.k is not None and (target.ndim != 2 or target.shape[1] != self.k):
            raise InputError(f"weights of {self.k}-dimensional labels need (B, {self.k}), got {tuple(target.shape)}")
        if target.ndim < 3:
            weight = self.weigh(target.float())
        else:
            known = ~torch.isnan(target)
            weight = self.weigh(torch.where(known, target, 0.0).float()) * known
        return weight.to(target.dtype) if target.is_floating_point() else weight.float()

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Weight of each of ``(n,)`` or ``(n, K)`` NumPy labels, for any estimator that takes ``sample_weight``."""
        labels = _tensor(label_array(y) if self.k is None else label_rows(y)).to(next(self.buffers()).device)
        starts = range(0, len(labels), self.rows_at_once)
        with torch.no_grad():
            weight = torch.cat([self(labels[start : start + self.rows_at_once]) for start in starts])
        return np.asarray(weight.cpu().numpy(), dtype=np.float64)


class LabelWeights(_Weights):
    """A weight for every bin of the target, mean 1 over the training rows.

    Args:
        bins: bins of the target; a grid of them for K-dimensional labels.
        table: ``(n_bins,)`` weight of each bin, finite and not negative.

    Shape:
        ``target`` ``(B,)`` or dense ``(B, H, W)`` to weights of the same shape, a NaN pixel weighs 0; for a grid
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
        _check_weights(values)
        self.bins = bins
        self.k = len(bins.axes) if isinstance(bins, BinGrid) else None
        self.bin_index = BinIndex(bins)
        self.register_buffer("table", torch.from_numpy(values).float())

    def weigh(self, labels: Tensor) -> Tensor:
        """Weights of float32 labels, not NaN."""
        index = self.bin_index(labels)
        return self.table.index_select(0, index.flatten()).view(index.shape)

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Weight of each of ``(n,)`` or ``(n, K)`` NumPy labels, for any estimator that takes ``sample_weight``."""
        edges = zip(BinIndex(self.bins).buffers(), self.bin_index.buffers(), strict=True)
        if not all(torch.equal(given, used.cpu()) for given, used in edges):  # a state with other edges was loaded
            return super().sample_weight(y)
        labels, table = finite_labels(y, 1 if self.k is None else 2), self.table.double().cpu().numpy()
        weight = np.empty(len(labels))
        for rows in pieces(len(labels)):
            table.take(self.bins.index(labels[rows]), out=weight[rows], mode="clip")
        return weight

    def extra_repr(self) -> str:
        """Bins and the heaviest weight."""
        return f"{self.bins!r}, max={float(self.table.max()):.3g}"


class GridWeights(_Weights):
    """Weights at the nodes of a regular grid over scalar labels, and between them.

    Args:
        start: first node, target units.
        step: distance between nodes, target units.
        table: ``(n,)`` weight at each node, finite and not negative.
        interpolate: linearly between the two nodes around a label; otherwise the left one counts.

    Shape:
        ``target`` ``(B,)`` or dense ``(B, H, W)`` to weights of the same shape; a NaN pixel weighs 0. Labels beyond the
        grid take the weight at its end.

    Raises:
        InputError: fewer than two nodes, negative or infinite weights, a step too small for labels in float32.

    Example:
        >>> GridWeights(0.0, 10.0, [1.0, 3.0, 2.0])(torch.tensor([-5.0, 5.0, 12.5])).tolist()
        [1.0, 2.0, 2.75]
    """

    rows_at_once = 32_768
    grid: Tensor
    table: Tensor

    def __init__(self, start: float, step: float, table: ArrayLike, *, interpolate: bool = True) -> None:
        super().__init__()
        values = np.asarray(table, dtype=np.float64)
        if values.ndim != 1 or values.size < 2:
            raise InputError(f"table must have at least two weights in one dimension, got shape {values.shape}")
        _check_weights(values)
        step = positive(step, "step")
        farthest = max(abs(start), abs(start + step * (values.size - 1)))
        if step < _FINEST * float(np.spacing(np.float32(farthest))):
            raise InputError(
                f"a step of {step:g} is lost in float32 at labels around {farthest:g}; subtract a constant from the "
                "target"
            )
        self.interpolate = interpolate
        self.register_buffer("grid", float_bits([start, step]))
        self.register_buffer("table", torch.from_numpy(values).float())

    def weigh(self, labels: Tensor) -> Tensor:
        """Weights of float32 labels, not NaN."""
        grid, table = self.grid.view(torch.float32), self.table.float()
        position = ((labels - grid[0]) / grid[1]).clamp(0, len(table) - 1)
        if not self.interpolate:
            return table[position.long()]
        left = position.long().clamp(max=len(table) - 2)
        return torch.lerp(table[left], table[left + 1], position - left)

    def extra_repr(self) -> str:
        """Ends of the grid and the heaviest weight."""
        start, step = self.grid.view(torch.float32).tolist()
        last = start + step * (len(self.table) - 1)
        return f"{len(self.table)} nodes from {start:g} to {last:g}, max={float(self.table.max()):.3g}"


class DensityWeights(_Weights):
    """Weights proportional to 1 / density ** power, the density being computed at each label.

    Args:
        density: gives the logarithm of the density of labels, up to a constant.
        at_rows: ``(n,)`` what it gives at the training rows, over which the weights have mean 1.
        power: at least 0.

    Shape:
        ``target`` ``(B, K)`` to ``(B,)``; for a density of scalar labels ``(B,)`` or dense ``(B, H, W)`` to the same.

    Note:
        A density below that of every training row counts as the lowest of those, so labels far from all training
        labels weigh no more than the rarest of these.
    """

    constants: Tensor

    def __init__(self, density: KernelDensity | NeighbourDensity, at_rows: ArrayLike, *, power: float) -> None:
        super().__init__()
        power = not_negative(power, "power")
        log_density = np.asarray(at_rows, dtype=np.float64)
        log_scale = np.log(log_density.size) - np.logaddexp.reduce(-power * log_density)
        self.density, self.k = density, density.k
        self.register_buffer("constants", float_bits([power, log_density.min(), log_scale]))

    def weigh(self, labels: Tensor) -> Tensor:
        """Weights of float32 labels, not NaN."""
        power, lowest, log_scale = self.constants.view(torch.float32).unbind()
        return torch.exp(log_scale - power * torch.maximum(self.density(labels), lowest))


def density_weights(
    y_train: ArrayLike | LabelDensity,
    bins: Bins | BinGrid | None = None,
    *,
    power: float = 0.5,
    density: LDS | KDE | KNN | None = None,
    clip: tuple[float, float] | None = None,
) -> LabelWeights | GridWeights | DensityWeights:
    """Weights proportional to 1 / density ** power, mean 1 over the training rows.

    Yang et al. (ICML 2021): power 1 is inverse, 0.5 square-root inverse re-weighting; 0 weighs all alike.
    ``loss = (1/N) Σ w_i l_i``: divide by the number of rows, not by the sum of the weights.

    Args:
        y_train: ``(n,)`` or ``(n, K)`` training labels, target units; for weights by bins also a
            :class:`~tailwise.labels.streaming.LabelDensity` of them.
        bins: bins of the target; ``Bins.auto(y_train)`` or ``BinGrid.auto(y_train)`` if not given, those of a
            LabelDensity. KDE and KNN need none.
        power: at least 0.
        density: smooth the bins first (LDS), or take a density without bins (KDE, KNN); K > 3 needs one of these two.
        clip: lowest and highest count a bin may have, as the authors' age code clips to (5, 1000) for power 1.

    Raises:
        InputError: labels that are not finite, a negative power, an empty clip range, a clip without bins, other bins
            than those of a LabelDensity.

    Warns:
        UserWarning: a weight above 20 times the mean.

    Note:
        A bin without training rows takes the largest weight of those with some, as does a label of a density below
        that of all training rows; neither occurs in training.

    Example:
        >>> weights = density_weights([0, 0, 0, 0, 1], Bins.from_edges([0, 1, 2]), power=1.0)
        >>> weights.sample_weight([0, 1]).tolist()
        [0.625, 2.5]
    """
    not_negative(power, "power")
    weights: LabelWeights | GridWeights | DensityWeights
    if density is None or isinstance(density, LDS):
        weights, spread = _by_bins(y_train, bins, power, density, clip)
    elif not isinstance(density, KDE | KNN):
        raise InputError(f"density must be an LDS, a KDE, a KNN or None, got {density!r}")
    elif clip is not None:
        raise InputError(f"clip is a range of counts of bins, and {type(density).__name__} has none; leave it out")
    else:
        weights, spread = _without_bins(y_train, power, density)
    _warn_if_extreme(spread, _LESS_POWER)
    return weights


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
    """Weights from the smoothed label density: :func:`density_weights` with :class:`LDS`.

    Example:
        >>> import torch
        >>> weights = lds_weights([20, 20, 21, 35, 70], Bins.from_edges(range(0, 101)))
        >>> weights(torch.tensor([20.0, 70.0])).shape
        torch.Size([2])
    """
    lds = LDS(kernel=kernel, window=window, sigma=sigma, padding=padding, compat=compat)
    weights, spread = _by_bins(y_train, bins, not_negative(power, "power"), lds)
    _warn_if_extreme(spread, _LESS_POWER)
    return weights


def effective_number_weights(
    y_train: ArrayLike | LabelDensity,
    bins: Bins | BinGrid | None = None,
    *,
    beta: float = 0.999,
    density: LDS | None = None,
) -> LabelWeights:
    """Weights proportional to (1 - β) / (1 - β^n) for a bin of n rows, mean 1 over the training rows.

    Cui et al., *Class-Balanced Loss Based on Effective Number of Samples* (CVPR 2019). β 0 weighs all alike, β near 1
    nearly by the inverse count.

    Args:
        y_train: ``(n,)`` or ``(n, K)`` training labels, target units, or a LabelDensity of them.
        bins: bins of the target; chosen from the labels if not given.
        beta: β, at least 0 and below 1.
        density: LDS to smooth the counts with.

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
    _warn_if_extreme(spread, "lower beta, or smooth the density (lds)")
    return weights


def dense_weights(
    y_train: ArrayLike | LabelDensity,
    *,
    alpha: float = 1.0,
    bandwidth: float | Rule | None = None,
    floor: float = 1e-6,
    compat: Compat = "paper",
) -> GridWeights:
    """DenseWeight: max(1 - α p'(y), ε) over its mean on the training rows, p' being the label density scaled to [0, 1].

    Steininger et al., *Density-based weighting for imbalanced regression* (Machine Learning 2021). The Gaussian kernel
    density is computed on a grid of 4,096 nodes and scaled by its lowest and highest value there.

    Args:
        y_train: ``(n,)`` training labels, target units.
        alpha: α, at least 0: 0 weighs all alike, above 1 the most common labels fall to the floor.
        bandwidth: of the kernel, target units; ``None`` takes 1.06 σ n^(-1/5), or ``"silverman"`` or ``"scott"``.
        floor: ε, above 0.
        compat: ``"paper"`` interpolates between the nodes; ``"reference"`` takes the node left of the label.

    Raises:
        InputError: labels that are not finite or not scalar, bad parameters.

    Warns:
        UserWarning: a weight above 20 times the mean.

    Note:
        Labels that are all equal have no density to scale and weigh 1.

    Example:
        >>> weights = dense_weights([1.0, 1.1, 1.2, 5.0], bandwidth=0.5)
        >>> weights.sample_weight([1.1, 5.0]).round(2).tolist()
        [0.0, 3.78]
    """
    alpha, floor = not_negative(alpha, "alpha"), positive(floor, "floor")
    one_of(compat, "compat", COMPATS)
    y = label_array(labels_themselves(y_train, "DenseWeight"), "y_train")
    h = scalar_bandwidth(y, bandwidth)
    start, step, density = binned_density(y, h, margin=grid_margin(h, compat))
    scaled = (density - density.min()) / (density.max() - density.min())
    table = np.maximum(1 - alpha * scaled, floor) if y.min() < y.max() else np.ones_like(scaled)
    weights, spread = _of_grid(start, step, table, y, interpolate=compat == "paper")
    _warn_if_extreme(spread, "lower alpha, or raise the floor")
    return weights


class _Spread(NamedTuple):
    """How unequal weights of training rows are: the largest over the mean, (Σw)² / Σw², and the number of rows."""

    largest: float
    size: float
    n: float


def _spread(weights: NDArray[np.float64], rows: NDArray[np.float64]) -> _Spread:
    """Spread of weights, each of which so many rows have."""
    n, total = rows.sum(), rows @ weights
    return _Spread(float(weights[rows > 0].max() * n / total), float(total**2 / (rows @ weights**2)), float(n))


def _warn_if_extreme(spread: _Spread, way_out: str) -> None:
    """Warn in the name of whoever called the public function."""
    if spread.largest > _EXTREME:
        warnings.warn(
            f"the weights are extreme: the largest is {spread.largest:.5g} times the mean, and {spread.n:,.0f} rows "
            f"tell as much as {spread.size:,.1f} of equal weight (effective sample size); {way_out}",
            UserWarning,
            stacklevel=3,
        )


def _by_bins(
    y_train: ArrayLike | LabelDensity,
    bins: Bins | BinGrid | None,
    power: float,
    lds: LDS | None,
    clip: tuple[float, float] | None = None,
) -> tuple[LabelWeights, _Spread]:
    counted = LabelDensity.of(y_train, bins)
    counts = counted.counts.astype(np.float64)
    clipped = counts if clip is None else np.clip(counts, *number_range(clip, "clip"))
    if lds is None:
        return _of_bins(counted, np.where(counts > 0, clipped**power, 0.0))
    return _of_bins(counted, _smoothed(clipped, counted.bins, lds, power))


def _smoothed(counts: NDArray[np.float64], bins: Bins | BinGrid, lds: LDS, power: float) -> NDArray[np.float64]:
    return lds.effective(counts, power=power, grid=bins if isinstance(bins, BinGrid) else None)


def _of_bins(counted: LabelDensity, effective: NDArray[np.float64]) -> tuple[LabelWeights, _Spread]:
    """Weights ∝ 1 / effective."""
    counts = counted.counts.astype(np.float64)
    inverse = np.zeros_like(effective)
    np.divide(1.0, effective, out=inverse, where=effective > 0)
    inverse[effective <= 0] = inverse[counts > 0].max()
    table = inverse * (counts.sum() / (counts @ inverse))
    return LabelWeights(counted.bins, table), _spread(table, counts)


def _without_bins(
    y_train: ArrayLike | LabelDensity, power: float, recipe: KDE | KNN
) -> tuple[GridWeights | DensityWeights, _Spread]:
    y = labels_themselves(y_train, type(recipe).__name__)
    if isinstance(recipe, KDE) and y.ndim == 1:
        h = scalar_bandwidth(y, recipe.bandwidth)
        start, step, density = binned_density(y, h, margin=grid_margin(h))
        scaled = density / density.max()
        lowest = GridWeights(start, step, scaled).sample_weight(y).min()
        return _of_grid(start, step, np.maximum(scaled, lowest) ** -power, y)
    references = y
    if len(y) > recipe.references:
        references = y[np.random.default_rng(0).choice(len(y), recipe.references, replace=False)]
    density_at: KernelDensity | NeighbourDensity
    alone = -np.inf
    if isinstance(recipe, KNN):
        density_at = NeighbourDensity(references, neighbours=recipe.neighbours)
    else:
        given = recipe.bandwidth
        bandwidth = row_bandwidth(references) if given is None else np.full(y.shape[1], float(given))
        density_at = KernelDensity(references, bandwidth)
        # Of all n rows a label has at least its own kernel; of a sample of them it may have next to nothing.
        alone = -np.log(len(y)) - np.log(bandwidth * np.sqrt(2 * np.pi)).sum()
    at_rows = np.maximum(in_pieces(density_at, _tensor(y)).double().numpy(), alone)
    rarity = np.exp(power * (at_rows.min() - at_rows))
    return DensityWeights(density_at, at_rows, power=power), _spread(rarity, np.ones(len(y)))


def _of_grid(
    start: float, step: float, table: NDArray[np.float64], y: NDArray[np.float64], *, interpolate: bool = True
) -> tuple[GridWeights, _Spread]:
    """Weights ∝ the table, mean 1 over the labels."""
    at_labels = GridWeights(start, step, table, interpolate=interpolate).sample_weight(y)
    scaled = GridWeights(start, step, table / at_labels.mean(), interpolate=interpolate)
    return scaled, _spread(at_labels, np.ones(y.size))


def _tensor(labels: NDArray[np.float64]) -> Tensor:
    """A copy, since labels may be a view that runs backwards or cannot be written."""
    return torch.from_numpy(np.array(labels, order="C"))


def _check_weights(values: NDArray[np.float64]) -> None:
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError("every weight must be finite and at least 0")
