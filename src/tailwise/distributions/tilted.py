"""Mixtures of Gaussians times a step function of the target."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.polynomial.legendre import leggauss

from tailwise._checks import positive
from tailwise.distributions.normals import Components
from tailwise.distributions.predictive import NO_MASS, Predictive
from tailwise.distributions.row_arrays import Floats, index_rows, scalar
from tailwise.distributions.steps import StepFunction

_KNOTS = np.array([-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0])
_NODES, _NODE_WEIGHTS = leggauss(4)


class TiltedMixture(Predictive):
    """Mixtures of Gaussians times a step function of the target, normalized in each row.

    The distribution is exact: nothing is discretized, so a mixture that is narrower than a cell stays as narrow, and
    atoms keep their place. Only the CRPS is integrated numerically, to some 1e-7 of its value.

    Args:
        components: of the mixtures.
        weights: step function w; the density is proportional to w(y) p(y).
    """

    kind = "tilted-mixture"
    _elements = 2**18  # enough rows for blocks that are alike, see Components.moments_at

    def __init__(self, components: Components, weights: StepFunction) -> None:
        self._components = components
        step = weights.compressed()
        self.step = StepFunction(step.edges, step.values / step.values.max())

    def __len__(self) -> int:
        return len(self._components)

    def __repr__(self) -> str:
        return f"TiltedMixture({len(self):,} rows, {self.step.values.size} cells)"

    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows."""
        return self._of(self._components.take(index_rows(rows, len(self))), self.step)

    @classmethod
    def _of(cls, components: Components, step: StepFunction) -> Self:
        part = cls.__new__(cls)
        part._components, part.step = components, step
        return part

    def tilt(self, weights: StepFunction) -> "TiltedMixture":
        """Return the distributions times a further step function."""
        return TiltedMixture(self._components, self.step.times(weights))

    def affine(self, shift: float, scale: float) -> Self:
        """Return the distributions of ``shift + scale * y``."""
        shift, scale = scalar(shift, "shift"), positive(scale, "scale")
        return self._of(self._components.affine(shift, scale), self.step.affine(shift, scale))

    def to_arrays(self) -> dict[str, Any]:
        """Return the arrays of the mixture and ``edges`` and ``values`` of the step function."""
        parts = self._components
        arrays = {"weights": parts.weights, "means": parts.means, "scales": parts.scales}
        return arrays | {"edges": self.step.edges, "values": self.step.values}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        components = Components.checked(arrays["weights"], arrays["means"], arrays["scales"])
        return cls(components, StepFunction(arrays["edges"], arrays["values"]))

    @property
    def _width(self) -> int:
        return self.step.edges.size

    def _order(self) -> Any:
        return np.argsort(self._components.mean(), kind="stable")

    @property
    def _pivot(self) -> float:
        return float(self.step.edges[0] + self.step.edges[-1]) / 2

    def _prepared(self) -> "_Prepared":
        components, moments = self._moments_at_edges(None, 0)
        return _Prepared(components, self._edges, moments[0], self._masses(moments[0]))

    @property
    def _edges(self) -> Floats:
        """Edges of the cells; the last one moved up by a rounding error, as its cell includes it."""
        return np.append(self.step.edges[:-1], np.nextafter(self.step.edges[-1], np.inf))

    def _masses(self, below: Floats) -> Floats:
        """Weighted mass of each cell, ``(n, k)``, from the components' cumulative mass at the edges."""
        return np.maximum(np.diff(below), 0.0) * self.step.values

    def _moments_at_edges(self, center: Floats | None, most: int) -> tuple[Components, Floats]:
        """Components, and their moments up to an order below each edge, ``(most + 1, n, k + 1)``.

        Rows without mass where the weights are above 0 are atoms here. Without a center it is the components' mean.
        """
        components, edges, step = self._components, self._edges, self.step
        center = components.mean() if center is None else center
        moments = components.moments_at(edges, self._pivot, center, most=most)
        inside = np.diff(moments[0]) if step.values.all() else np.diff(moments[0])[:, step.values > 0]
        lost = inside.sum(axis=1) < NO_MASS
        if lost.any():
            components = components.as_atoms(lost, step.nearest(components.mean()[lost]))
            moments[:, lost] = components.take(lost).moments_at(edges, self._pivot, center[lost], most=most)
        return components, moments

    def _sides(self, t: Floats, *, strict: bool) -> tuple[Floats, Floats]:
        """Mass up to each point and above it, not divided by the total mass."""
        known = self._prepared()
        cell = self.step.cell(t)
        at = known.components.cumulative(np.clip(t, known.edges[0], known.edges[-1]), self._pivot, strict=strict)
        value = self.step.values[cell]
        lower = value * np.maximum(at - np.take_along_axis(known.below, cell, 1), 0.0)
        upper = value * np.maximum(np.take_along_axis(known.below, cell + 1, 1) - at, 0.0)
        none = np.zeros((len(self), 1))
        before = np.hstack([none, known.masses.cumsum(axis=1)])
        after = np.hstack([known.masses[:, ::-1].cumsum(axis=1)[:, ::-1], none])
        return lower + np.take_along_axis(before, cell, 1), upper + np.take_along_axis(after, cell + 1, 1)

    def _cdf(self, t: Floats, *, strict: bool) -> Floats:
        lower, upper = self._sides(t, strict=strict)
        return lower / (lower + upper)

    def _above(self, t: Floats) -> Floats:
        lower, upper = self._sides(t, strict=False)
        return upper / (lower + upper)

    def _quantile(self, levels: Floats) -> Floats:
        known, n = self._prepared(), len(self)
        before = known.masses.cumsum(axis=1)
        goal = before[:, -1:] * levels
        cell = np.stack([(before < goal[:, [j]]).sum(axis=1) for j in range(levels.size)], axis=1)
        rows = np.repeat(np.arange(n), levels.size)
        goal, cell = goal.ravel(), cell.ravel()
        mass = known.masses[rows, cell]
        rest = goal - (before[rows, cell] - mass)
        low, high = known.edges[cell], known.edges[cell + 1]
        start = low + np.clip(rest / mass, 0, 1) * (high - low)
        below = known.below[rows, cell] + rest / self.step.values[cell]
        pivot = np.full(rows.size, self._pivot)
        roots = known.components.repeat(levels.size).root(low, high, start, below, pivot)
        return np.clip(roots, self.step.edges[0], self.step.edges[-1]).reshape(n, levels.size)

    def _mean(self) -> Floats:
        center = self._components.mean()
        _, moments = self._moments_at_edges(center, 1)
        return np.asarray(center + self._ratio(moments, 1), dtype=np.float64)

    def _moments(self) -> Floats:
        center = self._components.mean()
        _, moments = self._moments_at_edges(center, 2)
        first, second = (self._ratio(moments, order) for order in (1, 2))
        return np.stack([center + first, np.sqrt(np.maximum(second - first**2, 0.0))], axis=1)

    def _ratio(self, moments: Floats, order: int) -> Floats:
        weighted = np.diff(moments[order]) @ self.step.values
        return np.asarray(weighted / self._masses(moments[0]).sum(axis=1), dtype=np.float64)

    def _distance(self, y: Floats) -> Floats:
        components, moments = self._moments_at_edges(y, 1)
        weighted = np.diff(moments[1]) * self.step.values
        edges, rows = self._edges, np.arange(len(self))
        t = np.clip(y, edges[0], edges[-1])
        cell = self.step.cell(t)
        at, _ = components.moments(t[:, None], self._pivot, y)
        before = np.hstack([np.zeros((len(self), 1)), weighted.cumsum(axis=1)])
        below = before[rows, cell] + self.step.values[cell] * (at[:, 0] - moments[1][rows, cell])
        return np.asarray((before[:, -1] - 2 * below) / self._masses(moments[0]).sum(axis=1), dtype=np.float64)

    @property
    def _wider(self) -> int:
        nodes: int = (self._width + self._components.means.shape[1] * _KNOTS.size) * _NODES.size
        return -(-nodes // self._width)

    def _half_difference(self) -> Floats:
        """∫ P(Y <= t) P(Y > t) dt by Gauss's rule between edges, atoms and multiples of every component's scale."""
        known = self._prepared()
        means, scales = known.components.means[:, :, None], known.components.scales[:, :, None]
        ends = np.clip((means + scales * _KNOTS).reshape(len(self), -1), self.step.edges[0], self.step.edges[-1])
        knots = np.sort(np.hstack([np.broadcast_to(self.step.edges, (len(self), self._width)), ends]), axis=1)
        halves = np.diff(knots) / 2
        nodes = (knots[:, :-1] + halves)[:, :, None] + halves[:, :, None] * _NODES
        lower, upper = self._sides(nodes.reshape(len(self), -1), strict=False)
        product = (lower * upper / (lower + upper) ** 2).reshape(nodes.shape)
        return np.asarray(((product * _NODE_WEIGHTS).sum(axis=2) * halves).sum(axis=1), dtype=np.float64)

    def _log_density(self, y: Floats) -> Floats:
        known = self._prepared()
        with np.errstate(divide="ignore"):
            log_weight = np.log(self.step(y))
            log_total = np.log(known.masses.sum(axis=1))
        return np.asarray(known.components.log_density(y) + log_weight - log_total, dtype=np.float64)


class _Prepared(NamedTuple):
    """Components, edges, ``(n, k + 1)`` cumulative mass of the components at these, and ``(n, k)`` weighted masses.

    Rows without mass where the weights are above 0 are atoms here.
    """

    components: Components
    edges: Floats
    below: Floats
    masses: Floats
