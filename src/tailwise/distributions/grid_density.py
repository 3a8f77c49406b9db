"""The density of K-dimensional training labels on a grid of cells, smoothed by LDS, and the weights that undo it."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError, not_negative, row_weights
from tailwise.distributions.grid_steps import GridFunction, cells_inside, volumes
from tailwise.distributions.label_density import POINTS, REACH, balanced_ratio
from tailwise.distributions.row_arrays import Floats, finite, increasing, numbers
from tailwise.labels.bin_grid import BinGrid, label_rows
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS

_CELLS_ALONG = 200, 40, 16  # of each of one, two or three targets, at which a function is averaged

GridTarget = GridFunction | Callable[[Floats], ArrayLike] | ArrayLike


@dataclass(frozen=True, eq=False)
class GridDensity:
    """LDS-smoothed density of ``(n, K)`` training labels, constant in each cell of a grid: the p_train of a tilt.

    The counterpart of :class:`tailwise.distributions.SmoothedDensity` for several targets, with which it agrees for
    K = 1. Along each dimension cells run from the first with a training label to the last, the outermost widened to
    ``reach`` times the range of the labels beyond the lowest and the highest label. Cells where the smoothed density is
    0, which most combinations of targets can be, get the lowest density above 0, so that no weight exceeds that of the
    rarest labels.

    Args:
        edges: increasing edges of each dimension, target units.
        values: ``(C_1, ..., C_K)`` density in each cell, above 0, on any scale.
        counts: training labels in each cell, of the same shape.
        low: ``(K,)`` lowest training label of each dimension.
        high: ``(K,)`` highest training label of each dimension.
        lds: smoothing that the density was made with, along each dimension.

    Raises:
        InputError: edges that do not increase, densities that are not above 0, labels outside the edges.

    Example:
        >>> y = np.random.default_rng(0).normal(size=(2000, 2))
        >>> density = GridDensity.from_labels(y)
        >>> weights = density.weights(1.0)
        >>> weights([[0.0, 0.0], [2.0, 2.0]]).round(2).tolist()
        [0.05, 0.1]
    """

    edges: tuple[Floats, ...]
    values: Floats
    counts: Floats
    low: Floats
    high: Floats
    _: KW_ONLY
    lds: LDS = field(default_factory=LDS)

    def __post_init__(self) -> None:
        edges = tuple(increasing(axis, "edges") for axis in self.edges)
        shape = tuple(axis.size - 1 for axis in edges)
        values, counts = (finite(getattr(self, name), name, len(edges)) for name in ("values", "counts"))
        if not values.shape == counts.shape == shape:
            raise InputError(
                f"values and counts must have one number a cell, {shape}, got shapes {values.shape} and {counts.shape}"
            )
        if not (values > 0).all():
            raise InputError(f"values must be densities above 0, got {values.min():g}")
        if not ((counts >= 0).all() and counts.any()):
            raise InputError("counts must be numbers of labels of at least 0, not all 0")
        low, high = finite(self.low, "low", 1), finite(self.high, "high", 1)
        ends = [np.array([axis[end] for axis in edges]) for end in (0, -1)]
        if not low.size == high.size == len(edges):
            raise InputError(f"low and high must have one number a dimension, {len(edges)}")
        if not ((ends[0] <= low) & (low <= high) & (high <= ends[1])).all():
            raise InputError(f"low and high must lie in order between the edges, got {low} and {high}")
        for name, value in (("edges", edges), ("values", values), ("counts", counts), ("low", low), ("high", high)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_labels(
        cls,
        y_train: ArrayLike,
        grid: BinGrid | None = None,
        *,
        lds: LDS | None = None,
        reach: float = REACH,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Density of training labels.

        Args:
            y_train: ``(n, K)`` labels, target units.
            grid: bins of each dimension; by default :meth:`tailwise.labels.bin_grid.BinGrid.auto`.
            lds: smoothing, by default that of the weights.
            reach: how far decisions may go beyond the lowest and the highest label of a dimension, a fraction of their
                range.
            sample_weight: ``(n,)`` how much each row counts.

        Raises:
            InputError: labels that are empty, not finite or all equal in a dimension, a negative reach.
        """
        y = label_rows(y_train, "y_train")
        if y.ndim != 2:
            raise InputError(f"y_train must be labels (n, K), got shape {y.shape}; for (n,) use SmoothedDensity")
        grid = BinGrid.auto(y) if grid is None else grid
        weight = row_weights(sample_weight, len(y))
        counts = grid.histogram(y) if weight is None else np.bincount(grid.index(y), weight, grid.n_bins)
        return cls.from_counts(grid, counts, low=y.min(axis=0), high=y.max(axis=0), lds=lds, reach=reach)

    @classmethod
    def from_counts(
        cls,
        grid: BinGrid,
        counts: ArrayLike,
        *,
        low: ArrayLike,
        high: ArrayLike,
        lds: LDS | None = None,
        reach: float = REACH,
    ) -> Self:
        """Density from the number of training labels in each cell, the lowest labels and the highest.

        Args:
            grid: bins of each dimension.
            counts: ``(n_bins,)``, in the order of the grid's cells.
            low: ``(K,)`` lowest label of each dimension.
            high: ``(K,)`` highest label of each dimension.
            lds: smoothing, by default that of the weights.
            reach: see :meth:`from_labels`.

        Raises:
            InputError: counts that do not fit the grid, a negative reach.
        """
        counts, lds = finite(counts, "counts", 1), LDS() if lds is None else lds
        if counts.size != grid.n_bins or not (counts >= 0).all() or not counts.any():
            raise InputError(f"counts must be {grid.n_bins} numbers of at least 0, one a cell, not all 0")
        low, high = finite(low, "low", 1), finite(high, "high", 1)
        smoothed = (lds.effective(counts, power=1.0, grid=grid) / grid.widths.prod(axis=1)).reshape(grid.shape)
        cells = counts.reshape(grid.shape)
        box, margin, edges = _box_of(cells), not_negative(reach, "reach") * (high - low), []
        for j, (bins, kept) in enumerate(zip(grid.axes, box, strict=True)):
            axis = bins.edges.astype(np.float64)[kept.start : kept.stop + 1]
            axis[0], axis[-1] = min(axis[0], low[j] - margin[j]), max(axis[-1], high[j] + margin[j])
            edges.append(axis)
        values = _floored(smoothed, cells)[box]
        return cls(tuple(edges), values / (values * volumes(edges)).sum(), cells[box], low, high, lds=lds)

    @property
    def n_targets(self) -> int:
        """K."""
        return len(self.edges)

    def __call__(self, y: ArrayLike) -> Floats:
        """Density at each ``(..., K)`` label; 0 outside the grid."""
        return GridFunction(self.edges, self.values)(y)

    def weights(self, balance: float) -> GridFunction:
        """Weights p_train(y)^(-a), the largest being 1, for a balance a from 0 to 1.

        Raises:
            InputError: a balance that is not a number from 0 to 1.
        """
        return GridFunction(self.edges, balanced_ratio(np.ones(self.values.shape), self.values, balance))

    def ratio(self, target: GridTarget, balance: float = 1.0) -> GridFunction:
        """Weights (q(y) / p_train(y))^a for a declared density q, the largest being 1.

        Args:
            target: q, on any scale: a tuple ``(low, high)`` of ``(K,)`` corners for a uniform density in a box; labels
                ``(m, K)`` spread as those to be predicted, smoothed as the training labels are; a
                :class:`GridFunction`; or a function of ``(m, K)`` labels, averaged over each cell.
            balance: a; 1 is the density q itself.

        Raises:
            InputError: a density that is negative, not finite, of another number of targets, or 0 on all training
                labels.
        """
        edges, declared = self._declared(target)
        index = cells_inside(self.edges, edges)
        if not (declared[self.counts[index] > 0] > 0).any():
            raise InputError(
                f"density is 0 on all training labels, which run from {self.low.tolist()} to {self.high.tolist()}; "
                "declare one that covers some of them"
            )
        return GridFunction(edges, balanced_ratio(declared, self.values[index], balance))

    def _declared(self, target: GridTarget) -> tuple[tuple[Floats, ...], Floats]:
        """Edges of a grid that refines that of the density, and a declared density in each cell."""
        if isinstance(target, GridDensity):
            target = GridFunction(target.edges, target.values)
        if isinstance(target, tuple):
            target = _box(target, self.n_targets)
        if isinstance(target, GridFunction):
            if target.n_targets != self.n_targets:
                raise InputError(f"density is one of {target.n_targets} targets; the model has {self.n_targets}")
            edges = tuple(
                np.union1d(axis, other[(other > axis[0]) & (other < axis[-1])])
                for axis, other in zip(self.edges, target.edges, strict=True)
            )
            return edges, target(_points(edges, (0.5,) * self.n_targets)).reshape(volumes(edges).shape)
        if callable(target):
            return self._averaged(target)
        labels = label_rows(np.asarray(target), "density")
        if labels.ndim != 2 or labels.shape[1] != self.n_targets:
            raise InputError(f"density must be labels (m, {self.n_targets}), got shape {labels.shape}")
        counts, _ = np.histogramdd(labels, self.edges)
        if not counts.any():
            return self.edges, np.zeros(self.values.shape)
        grid = BinGrid(tuple(Bins.from_edges(axis) for axis in self.edges))
        smoothed = self.lds.effective(counts.ravel(), power=1.0, grid=grid).reshape(counts.shape)
        return self.edges, _floored(smoothed / volumes(self.edges), counts)

    def _averaged(self, target: Callable[[Floats], ArrayLike]) -> tuple[tuple[Floats, ...], Floats]:
        """Edges of a finer grid, and a function of ``(m, K)`` labels averaged over each of its cells."""
        parts = [-(-_CELLS_ALONG[self.n_targets - 1] // (axis.size - 1)) for axis in self.edges]
        edges = tuple(
            np.interp(np.arange(part * (axis.size - 1) + 1) / part, np.arange(axis.size), axis)
            for axis, part in zip(self.edges, parts, strict=True)
        )
        places, total = list(product(POINTS.tolist(), repeat=self.n_targets)), np.zeros(volumes(edges).shape)
        for place in places:
            at = numbers(target(_points(edges, place)), "density")
            if at.shape != (total.size,) or not (np.isfinite(at).all() and (at >= 0).all()):
                raise InputError("density must give one finite number of at least 0 for each row of labels")
            total += at.reshape(total.shape)
        return edges, np.asarray(total / len(places), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        arrays = {name: getattr(self, name).tolist() for name in ("values", "counts", "low", "high")}
        return {"edges": [axis.tolist() for axis in self.edges], **arrays, "lds": asdict(self.lds)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        edges = tuple(np.asarray(axis) for axis in saved["edges"])
        values, counts, low, high = (np.asarray(saved[name]) for name in ("values", "counts", "low", "high"))
        return cls(edges, values, counts, low, high, lds=LDS(**saved["lds"]))


def _box_of(cells: Floats) -> tuple[slice, ...]:
    """Return the smallest box that holds all cells other than 0."""
    box = []
    for j in range(cells.ndim):
        seen = np.flatnonzero(cells.any(axis=tuple(k for k in range(cells.ndim) if k != j)))
        box.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return tuple(box)


def _floored(density: Floats, counts: Floats) -> Floats:
    """A density with its lowest value above 0 where it is 0 in the box of cells with labels."""
    floored, box = density.copy(), _box_of(counts)
    floored[box] = np.maximum(density[box], density[box][density[box] > 0].min())
    return floored


def _points(edges: Sequence[Floats], place: Sequence[float]) -> Floats:
    """``(cells, K)`` point of each cell at a fraction of its length along each dimension."""
    axes = (axis[:-1] + at * np.diff(axis) for axis, at in zip(edges, place, strict=True))
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)


def _box(target: tuple[Any, ...], k: int) -> GridFunction:
    """The function that is 1 between two corners."""
    ends = numbers(target, "density")
    if ends.shape != (2, k) or not (np.isfinite(ends).all() and (ends[0] < ends[1]).all()):
        raise InputError(
            f"a uniform density of {k} targets must be a tuple of two corners (low, high), {k} numbers each, with low "
            f"below high, got {target!r}"
        )
    return GridFunction(tuple(ends.T), np.ones((1,) * k))
