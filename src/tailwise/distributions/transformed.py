"""Distributions of a label whose transform has a known distribution, such as log-normal ones."""

import json
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import ndtr

from tailwise._checks import one_of, positive
from tailwise.distributions.empirical import Empirical
from tailwise.distributions.histograms import Histogram
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import Floats, scalar
from tailwise.distributions.steps import StepFunction
from tailwise.distributions.tilted import TiltedMixture
from tailwise.labels.transforms import Transform

_BASES: Mapping[str, type[Predictive]] = {kind.kind: kind for kind in (Mixture, TiltedMixture, Histogram, Empirical)}
_KNOTS = np.array([-7.0, -6.0, -5.0, -4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5])
_LEVELS = ndtr(np.concatenate([_KNOTS, [0.0], -_KNOTS[::-1]]))
_NODES, _NODE_WEIGHTS = leggauss(8)
_BASE = "base."


def of_transformed(base: Predictive, transform: Transform | None) -> Predictive:
    """Return the distributions of labels from those of their transforms; without a transform the base itself."""
    return base if transform is None else Transformed(base, transform)


class Transformed(Predictive):
    """Distributions of y where T(y), for an increasing T, has other distributions: the base.

    Chances, quantiles, tilts and densities are those of the base at T(y), exact by a change of variable. Mean, standard
    deviation and CRPS are integrals of the cumulative distribution between its quantiles at 21 levels, with eight nodes
    of Gauss's rule in each; of log-normal distributions with a scale of 1 they are right to some 1e-6. Tails beyond the
    levels 1e-12 and 1 - 1e-12 do not count.

    Args:
        base: distributions of T(y).
        transform: T.

    Example:
        >>> rows = Transformed(Mixture([[1.0]], [[0.0]], [[1.0]]), Transform("log"))
        >>> rows.median().tolist(), rows.mean().round(4).tolist(), float(np.exp(0.5).round(4))
        ([1.0], [1.6487], 1.6487)
    """

    kind = "transformed"
    _elements = 2**18

    def __init__(self, base: Predictive, transform: Transform) -> None:
        self.base, self.transform = base, transform

    def __len__(self) -> int:
        return len(self.base)

    def __repr__(self) -> str:
        return f"Transformed({self.base!r}, {self.transform.name})"

    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows."""
        return type(self)(self.base.select(rows), self.transform)

    def tilt(self, weights: StepFunction) -> "Transformed":
        """Return the distributions times a step function of the target, whose edges are transformed; exact."""
        edges, values = weights.edges, weights.values
        first = max(int(np.searchsorted(edges, self.transform.lowest, side="right")) - 1, 0)
        step = StepFunction(self.transform.edges(edges[first:]), values[first:])
        return Transformed(self.base.tilt(step), self.transform)

    def affine(self, shift: float, scale: float) -> Self:
        """Return the distributions of ``shift + scale * y``."""
        transform = self.transform.affine(scalar(shift, "shift"), positive(scale, "scale"))
        return type(self)(self.base, transform)

    def to_arrays(self) -> dict[str, Any]:
        """Return the arrays of the base, and the description as the bytes of JSON."""
        described = json.dumps({"base": self.base.kind, "transform": self.transform.to_json()})
        arrays = {_BASE + name: array for name, array in self.base.to_arrays().items()}
        return arrays | {"description": np.frombuffer(described.encode(), dtype=np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        described = json.loads(np.asarray(arrays["description"], dtype=np.uint8).tobytes())
        base = _BASES[one_of(described["base"], "kind", _BASES)]
        of_base = {name.removeprefix(_BASE): array for name, array in arrays.items() if name.startswith(_BASE)}
        return cls(base.from_arrays(of_base), Transform.from_json(described["transform"]))

    @property
    def _width(self) -> int:
        return self.base._width * _LEVELS.size

    def _order(self) -> Any:
        return self.base._order()

    def _cdf(self, t: Floats, *, strict: bool) -> Floats:
        return np.where(self._none(t, strict=strict), 0.0, self.base._cdf(self.transform.forward(t), strict=strict))

    def _above(self, t: Floats) -> Floats:
        return np.where(self._none(t, strict=False), 1.0, self.base._above(self.transform.forward(t)))

    def _none(self, t: Floats, *, strict: bool) -> Any:
        """Whether no mass lies up to each point; what is below the floor of a transform lies at its lowest label."""
        return t < self.transform.lowest if self.transform.floored and not strict else t <= self.transform.lowest

    def _quantile(self, levels: Floats) -> Floats:
        return self.transform.inverse(self.base._quantile(levels))

    def _knots(self) -> Floats:
        """Return ``(n, 22)`` increasing points of the base between which to integrate.

        0 is one of them, where transforms have a kink and zero-inflated labels a mass.
        """
        quantiles = self.base._quantile(_LEVELS)
        zero = np.clip(0.0, quantiles[:, :1], quantiles[:, -1:])
        return np.sort(np.hstack([quantiles, zero]), axis=1)

    def _pieces_of_integrals(self, knots: Floats) -> tuple[Floats, Floats, Floats]:
        """Return labels, cumulative mass and weights of the nodes between knots, each ``(n, intervals, nodes)``."""
        halves = np.diff(knots) / 2
        z = (knots[:, :-1] + halves)[:, :, None] + halves[:, :, None] * _NODES
        y = self.transform.inverse(z)
        below = self.base._cdf(z.reshape(len(self), -1), strict=False).reshape(z.shape)
        with np.errstate(over="ignore"):
            slope = np.exp(-self.transform.log_slope(y))
        slope = np.where(z > 0, slope, 0.0) if self.transform.floored else slope
        return y, below, slope * halves[:, :, None] * _NODE_WEIGHTS

    def _moments(self) -> Floats:
        knots = self._knots()
        y, below, weights = self._pieces_of_integrals(knots)
        center = self.transform.inverse(self.base._quantile(np.array([0.5])))
        up = y > center[:, :, None]
        first = (np.where(up, 1 - below, -below) * weights).sum(axis=(1, 2))
        size = np.abs(y - center[:, :, None])
        second = 2 * (size * np.where(up, 1 - below, below) * weights).sum(axis=(1, 2))
        return np.stack([center[:, 0] + first, np.sqrt(np.maximum(second - first**2, 0.0))], axis=1)

    def _distance(self, y: Floats) -> Floats:
        known = self._knots()
        at = np.clip(self.transform.forward(y)[:, None], known[:, :1], known[:, -1:])
        labels, below, weights = self._pieces_of_integrals(np.sort(np.hstack([known, at]), axis=1))
        inside = self.transform.inverse(at)
        beyond = np.abs(y - inside[:, 0])
        sides = np.where(labels > inside[:, :, None], 1 - below, below)
        return np.asarray((sides * weights).sum(axis=(1, 2)) + beyond, dtype=np.float64)

    def _half_difference(self) -> Floats:
        _, below, weights = self._pieces_of_integrals(self._knots())
        return np.asarray((below * (1 - below) * weights).sum(axis=(1, 2)), dtype=np.float64)

    def _log_density(self, y: Floats) -> Floats:
        column = y[:, None]
        mass = (self._cdf(column, strict=False) - self._cdf(column, strict=True))[:, 0]
        density = self.base._log_density(self.transform.forward(y)) + self.transform.log_slope(y)
        with np.errstate(divide="ignore"):
            return np.where(mass > 0, np.log(mass), np.where(y > self.transform.lowest, density, -np.inf))
