"""Mixtures of Gaussians."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from tailwise._checks import positive
from tailwise.distributions.normals import Components, normal_density
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import Floats, index_rows, scalar
from tailwise.distributions.steps import StepFunction
from tailwise.distributions.tilted import TiltedMixture


class Mixture(Predictive):
    """A mixture of K Gaussians in each row; a component of scale 0 is an atom.

    Args:
        weights: ``(n, K)``, at least 0; divided by their sum.
        means: ``(n, K)``, target units.
        scales: ``(n, K)`` standard deviations, target units; 0 for an atom.

    Raises:
        InputError: shapes that differ, values that are not finite, negative weights or scales.

    Note:
        The CRPS is the closed form of Grimit et al., *The continuous ranked probability score for circular variables
        and its application to mesoscale forecast ensemble verification* (QJRMS 2006). Quantiles are exact to rounding.

    Example:
        Rain: none with a chance of 0.6, otherwise about 8 mm.

        >>> rain = Mixture([[0.6, 0.4]], [[0.0, 8.0]], [[0.0, 2.0]])
        >>> float(rain.median()[0]), rain.quantile(0.8).round(3).tolist(), rain.above(0.0).round(3).tolist()
        (0.0, [8.0], [0.4])
    """

    kind = "mixture"

    def __init__(self, weights: ArrayLike, means: ArrayLike, scales: ArrayLike) -> None:
        self._components = Components.checked(weights, means, scales)

    @classmethod
    def _of(cls, components: Components) -> Self:
        mixture = cls.__new__(cls)
        mixture._components = components
        return mixture

    @classmethod
    def _pooled(cls, parts: Sequence[Self], weights: Floats) -> Self:
        components = [part._components for part in parts]
        return cls._of(
            Components(
                np.hstack([part.weights * weights[:, [j]] for j, part in enumerate(components)]),
                np.hstack([part.means for part in components]),
                np.hstack([part.scales for part in components]),
            )
        )

    @property
    def weights(self) -> Floats:
        """``(n, K)``, each row adding up to 1."""
        return self._components.weights

    @property
    def means(self) -> Floats:
        """``(n, K)``, target units."""
        return self._components.means

    @property
    def scales(self) -> Floats:
        """``(n, K)``, target units."""
        return self._components.scales

    def __len__(self) -> int:
        return len(self._components)

    def __repr__(self) -> str:
        return f"Mixture({len(self):,} rows of {self._width} components)"

    def select(self, rows: Any) -> Self:
        """Return the mixtures of some rows."""
        return self._of(self._components.take(index_rows(rows, len(self))))

    def tilt(self, weights: StepFunction) -> TiltedMixture:
        """Return the mixtures times a step function of the target; exact."""
        return TiltedMixture(self._components, weights)

    def affine(self, shift: float, scale: float) -> Self:
        """Return the mixtures of ``shift + scale * y``."""
        return self._of(self._components.affine(scalar(shift, "shift"), positive(scale, "scale")))

    def to_arrays(self) -> dict[str, Any]:
        """Return ``weights``, ``means`` and ``scales``."""
        return {"weights": self.weights, "means": self.means, "scales": self.scales}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        return cls(arrays["weights"], arrays["means"], arrays["scales"])

    @property
    def _width(self) -> int:
        return self._components.count

    def _cdf(self, t: Floats, *, strict: bool) -> Floats:
        return self._components.cumulative(t, -np.inf, strict=strict)

    def _above(self, t: Floats) -> Floats:
        return -self._components.cumulative(t, np.inf, strict=False)

    def _quantile(self, levels: Floats) -> Floats:
        return self._components.quantile(levels)

    def _moments(self) -> Floats:
        return np.stack([self._components.mean(), self._components.std()], axis=1)

    def _distance(self, y: Floats) -> Floats:
        distances = _mean_size(self.means - y[:, None], self.scales)
        return np.asarray((self.weights * distances).sum(axis=1), dtype=np.float64)

    def _half_difference(self) -> Floats:
        total = np.zeros(len(self))
        for j in range(self._width):
            gaps = self.means - self.means[:, j, None]
            sizes = _mean_size(gaps, np.hypot(self.scales, self.scales[:, j, None]))
            total += self.weights[:, j] * (self.weights * sizes).sum(axis=1)
        return total / 2

    def _log_density(self, y: Floats) -> Floats:
        return self._components.log_density(y)


def _mean_size(mean: Floats, scale: Floats) -> Floats:
    """E|N(mean, scale²)|."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = np.nan_to_num(mean / scale)
    return np.asarray(mean * (2 * ndtr(z) - 1) + 2 * scale * normal_density(z), dtype=np.float64)
