"""Step functions of the target: the weights that a distribution is multiplied by."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError
from tailwise.distributions.row_arrays import Floats, finite, increasing, numbers


@dataclass(frozen=True, eq=False)
class StepFunction:
    """A function of the target that is constant in each cell ``[edge_j, edge_{j+1})`` and 0 outside all cells.

    The last cell includes its upper edge.

    Args:
        edges: ``(k + 1,)`` increasing, target units.
        values: ``(k,)`` value in each cell, at least 0, not all 0.

    Raises:
        InputError: edges that do not increase, another number of values, values that are negative or all 0.

    Example:
        >>> StepFunction([0.0, 10.0, 20.0], [1.0, 4.0])([-1.0, 0.0, 10.0, 20.0, 20.1]).tolist()
        [0.0, 1.0, 4.0, 4.0, 0.0]
    """

    edges: Floats
    values: Floats

    def __post_init__(self) -> None:
        edges, values = increasing(self.edges, "edges"), finite(self.values, "values", 1)
        if values.size != edges.size - 1:
            raise InputError(f"values must have one number a cell, {edges.size - 1}, got {values.size}")
        if not ((values >= 0).all() and values.any()):
            raise InputError(f"values must be at least 0 and not all 0, got from {values.min():g} to {values.max():g}")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "values", values)

    def __call__(self, y: ArrayLike) -> Floats:
        """Value at each ``y``, same shape."""
        y = numbers(y, "y")
        inside = (y >= self.edges[0]) & (y <= self.edges[-1])
        return np.where(inside, self.values[self.cell(y)], 0.0)

    def cell(self, y: Floats) -> Any:
        """Cell of each ``y``, the first or last one outside all cells."""
        return np.clip(np.searchsorted(self.edges, y, side="right") - 1, 0, self.values.size - 1)

    def nearest(self, y: Floats) -> Floats:
        """Nearest point to each ``(n,)`` value at which the function is above 0."""
        positive = self.values > 0
        tops = np.append(np.nextafter(self.edges[1:-1], -np.inf), self.edges[-1])
        points = np.clip(y[:, None], self.edges[:-1][positive], tops[positive])
        return np.asarray(points[np.arange(y.size), np.abs(points - y[:, None]).argmin(axis=1)], dtype=np.float64)

    def compressed(self) -> Self:
        """The same function with neighbouring cells of equal value joined and outer cells of value 0 left out."""
        starts = np.flatnonzero(np.diff(self.values, prepend=-1.0))
        edges, values = np.append(self.edges[starts], self.edges[-1]), self.values[starts]
        first, last = int(values[0] == 0), values.size - int(values[-1] == 0)
        return type(self)(edges[first : last + 1], values[first:last])

    def times(self, other: "StepFunction") -> "StepFunction":
        """Product of two step functions.

        Raises:
            InputError: the product is 0 everywhere.
        """
        low, high = max(self.edges[0], other.edges[0]), min(self.edges[-1], other.edges[-1])
        edges = np.union1d(self.edges, other.edges)
        edges = edges[(edges >= low) & (edges <= high)]
        middles = (edges[:-1] + edges[1:]) / 2
        values = self(middles) * other(middles)
        if not values.any():
            raise InputError("the weights leave nothing: their product with those of an earlier tilt is 0 everywhere")
        return StepFunction(edges, values)

    def affine(self, shift: float, scale: float) -> "StepFunction":
        """The function of ``shift + scale * y``, ``scale`` above 0."""
        return StepFunction(shift + scale * self.edges, self.values)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"edges": self.edges.tolist(), "values": self.values.tolist()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        return cls(saved["edges"], saved["values"])
