"""Step functions of several targets: the weights that a joint distribution is multiplied by."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError
from tailwise.distributions.row_arrays import Floats, finite, increasing, numbers, pieces


@dataclass(frozen=True, eq=False)
class GridFunction:
    """A function of K targets that is constant in each cell of a grid and 0 outside the grid.

    A cell is the product of intervals ``[edge_j, edge_{j+1})``, one a dimension; the last one includes its upper edge.

    Args:
        edges: increasing edges of each dimension, target units.
        values: ``(C_1, ..., C_K)`` value in each cell, at least 0, not all 0.

    Raises:
        InputError: edges that do not increase, another number of values, values that are negative or all 0.

    Example:
        >>> weights = GridFunction(([0.0, 1.0, 2.0], [0.0, 10.0]), [[1.0], [4.0]])
        >>> weights([[0.5, 5.0], [1.0, 10.0], [1.0, 11.0]]).tolist()
        [1.0, 4.0, 0.0]
    """

    edges: tuple[Floats, ...]
    values: Floats

    def __post_init__(self) -> None:
        edges = tuple(increasing(axis, "edges") for axis in self.edges)
        values = finite(self.values, "values", len(edges))
        if values.shape != tuple(axis.size - 1 for axis in edges):
            shape = tuple(axis.size - 1 for axis in edges)
            raise InputError(f"values must have one number a cell, {shape}, got shape {values.shape}")
        if not ((values >= 0).all() and values.any()):
            raise InputError(f"values must be at least 0 and not all 0, got from {values.min():g} to {values.max():g}")
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "values", values)

    @property
    def n_targets(self) -> int:
        """K."""
        return len(self.edges)

    def __call__(self, y: ArrayLike) -> Floats:
        """Value at each ``(..., K)`` label, ``(...)``.

        Raises:
            InputError: labels of another number of targets.
        """
        labels = numbers(y, "y")
        if labels.ndim < 1 or labels.shape[-1] != self.n_targets:
            raise InputError(f"y must have {self.n_targets} targets in its last dimension, got shape {labels.shape}")
        inside, cells = np.ones(labels.shape[:-1], dtype=bool), []
        for j, axis in enumerate(self.edges):
            inside &= (labels[..., j] >= axis[0]) & (labels[..., j] <= axis[-1])
            cells.append(np.clip(np.searchsorted(axis, labels[..., j], side="right") - 1, 0, axis.size - 2))
        return np.where(inside, self.values[tuple(cells)], 0.0)

    def nearest(self, y: Floats) -> Floats:
        """Nearest point to each ``(n, K)`` label at which the function is above 0.

        Distances are Euclidean, each dimension divided by the length of the grid along it.
        """
        if self.values.all():
            low, high = (np.array([axis[end] for axis in self.edges]) for end in (0, -1))
            return np.asarray(np.clip(y, low, high), dtype=np.float64)
        positive = np.argwhere(self.values > 0)
        lows, tops = np.empty(positive.shape), np.empty(positive.shape)
        for j, axis in enumerate(self.edges):
            uppers = np.append(np.nextafter(axis[1:-1], -np.inf), axis[-1])
            lows[:, j], tops[:, j] = axis[:-1][positive[:, j]], uppers[positive[:, j]]
        lengths = np.array([axis[-1] - axis[0] for axis in self.edges])
        nearest = np.empty(y.shape)
        for rows in pieces(len(y), positive.size):
            points = np.clip(y[rows, None, :], lows, tops)
            best = np.square((points - y[rows, None, :]) / lengths).sum(axis=2).argmin(axis=1)
            nearest[rows] = points[np.arange(len(best)), best]
        return nearest

    def times(self, other: "GridFunction") -> "GridFunction":
        """Product of two functions.

        Raises:
            InputError: another number of targets, a product that is 0 everywhere.
        """
        if other.n_targets != self.n_targets:
            raise InputError(f"the functions have {self.n_targets} and {other.n_targets} targets; they need as many")
        edges = []
        for one, another in zip(self.edges, other.edges, strict=True):
            joined = np.union1d(one, another)
            edges.append(joined[(joined >= max(one[0], another[0])) & (joined <= min(one[-1], another[-1]))])
        if min(axis.size for axis in edges) > 1:
            product = self.values[cells_inside(self.edges, edges)] * other.values[cells_inside(other.edges, edges)]
            if product.any():
                return GridFunction(tuple(edges), product)
        raise InputError("the weights leave nothing: their product with those of an earlier tilt is 0 everywhere")

    def affine(self, shift: Floats, scale: Floats) -> "GridFunction":
        """The function of ``shift + scale * y`` with ``(K,)`` shifts and scales, the latter above 0."""
        moved = tuple(a + b * axis for axis, a, b in zip(self.edges, shift, scale, strict=True))
        return GridFunction(moved, self.values)


def volumes(edges: Sequence[Floats]) -> Floats:
    """Return the volume of each cell of a grid, ``(C_1, ..., C_K)``."""
    return np.asarray(reduce(np.multiply.outer, [np.diff(axis) for axis in edges]), dtype=np.float64)


def cells_inside(edges: Sequence[Floats], finer: Sequence[Floats]) -> Any:
    """Return an index that takes values in the cells of a grid to those of a finer grid inside it."""
    index = [
        np.searchsorted(axis, (inner[:-1] + inner[1:]) / 2, side="right") - 1
        for axis, inner in zip(edges, finer, strict=True)
    ]
    return np.ix_(*index)
