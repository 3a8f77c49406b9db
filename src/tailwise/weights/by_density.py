"""Weights proportional to 1 / density ** power, the density by bins or at each label."""

from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tailwise._checks import InputError, not_negative
from tailwise._part import Part
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.density import KDE, KNN, LDS
from tailwise.labels.kde import binned_density, grid_margin, row_bandwidth, scalar_bandwidth
from tailwise.labels.streaming import LabelDensity, labels_themselves
from tailwise.labels.tensors import KernelDensity, NeighbourDensity, float_bits, in_pieces
from tailwise.weights.by_bins import LESS_POWER, LabelWeights, weights_by_bins
from tailwise.weights.extremes import Spread, spread_of, warn_if_extreme
from tailwise.weights.on_grid import GridWeights, scaled_grid_weights
from tailwise.weights.weight_function import WeightFunction, label_tensor


class DensityWeights(WeightFunction):
    """Weights proportional to 1 / density ** power, with the density computed at each label.

    Args:
        density: logarithm of the density of labels, up to a constant.
        at_rows: ``(n,)`` log density at the training rows; the weights have mean 1 over these rows.
        power: at least 0.

    Shape:
        ``target`` ``(B, K)`` to ``(B,)``; for a density of scalar labels ``(B,)`` or dense ``(B, H, W)`` to the same.

    Note:
        The density is bounded below by the lowest density of a training row, so labels far from all training labels
        get the weight of the rarest training label.
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
        """Return the weights of float32 labels without NaN."""
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

    Yang et al. (ICML 2021): power 1 is inverse, 0.5 square-root inverse re-weighting; 0 gives equal weights.
    ``loss = (1/N) Σ w_i l_i``: divide by the number of rows, not by the sum of the weights.

    Args:
        y_train: ``(n,)`` or ``(n, K)`` training labels, target units; for weights by bins also their
            :class:`~tailwise.labels.streaming.LabelDensity`.
        bins: bins of the target; if not given, the bins of a LabelDensity, or ``Bins.auto(y_train)`` or
            ``BinGrid.auto(y_train)``. KDE and KNN need none.
        power: at least 0.
        density: LDS smooths the counts of bins; KDE and KNN are densities without bins; K > 3 needs KDE or KNN.
        clip: range (low, high) that counts of bins are clipped to; the authors' age code takes (5, 1000) for power 1.

    Raises:
        InputError: labels that are not finite, a negative power, an empty clip range, a clip without bins, other bins
            than those of a LabelDensity.

    Warns:
        UserWarning: a weight above 20 times the mean.

    Note:
        A bin without training rows takes the largest weight of the bins with training rows. A label with a lower
        density than every training row takes the largest weight of a training row. Neither occurs in training.

    Example:
        >>> weights = density_weights([0, 0, 0, 0, 1], Bins.from_edges([0, 1, 2]), power=1.0)
        >>> weights.sample_weight([0, 1]).tolist()
        [0.625, 2.5]
    """
    not_negative(power, "power")
    weights: LabelWeights | GridWeights | DensityWeights
    if density is None or isinstance(density, LDS):
        weights, spread = weights_by_bins(y_train, bins, power, density, clip)
    elif not isinstance(density, KDE | KNN):
        raise InputError(f"density must be an LDS, a KDE, a KNN or None, got {density!r}")
    elif clip is not None:
        raise InputError(f"clip is a range of counts of bins, and {type(density).__name__} has none; leave it out")
    else:
        weights, spread = _without_bins(y_train, power, density)
    warn_if_extreme(spread, LESS_POWER)
    return weights


def _without_bins(
    y_train: ArrayLike | LabelDensity, power: float, recipe: KDE | KNN
) -> tuple[GridWeights | DensityWeights, Spread]:
    """Weights from a density without bins, and their spread."""
    y = labels_themselves(y_train, type(recipe).__name__)
    if isinstance(recipe, KDE) and y.ndim == 1:
        h = scalar_bandwidth(y, recipe.bandwidth)
        start, step, density = binned_density(y, h, margin=grid_margin(h))
        scaled = density / density.max()
        lowest = GridWeights(start, step, scaled).sample_weight(y).min()
        return scaled_grid_weights(start, step, np.maximum(scaled, lowest) ** -power, y)
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
        # The density of all n rows at a training label is at least that label's kernel; the references are a sample
        # that may not contain the label, so their density can be lower.
        alone = -np.log(len(y)) - np.log(bandwidth * np.sqrt(2 * np.pi)).sum()
    at_rows = np.maximum(in_pieces(density_at, label_tensor(y)).double().numpy(), alone)
    rarity = np.exp(power * (at_rows.min() - at_rows))
    return DensityWeights(density_at, at_rows, power=power), spread_of(rarity, np.ones(len(y)))


_part = partial(
    Part,
    slot="weights",
    make=density_weights,
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML",
    year=2021,
    cost="O(B)",
    units={"clip": "rows"},
    needs=("labels", "label_bins"),
    hidden=frozenset({"density"}),
    of_none={"clip": "no clip"},
    corrects=True,
)
INV_PART = _part(
    name="inv",
    summary="inverse label density",
    use="""\
from tailwise import density_weights
weights = density_weights(y_train, bins, power=1.0)
loss = (weights(y) * (pred - y).abs()).mean()""",
    fixed={"power": 1.0},
)
SQINV_PART = _part(
    name="sqinv",
    summary="square-root inverse label density",
    use="""\
from tailwise import density_weights
weights = density_weights(y_train, bins, power=0.5)
loss = (weights(y) * (pred - y).abs()).mean()""",
    fixed={"power": 0.5},
)
REWEIGHT_PART = _part(
    name="reweight",
    summary="inverse label density to a power of your choice",
    use="""\
from tailwise import density_weights
weights = density_weights(y_train, bins, power=0.8)
loss = (weights(y) * (pred - y).abs()).mean()""",
    most={"power": 10.0},
)
