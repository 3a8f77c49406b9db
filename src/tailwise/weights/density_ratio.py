"""Weights by the ratio of a declared label density to that of the training labels."""

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError, label_array
from tailwise._part import Part
from tailwise.labels.density_relevance import Declared, DensityRelevance
from tailwise.labels.kde import Rule
from tailwise.labels.streaming import LabelDensity, labels_themselves
from tailwise.weights.extremes import warn_if_extreme
from tailwise.weights.on_grid import GridWeights, scaled_grid_weights


def density_ratio_weights(
    y_train: ArrayLike | LabelDensity, *, target: Declared | None = None, bandwidth: float | Rule | None = None
) -> GridWeights:
    """Weights w(y) ∝ q(y) / p(y), mean 1 over the training rows, for a declared density q of labels.

    Ratio relevance of :class:`tailwise.labels.density_relevance.DensityRelevance` (arXiv 2506.01486).

    Args:
        y_train: ``(n,)`` training labels, target units.
        target: q: a range ``(low, high)`` for a uniform density; labels spread as those to be predicted; or a function
            of ``(m,)`` labels, on any scale. ``None`` is uniform over the range of the training labels.
        bandwidth: of both kernel densities, target units, or ``"silverman"`` or ``"scott"``; ``None`` takes
            1.06 σ n^(-1/5).

    Raises:
        InputError: labels that are not finite or not scalar, bad parameters.

    Warns:
        UserWarning: a weight above 20 times the mean.

    Example:
        >>> weights = density_ratio_weights([1.0, 1.1, 1.2, 1.3, 5.0], target=(1.0, 5.0), bandwidth=0.3)
        >>> weights.sample_weight([1.1, 5.0]).round(2).tolist()
        [0.67, 1.96]
    """
    y = label_array(labels_themselves(y_train, "density_ratio"), "y_train")
    declared = DensityRelevance(y, target, bandwidth=bandwidth)
    weights, spread = scaled_grid_weights(declared.start, declared.step, declared.ratios, y)
    if not np.isfinite(spread.largest):
        raise InputError("target gives weights that are not finite; declare a density that covers more training labels")
    warn_if_extreme(spread, "declare a density nearer to that of the training labels, or take a wider bandwidth")
    return weights


DENSITY_RATIO_PART = Part(
    name="density_ratio",
    slot="weights",
    make=density_ratio_weights,
    summary="ratio of a declared label density, uniform by default, to that of the training labels",
    source="imbami, arXiv 2506.01486",
    year=2025,
    cost="O(B)",
    use="""\
from tailwise.weights.density_ratio import density_ratio_weights
weights = density_ratio_weights(y_train, target=(0.0, 100.0))
loss = (weights(y) * (pred - y).abs()).mean()""",
    units={"target": "target", "bandwidth": "target"},
    targets=("scalar", "dense"),
    needs=("y",),
    of_none={
        "target": "uniform over the training labels; or [low, high], or labels",
        "bandwidth": "1.06 sigma n^(-1/5)",
    },
    corrects=True,
)
