"""Mixtures of diagonal Gaussians of several targets."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError
from tailwise.distributions.grid_steps import GridFunction
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.row_arrays import Floats, finite, index_rows, pieces, shares
from tailwise.distributions.tilted_vectors import TiltedVectorMixture, log_density, shift_and_scale
from tailwise.distributions.vector_predictive import VectorPredictive


class VectorMixture(VectorPredictive):
    """A mixture of M Gaussians of K targets in each row, each with a diagonal covariance.

    Isotropic Gaussians are those with equal scales.

    Args:
        weights: ``(n, M)``, at least 0; divided by their sum.
        means: ``(n, M, K)``, target units.
        scales: ``(n, M, K)`` standard deviations, above 0, target units.

    Raises:
        InputError: shapes that do not fit, values that are not finite, negative weights, scales that are not above 0.

    Example:
        >>> gaze = VectorMixture([[0.75, 0.25]], [[[0.0, 0.0], [20.0, 40.0]]], np.ones((1, 2, 2)))
        >>> gaze.mean().tolist(), gaze.median().round(2).tolist(), gaze.marginal(1).above(20.0).tolist()
        ([[5.0, 10.0]], [[0.43, 0.43]], [0.25])
    """

    kind = "vector-mixture"

    def __init__(self, weights: ArrayLike, means: ArrayLike, scales: ArrayLike) -> None:
        self.weights = shares(finite(weights, "weights", 2), "weights")
        self.means, self.scales = finite(means, "means", 3), finite(scales, "scales", 3)
        if self.means.shape != self.scales.shape or self.means.shape[:2] != self.weights.shape:
            raise InputError(
                "weights must have shape (n, M), means and scales one shape (n, M, K), got "
                f"{self.weights.shape}, {self.means.shape} and {self.scales.shape}"
            )
        if not (self.scales > 0).all():
            raise InputError(f"scales must be above 0, got {self.scales.min():g}")

    def __len__(self) -> int:
        return len(self.weights)

    def __repr__(self) -> str:
        return f"VectorMixture({len(self):,} rows of {self.weights.shape[1]} components, {self.n_targets} targets)"

    @property
    def n_targets(self) -> int:
        """K."""
        return int(self.means.shape[2])

    def select(self, rows: Any) -> Self:
        """Return the mixtures of some rows."""
        index = index_rows(rows, len(self))
        part = type(self).__new__(type(self))
        part.weights, part.means, part.scales = self.weights[index], self.means[index], self.scales[index]
        return part

    def marginal(self, k: int) -> Mixture:
        """Return the mixtures of target k, from 0."""
        k = self._target(k)
        return Mixture(self.weights, self.means[:, :, k], self.scales[:, :, k])

    def tilt(self, weights: GridFunction) -> TiltedVectorMixture:
        """Return the mixtures times a function that is constant in the cells of a grid; exact."""
        return TiltedVectorMixture(self.weights, self.means, self.scales, weights)

    def affine(self, shift: ArrayLike, scale: ArrayLike) -> Self:
        """Return the mixtures of ``shift + scale * y``, ``(K,)`` or one number each; scales are above 0."""
        a, b = shift_and_scale(shift, scale, self.n_targets)
        return type(self)(self.weights, a + b * self.means, b * self.scales)

    def log_score(self, y: ArrayLike) -> Floats:
        """Negative logarithm of the joint density at ``(n, K)`` labels, ``(n,)``; lower is better."""
        labels, scores = self._labels(y), np.empty(len(self))
        for rows in pieces(len(self), self._width):
            scores[rows] = -log_density(self.weights[rows], self.means[rows], self.scales[rows], labels[rows])
        return scores

    def to_arrays(self) -> dict[str, Any]:
        """Return ``weights``, ``means`` and ``scales``."""
        return {"weights": self.weights, "means": self.means, "scales": self.scales}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        return cls(arrays["weights"], arrays["means"], arrays["scales"])

    @property
    def _width(self) -> int:
        return int(self.means[0].size) if len(self) else 1
