"""Mixtures of Gaussians with a step function for each component: one target of a tilted joint distribution."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.special import ndtr

from tailwise._checks import InputError, positive
from tailwise.distributions.normals import Components, normal_density, standardized
from tailwise.distributions.predictive import NO_MASS, Predictive
from tailwise.distributions.row_arrays import Floats, finite, increasing, index_rows, scalar
from tailwise.distributions.steps import StepFunction

_KNOTS = np.array([-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0])
_NODES, _NODE_WEIGHTS = leggauss(4)


class TiltedMarginal(Predictive):
    """Mixtures of Gaussians with each component times a step function of its own, normalized in each row.

    The density is proportional to Σ_m π_m f_m(y) N(y; μ_m, σ_m²), f_m constant in each cell. It is the distribution of
    one target where a joint distribution of diagonal Gaussians is multiplied by a function w that is constant in the
    cells of a grid: f_m is then the expectation of w over the other targets of component m, given the cell of this one.
    Nothing is discretized; only the CRPS is integrated numerically, to some 1e-7 of its value.

    Args:
        weights: ``(n, M)`` weights of the components.
        means: ``(n, M)``, target units.
        scales: ``(n, M)`` standard deviations, target units; 0 for an atom.
        edges: ``(C + 1,)`` increasing edges of the cells, target units.
        factors: ``(n, M, C)`` value of each component's step function in each cell, at least 0.

    Raises:
        InputError: shapes that do not fit, negative factors, rows without mass.
    """

    kind = "tilted-marginal"

    def __init__(
        self, weights: ArrayLike, means: ArrayLike, scales: ArrayLike, edges: ArrayLike, factors: ArrayLike
    ) -> None:
        components, cells = Components.checked(weights, means, scales), increasing(edges, "edges")
        steps = finite(factors, "factors", 3)
        if steps.shape != (len(components), components.count, cells.size - 1) or (steps < 0).any():
            shape = (len(components), components.count, cells.size - 1)
            raise InputError(f"factors must be numbers of at least 0 of shape {shape}, got shape {steps.shape}")
        self._components, self.edges, self.factors = components, cells, steps
        if not (self._masses().sum(axis=(1, 2)) > 0).all():
            raise InputError("factors must leave every row some mass")

    @classmethod
    def of(cls, components: Components, edges: Floats, factors: Floats) -> Self:
        """The distributions of arrays that were checked before."""
        part = cls.__new__(cls)
        part._components, part.edges, part.factors = components, edges, factors
        return part

    def __len__(self) -> int:
        return len(self._components)

    def __repr__(self) -> str:
        return f"TiltedMarginal({len(self):,} rows, {self.factors.shape[2]} cells)"

    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows."""
        index = index_rows(rows, len(self))
        return self.of(self._components.take(index), self.edges, self.factors[index])

    def tilt(self, weights: StepFunction) -> "TiltedMarginal":
        """Return the distributions times a further step function."""
        low, high = max(self.edges[0], weights.edges[0]), min(self.edges[-1], weights.edges[-1])
        edges = np.union1d(self.edges, weights.edges)
        edges = edges[(edges >= low) & (edges <= high)]
        middles = (edges[:-1] + edges[1:]) / 2
        values = weights(middles)
        if not values.any():
            raise InputError("the weights leave nothing: their product with those of an earlier tilt is 0 everywhere")
        factors = self.factors[:, :, np.searchsorted(self.edges, middles, side="right") - 1]
        components = self._components
        kept = self.of(components, edges, factors * (values > 0))._masses().sum(axis=(1, 2))
        lost = kept < NO_MASS * self._masses().sum(axis=(1, 2))
        factors = factors * values
        if lost.any():
            components = components.as_atoms(lost, StepFunction(edges, values).nearest(components.mean()[lost]))
            factors[lost] = 1.0
        return self.of(components, edges, factors)

    def affine(self, shift: float, scale: float) -> Self:
        """Return the distributions of ``shift + scale * y``."""
        shift, scale = scalar(shift, "shift"), positive(scale, "scale")
        return self.of(self._components.affine(shift, scale), shift + scale * self.edges, self.factors)

    def to_arrays(self) -> dict[str, Any]:
        """Return ``weights``, ``means``, ``scales``, ``edges`` and ``factors``."""
        parts = self._components
        arrays = {"weights": parts.weights, "means": parts.means, "scales": parts.scales}
        return arrays | {"edges": self.edges, "factors": self.factors}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        return cls(*(arrays[name] for name in ("weights", "means", "scales", "edges", "factors")))

    @property
    def _width(self) -> int:
        return self._components.count * self.edges.size

    @property
    def _ends(self) -> Floats:
        """Edges, the last one moved up by a rounding error: its cell includes it."""
        return np.append(self.edges[:-1], np.nextafter(self.edges[-1], np.inf))

    def _masses(self) -> Floats:
        """``(n, M, C)`` mass of each component in each cell, not divided by the total mass."""
        return self._components.weights[:, :, None] * self.factors * cell_masses(self._components, self._ends)

    def _cell(self, t: Floats) -> Any:
        return np.clip(np.searchsorted(self.edges, t, side="right") - 1, 0, self.factors.shape[2] - 1)

    def _in_cells(self, rows: Any, cells: Any) -> Components:
        """Components of some rows, each with the weights that it has in one cell."""
        base = self._components
        weights = base.weights[rows] * self.factors[rows, :, cells]
        return Components(weights, base.means[rows], base.scales[rows])

    def _sides(self, t: Floats, *, strict: bool) -> tuple[Floats, Floats]:
        """Mass up to each ``(n, k)`` point and above it, not divided by the total mass."""
        (n, k), ends, masses = t.shape, self._ends, self._masses().sum(axis=1)
        rows, cells = np.repeat(np.arange(n), k), self._cell(t).ravel()
        parts, low, high = self._in_cells(rows, cells), ends[cells], ends[cells + 1]
        pivot = (low + high) / 2
        at = parts.cumulative(np.clip(t.ravel(), ends[0], ends[-1])[:, None], pivot, strict=strict)
        edges = parts.cumulative(np.stack([low, high], axis=1), pivot, strict=True)
        none = np.zeros((n, 1))
        before = np.hstack([none, masses.cumsum(axis=1)])
        after = np.hstack([masses[:, ::-1].cumsum(axis=1)[:, ::-1], none])
        lower = before[rows, cells] + np.maximum(at[:, 0] - edges[:, 0], 0.0)
        upper = after[rows, cells + 1] + np.maximum(edges[:, 1] - at[:, 0], 0.0)
        return lower.reshape(n, k), upper.reshape(n, k)

    def _cdf(self, t: Floats, *, strict: bool) -> Floats:
        lower, upper = self._sides(t, strict=strict)
        return lower / (lower + upper)

    def _above(self, t: Floats) -> Floats:
        lower, upper = self._sides(t, strict=False)
        return upper / (lower + upper)

    def _quantile(self, levels: Floats) -> Floats:
        n, ends, masses = len(self), self._ends, self._masses().sum(axis=1)
        before = masses.cumsum(axis=1)
        goal = before[:, -1:] * levels
        cells = np.stack([(before < goal[:, [j]]).sum(axis=1) for j in range(levels.size)], axis=1).ravel()
        rows, goal = np.repeat(np.arange(n), levels.size), goal.ravel()
        mass = masses[rows, cells]
        rest = goal - (before[rows, cells] - mass)
        low, high = ends[cells], ends[cells + 1]
        parts, pivot = self._in_cells(rows, cells), (low + high) / 2
        below = parts.cumulative(low[:, None], pivot, strict=True)[:, 0]
        start = low + np.clip(rest / mass, 0, 1) * (high - low)
        roots = parts.root(low, high, start, below + rest, pivot)
        return np.clip(roots, self.edges[0], self.edges[-1]).reshape(n, levels.size)

    def _moments(self) -> Floats:
        masses = cell_masses(self._components, self._ends)
        center = np.clip(self._components.mean(), self.edges[0], self.edges[-1])
        weights = self._components.weights[:, :, None] * self.factors
        total = (weights * masses).sum(axis=(1, 2))
        first, second = (
            (weights * moment).sum(axis=(1, 2)) / total
            for moment in _cell_moments(self._components, self._ends, masses, center)
        )
        return np.stack([center + first, np.sqrt(np.maximum(second - first**2, 0.0))], axis=1)

    def _distance(self, y: Floats) -> Floats:
        ends, base = self._ends, self._components
        masses = cell_masses(base, ends)
        first, _ = _cell_moments(base, ends, masses, y)
        weights = base.weights[:, :, None] * self.factors
        by_cell, rows = (weights * first).sum(axis=1), np.arange(len(self))
        t = np.clip(y, ends[0], ends[-1])
        cells = self._cell(t)
        low = ends[cells]
        at, _ = self._in_cells(rows, cells).moments(np.stack([low, t], axis=1), (low + ends[cells + 1]) / 2, y)
        before = np.hstack([np.zeros((len(self), 1)), by_cell.cumsum(axis=1)])
        below = before[rows, cells] + at[:, 1] - at[:, 0]
        return np.asarray((before[:, -1] - 2 * below) / (weights * masses).sum(axis=(1, 2)), dtype=np.float64)

    @property
    def _wider(self) -> int:
        nodes: int = (self.edges.size + self._components.means.shape[1] * _KNOTS.size) * _NODES.size
        return -(-nodes // self._width)

    def _half_difference(self) -> Floats:
        """∫ P(Y <= t) P(Y > t) dt by Gauss's rule between edges, atoms and multiples of every component's scale."""
        means, scales = self._components.means[:, :, None], self._components.scales[:, :, None]
        ends = np.clip((means + scales * _KNOTS).reshape(len(self), -1), self.edges[0], self.edges[-1])
        knots = np.sort(np.hstack([np.broadcast_to(self.edges, (len(self), self.edges.size)), ends]), axis=1)
        halves = np.diff(knots) / 2
        nodes = (knots[:, :-1] + halves)[:, :, None] + halves[:, :, None] * _NODES
        lower, upper = self._sides(nodes.reshape(len(self), -1), strict=False)
        product = (lower * upper / (lower + upper) ** 2).reshape(nodes.shape)
        return np.asarray(((product * _NODE_WEIGHTS).sum(axis=2) * halves).sum(axis=1), dtype=np.float64)

    def _log_density(self, y: Floats) -> Floats:
        parts = self._in_cells(np.arange(len(self)), self._cell(y))
        inside = (y >= self.edges[0]) & (y <= self.edges[-1])
        log_density = parts.log_density(y) - np.log(self._masses().sum(axis=(1, 2)))
        return np.where(inside, log_density, -np.inf)


def cell_masses(components: Components, ends: Floats) -> Floats:
    """Return ``(n, M, C)`` mass of each component, whole weight 1, between neighbours of ``(C + 1,)`` increasing ends.

    Exact where it is tiny: the mass of a cell beside the mean is a difference of tails on that side. A point that is an
    end belongs to the cell above it.
    """
    gaps, scales = ends - components.means[:, :, None], components.scales[:, :, None]
    z = standardized(gaps, np.broadcast_to(scales, gaps.shape), strict=True)
    tails = ndtr(-np.abs(z))
    step = np.diff(tails)
    lower, upper = z[..., :-1], z[..., 1:]
    around = 1.0 - tails[..., :-1] - tails[..., 1:]
    return np.asarray(np.where(lower >= 0, -step, np.where(upper <= 0, step, around)), dtype=np.float64)


def _cell_moments(components: Components, ends: Floats, masses: Floats, center: Floats) -> tuple[Floats, Floats]:
    """First and second moment about each row's center of each component in each cell, ``(n, M, C)``.

    ∫ (y - c) N = (μ - c) ΔΦ - σ Δφ and ∫ (y - c)² N = ((μ - c)² + σ²) ΔΦ - σ Δ((μ + y - 2 c) φ).
    """
    means, scales = components.means[:, :, None], components.scales[:, :, None]
    z = standardized(ends - means, np.broadcast_to(scales, (*means.shape[:2], ends.size)), strict=True)
    slope, gap = scales * normal_density(z), means - center[:, None, None]
    first = gap * masses - np.diff(slope)
    second = (gap**2 + scales**2) * masses - np.diff(slope * (gap + ends - center[:, None, None]))
    return first, second
