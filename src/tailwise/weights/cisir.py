"""Weights of CISIR, which fall with the label density along a curve from convex to concave."""

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import label_array, positive
from tailwise._part import Part
from tailwise.labels.kde import binned_density, grid_margin
from tailwise.labels.streaming import LabelDensity, labels_themselves
from tailwise.weights.extremes import warn_if_extreme
from tailwise.weights.on_grid import GridWeights, scaled_grid_weights

_BANDWIDTH = 0.07
_MARGIN = 1e-3


def cisir_weights(
    y_train: ArrayLike | LabelDensity, *, alpha: float = 2.0, bandwidth: float | None = None
) -> GridWeights:
    """CISIR: weights w(y) ∝ (1 - p(y)^α)^(1/α), mean 1 over the training rows.

    CISIR (arXiv 2509.16339): p is the Gaussian kernel density of the label over its maximum plus 0.001, for labels in
    standard deviations. α = 1 falls linearly with the density; a larger α keeps weights near the largest until the
    density is high, a smaller one leaves it at once.

    Args:
        y_train: ``(n,)`` training labels, target units.
        alpha: α, from 0.01 to 100.
        bandwidth: of the kernel, target units; ``None`` takes 0.07 standard deviations, the authors' 0.07 of a scaled
            label.

    Raises:
        InputError: labels that are not finite or not scalar, bad parameters.

    Warns:
        UserWarning: a weight above 20 times the mean.

    Note:
        The authors lower the densities above a threshold of each data set; that is left out.

    Example:
        >>> weights = cisir_weights([1.0, 1.1, 1.2, 5.0], bandwidth=0.5)
        >>> weights.sample_weight([1.1, 5.0]).round(2).tolist()
        [0.13, 2.72]
    """
    alpha = positive(alpha, "alpha", least=0.01, most=100)
    y = label_array(labels_themselves(y_train, "CISIR"), "y_train")
    spread = float(y.std()) or 1.0
    h = _BANDWIDTH * spread if bandwidth is None else positive(bandwidth, "bandwidth")
    start, step, density = binned_density(y, h, margin=grid_margin(h))
    scaled = spread * density / (spread * density.max() + _MARGIN)
    table = (-np.expm1(alpha * np.log(np.maximum(scaled, np.finfo(float).tiny)))) ** (1 / alpha)
    weights, spread_of_weights = scaled_grid_weights(start, step, table, y)
    warn_if_extreme(spread_of_weights, "take a wider bandwidth, or a larger alpha")
    return weights


CISIR_PART = Part(
    name="cisir",
    slot="weights",
    make=cisir_weights,
    summary="CISIR weights: 1 - p^alpha to the power 1/alpha, with p the label density over its maximum",
    source="CISIR, arXiv 2509.16339",
    year=2025,
    remark="with the loss correlation",
    cost="O(B)",
    use="""\
from tailwise.weights.cisir import cisir_weights
weights = cisir_weights(y_train, alpha=2.0)
loss = (weights(y) * (pred - y).abs()).mean()""",
    units={"bandwidth": "target"},
    targets=("scalar", "dense"),
    needs=("y",),
    of_none={"bandwidth": "0.07 standard deviations"},
    corrects=True,
)
