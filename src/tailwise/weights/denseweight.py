"""DenseWeight: weights that fall linearly with the label density."""

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import label_array, not_negative, one_of, positive
from tailwise._part import Part
from tailwise.labels.kde import Rule, binned_density, grid_margin, scalar_bandwidth
from tailwise.labels.kernels import COMPATS, Compat
from tailwise.labels.streaming import LabelDensity, labels_themselves
from tailwise.weights.extremes import warn_if_extreme
from tailwise.weights.on_grid import GridWeights, scaled_grid_weights


def dense_weights(
    y_train: ArrayLike | LabelDensity,
    *,
    alpha: float = 1.0,
    bandwidth: float | Rule | None = None,
    floor: float = 1e-6,
    compat: Compat = "paper",
) -> GridWeights:
    """DenseWeight: weights that fall linearly with the label density, mean 1 over the training rows.

    w(y) ∝ max(1 - α p'(y), ε), p' the label density scaled to [0, 1].

    Steininger et al., *Density-based weighting for imbalanced regression* (Machine Learning 2021). The Gaussian kernel
    density is computed on a grid of 4,096 nodes and scaled by its lowest and highest value there.

    Args:
        y_train: ``(n,)`` training labels, target units.
        alpha: α, at least 0: 0 gives equal weights, above 1 the most common labels get the floor.
        bandwidth: of the kernel, target units, or ``"silverman"`` or ``"scott"``; ``None`` takes 1.06 σ n^(-1/5).
        floor: ε, above 0.
        compat: ``"paper"`` interpolates between the nodes; ``"reference"`` takes the node to the left of the label.

    Raises:
        InputError: labels that are not finite or not scalar, bad parameters.

    Warns:
        UserWarning: a weight above 20 times the mean.

    Note:
        Labels that are all equal have weight 1, because their density cannot be scaled to [0, 1].

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
    weights, spread = scaled_grid_weights(start, step, table, y, interpolate=compat == "paper")
    warn_if_extreme(spread, "lower alpha, or raise the floor")
    return weights


DENSEWEIGHT_PART = Part(
    name="denseweight",
    slot="weights",
    make=dense_weights,
    summary="DenseWeight: weights that fall linearly with the kernel density of the label",
    source="Steininger et al., Density-based weighting for imbalanced regression, Machine Learning",
    year=2021,
    cost="O(B)",
    use="""\
from tailwise.weights.denseweight import dense_weights
weights = dense_weights(y_train, alpha=1.0)
loss = (weights(y) * (pred - y).abs()).mean()""",
    units={"bandwidth": "target"},
    targets=("scalar", "dense"),
    needs=("y",),
    also=("density",),
    of_none={"bandwidth": "1.06 sigma n^(-1/5)"},
    corrects=True,
)
