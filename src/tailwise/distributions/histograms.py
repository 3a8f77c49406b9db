"""Distributions with a uniform density in each bin."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError, positive
from tailwise.distributions.predictive import NO_MASS, Predictive
from tailwise.distributions.row_arrays import Floats, finite, increasing, index_rows, pieces, scalar, shares
from tailwise.distributions.steps import StepFunction


class Histogram(Predictive):
    """Masses of bins that all rows share, spread evenly within each bin.

    Args:
        edges: ``(B + 1,)`` increasing, target units.
        masses: ``(n, B)``, at least 0; divided by their sum.

    Raises:
        InputError: edges that do not increase, masses that are negative, not finite or all 0 in a row.

    Example:
        >>> age = Histogram([0, 10, 20, 40], [[0.1, 0.5, 0.4]])
        >>> age.quantile([0.05, 0.5, 0.9]).tolist(), age.mean().round(3).tolist()
        ([[5.0, 18.0, 35.0]], [20.0])
    """

    kind = "histogram"

    def __init__(self, edges: ArrayLike, masses: ArrayLike) -> None:
        self.edges = increasing(edges, "edges")
        masses = finite(masses, "masses", 2)
        if masses.shape[1] != self.edges.size - 1:
            raise InputError(f"masses must have one column a bin, {self.edges.size - 1}, got shape {masses.shape}")
        self.masses = shares(masses, "masses")

    @classmethod
    def of(cls, predictive: Predictive, edges: ArrayLike) -> Self:
        """Return the masses of other distributions in each bin; mass beyond the edges counts for the end bins.

        Takes memory for ``(n, B)`` masses.

        Example:
            >>> from tailwise.distributions import Mixture
            >>> Histogram.of(Mixture([[1.0]], [[0.0]], [[1.0]]), [-3, -1, 1, 3]).masses.round(3).tolist()
            [[0.159, 0.683, 0.159]]
        """
        edges = increasing(edges, "edges")
        below = predictive.below(edges[None, 1:-1])
        ends = np.zeros((len(predictive), 1)), np.ones((len(predictive), 1))
        return cls(edges, np.maximum(np.diff(np.hstack([ends[0], below, ends[1]]), axis=1), 0.0))

    @classmethod
    def _of(cls, edges: Floats, masses: Floats) -> Self:
        part = cls.__new__(cls)
        part.edges, part.masses = edges, masses
        return part

    @classmethod
    def _pooled(cls, parts: Sequence[Self], weights: Floats) -> Self:
        edges = parts[0].edges
        for part in parts[1:]:
            edges = np.union1d(edges, part.edges)
        masses = sum(weights[:, [j]] * part._split(edges) for j, part in enumerate(parts))
        return cls(edges, masses)

    def __len__(self) -> int:
        return len(self.masses)

    def __repr__(self) -> str:
        return (
            f"Histogram({len(self):,} rows, {self.masses.shape[1]} bins from {self.edges[0]:g} to {self.edges[-1]:g})"
        )

    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows."""
        return self._of(self.edges, self.masses[index_rows(rows, len(self))])

    def tilt(self, weights: StepFunction) -> "Histogram":
        """Return the distributions times a step function; its edges become edges of bins."""
        within = (self.edges > weights.edges[0]) & (self.edges < weights.edges[-1])
        edges = np.union1d(weights.edges, self.edges[within])
        middles = (edges[:-1] + edges[1:]) / 2
        values = weights(middles)
        masses = np.empty((len(self), values.size))
        for rows in pieces(len(self), values.size):
            part = self.select(rows)
            split = part._split(edges)
            lost = split[:, values > 0].sum(axis=1) < NO_MASS
            if lost.any():
                points = weights.nearest(part._moments()[lost, 0])
                split[lost] = 0.0
                split[lost, np.clip(np.searchsorted(edges, points, side="right") - 1, 0, values.size - 1)] = 1.0
            split *= values
            masses[rows] = split / split.sum(axis=1, keepdims=True)
        return self._of(edges, masses)

    def _split(self, edges: Floats) -> Floats:
        """Mass between edges that include this histogram's, or those within them."""
        middles = (edges[:-1] + edges[1:]) / 2
        bins = np.clip(np.searchsorted(self.edges, middles) - 1, 0, self.masses.shape[1] - 1)
        inside = (middles > self.edges[0]) & (middles < self.edges[-1])
        fractions = np.where(inside, np.diff(edges) / np.diff(self.edges)[bins], 0.0)
        return np.asarray(self.masses[:, bins] * fractions, dtype=np.float64)

    def affine(self, shift: float, scale: float) -> Self:
        """Return the distributions of ``shift + scale * y``."""
        return self._of(scalar(shift, "shift") + positive(scale, "scale") * self.edges, self.masses)

    def to_arrays(self) -> dict[str, Any]:
        """Return ``edges`` and ``masses``."""
        return {"edges": self.edges, "masses": self.masses}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        return cls(arrays["edges"], arrays["masses"])

    @property
    def _width(self) -> int:
        return self.edges.size

    def _sides(self, t: Floats) -> tuple[Floats, Floats]:
        """Mass below and above each point."""
        bins = np.clip(np.searchsorted(self.edges, t, side="right") - 1, 0, self.masses.shape[1] - 1)
        fraction = np.clip((t - self.edges[bins]) / np.diff(self.edges)[bins], 0.0, 1.0)
        mass = np.take_along_axis(self.masses, bins, 1)
        before = np.take_along_axis(_cumulative(self.masses), bins, 1)
        after = np.take_along_axis(_cumulative(self.masses[:, ::-1]), self.masses.shape[1] - 1 - bins, 1)
        return before + fraction * mass, after + (1 - fraction) * mass

    def _cdf(self, t: Floats, *, strict: bool) -> Floats:  # noqa: ARG002 (there are no atoms)
        below, above = self._sides(t)
        return below / (below + above)

    def _above(self, t: Floats) -> Floats:
        below, above = self._sides(t)
        return above / (below + above)

    def _quantile(self, levels: Floats) -> Floats:
        before, rows = self.masses.cumsum(axis=1), np.arange(len(self))
        result = np.empty((len(self), levels.size))
        for column, level in enumerate(levels):
            goal = level * before[:, -1]
            bins = (before < goal[:, None]).sum(axis=1)
            mass = self.masses[rows, bins]
            fraction = np.clip((goal - before[rows, bins] + mass) / mass, 0.0, 1.0)
            result[:, column] = self.edges[bins] + fraction * (self.edges[bins + 1] - self.edges[bins])
        return result

    def _moments(self) -> Floats:
        middles, widths = (self.edges[:-1] + self.edges[1:]) / 2, np.diff(self.edges)
        mean = self.masses @ middles
        variance = (self.masses * ((middles - mean[:, None]) ** 2 + widths**2 / 12)).sum(axis=1)
        return np.stack([mean, np.sqrt(variance)], axis=1)

    def _distance(self, y: Floats) -> Floats:
        low, high = self.edges[:-1] - y[:, None], self.edges[1:] - y[:, None]
        around = (low < 0) & (high > 0)
        distances = np.where(around, (low**2 + high**2) / (2 * (high - low)), np.abs(low + high) / 2)
        return np.asarray((self.masses * distances).sum(axis=1), dtype=np.float64)

    def _half_difference(self) -> Floats:
        after = self.masses.cumsum(axis=1)
        before = after - self.masses
        integrals = (before + after) / 2 - (before**2 + before * after + after**2) / 3
        return np.asarray(integrals @ np.diff(self.edges), dtype=np.float64)

    def _log_density(self, y: Floats) -> Floats:
        bins = np.clip(np.searchsorted(self.edges, y, side="right") - 1, 0, self.masses.shape[1] - 1)
        inside = (y >= self.edges[0]) & (y <= self.edges[-1])
        density = self.masses[np.arange(len(self)), bins] / np.diff(self.edges)[bins]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.where(inside, density, 0.0)), dtype=np.float64)


def _cumulative(masses: Floats) -> Floats:
    """Sum of the masses before each column."""
    return np.hstack([np.zeros((len(masses), 1)), masses[:, :-1].cumsum(axis=1)])
