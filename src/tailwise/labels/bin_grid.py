"""Grids of bins for K-dimensional labels, flattened so that a grid can take the place of bins."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array
from tailwise.labels.bins import Bins, pieces
from tailwise.labels.dimension_weights import DimensionWeights, dimension_weights, relative_weights
from tailwise.labels.kernels import Padding, smooth

_FEWEST_PER_AXIS = 4
_MOST_CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class BinGrid:
    """Every combination of the bins of K label dimensions, K from 1 to 3; the last dimension runs fastest.

    Args:
        axes: bins of each dimension.
        weights: how much each dimension counts in losses and distances; ``None`` where all count alike.

    Raises:
        InputError: no dimension, more than three, or more than a million cells; weights that are not above 0.

    Example:
        >>> grid = BinGrid((Bins.from_edges([0, 1, 2]), Bins.from_edges([0, 10, 20, 30])))
        >>> grid.n_bins, grid.index([[0.5, 25.0], [1.5, 5.0]]).tolist()
        (6, [2, 3])
    """

    MOST_AXES: ClassVar[int] = 3

    axes: tuple[Bins, ...]
    weights: DimensionWeights = None

    def __post_init__(self) -> None:
        axes = tuple(self.axes)
        self._check_dimensions(len(axes))
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "weights", dimension_weights(self.weights, len(axes)))
        if self.n_bins > _MOST_CELLS:
            raise InputError(f"a grid has at most {_MOST_CELLS:,} cells, got {self.n_bins:,}; use wider bins")

    @classmethod
    def auto(cls, y: ArrayLike) -> Self:
        """Choose a grid from ``(n, K)`` training labels by a fixed rule, with about √n cells.

        Every dimension has ``n ** (1 / 2K)`` bins of equal width, but at least 4; a dimension of whole numbers that
        spans no more values than that has one bin per value.

        Raises:
            InputError: labels of more than three dimensions, constant in one of them, empty or not finite.
        """
        rows = label_rows(y)
        if rows.ndim != 2:
            raise InputError(f"a grid needs labels (n, K), got shape {rows.shape}; for (n,) use Bins.auto")
        whole = (rows == np.round(rows)).all(axis=0)
        return cls.from_summary(
            n=len(rows), low=rows.min(axis=0).tolist(), high=rows.max(axis=0).tolist(), whole=whole.tolist()
        )

    @classmethod
    def from_summary(cls, *, n: int, low: Sequence[float], high: Sequence[float], whole: Sequence[bool]) -> Self:
        """Choose the grid of :meth:`auto` from a summary of each dimension, as in :meth:`Bins.from_summary`.

        Raises:
            InputError: no labels, more than three dimensions, or a constant one.
        """
        k = len(low)
        cls._check_dimensions(k)
        if n == 0:
            raise InputError("y is empty; at least one label is needed")
        n_bins = max(_FEWEST_PER_AXIS, round(n ** (1 / (2 * k))))
        axes = enumerate(zip(low, high, whole, strict=True))
        return cls(tuple(_axis(*summary, n_bins, j) for j, summary in axes))

    @classmethod
    def _check_dimensions(cls, k: int) -> None:
        """Raise an InputError unless a grid can have k dimensions."""
        if not 1 <= k <= cls.MOST_AXES:
            raise InputError(
                f"a grid takes bins of 1 to {cls.MOST_AXES} label dimensions, got {k}; in more dimensions most cells "
                "are empty: use the density kde or knn, which need none"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of bins of each dimension."""
        return tuple(bins.n_bins for bins in self.axes)

    @property
    def n_bins(self) -> int:
        """Number of cells."""
        return int(np.prod(self.shape))

    @property
    def centers(self) -> NDArray[np.float64]:
        """``(n_bins, K)`` middle of each cell."""
        return _flat_product(bins.centers for bins in self.axes)

    @property
    def widths(self) -> NDArray[np.float64]:
        """``(n_bins, K)`` width of each cell in each dimension."""
        return _flat_product(bins.widths for bins in self.axes)

    @property
    def unit(self) -> NDArray[np.float64] | None:
        """``(K,)`` what an error is divided by before its length is taken, by weight; ``None`` without weights."""
        return None if self.weights is None else 1 / np.sqrt(relative_weights(self.weights))

    def index(self, y: ArrayLike) -> NDArray[np.int64]:
        """Return the cell of each label ``(..., K)``, 0 to ``n_bins - 1``, of shape ``(...)``; raise on NaN."""
        values = np.asarray(y)
        if values.ndim < 1 or values.shape[-1] != len(self.axes):
            raise InputError(
                f"labels of a grid of {len(self.axes)} dimensions have shape (..., {len(self.axes)}), "
                f"got {values.shape}"
            )
        each = tuple(bins.index(values[..., j]) for j, bins in enumerate(self.axes))
        return np.asarray(np.ravel_multi_index(each, self.shape), dtype=np.int64)

    def histogram(self, y: ArrayLike) -> NDArray[np.int64]:
        """Count the labels in each cell, ``(n_bins,)``."""
        rows = np.atleast_2d(y)
        rows = rows.reshape(-1, rows.shape[-1])
        counts = np.zeros(self.n_bins, dtype=np.int64)
        for piece in pieces(len(rows), least=self.n_bins):
            counts += np.bincount(self.index(rows[piece]), minlength=self.n_bins)
        return counts

    def smooth(
        self, values: ArrayLike, taps: NDArray[np.float64], *, padding: Padding = "renormalise"
    ) -> NDArray[np.float64]:
        """Convolve ``(n_bins, ...)`` along each dimension in turn; see :func:`tailwise.labels.kernels.smooth`."""
        flat = np.asarray(values, dtype=np.float64)
        cells = flat.reshape(*self.shape, *flat.shape[1:])
        for axis in range(len(self.axes)):
            cells = np.moveaxis(smooth(np.moveaxis(cells, axis, 0), taps, padding=padding), 0, axis)
        return cells.reshape(flat.shape)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        weights = {} if self.weights is None else {"weights": list(self.weights)}
        return {"axes": [bins.to_json() for bins in self.axes], **weights}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build a grid from the values of :meth:`to_json`."""
        return cls(tuple(Bins.from_json(axis) for axis in saved["axes"]), saved.get("weights"))

    def __repr__(self) -> str:
        return f"BinGrid({', '.join(map(repr, self.axes))})"


def label_rows(y: ArrayLike, name: str = "y") -> NDArray[np.float64]:
    """Return labels as float64, ``(n,)`` or ``(n, K)``; raise if they are empty or not finite."""
    values = np.asarray(y, dtype=np.float64)
    if values.ndim == 1:
        return label_array(values, name)
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"{name} must hold labels, (n,) or (n, K), got shape {values.shape}")
    if not np.isfinite(values).all():
        bad = (~np.isfinite(values)).sum()
        raise InputError(f"{name} has {int(bad)} labels that are NaN or infinite; drop or impute them first")
    return values


def _axis(low: float, high: float, whole: bool, n_bins: int, j: int) -> Bins:
    """Return the bins of dimension ``j``."""
    if low == high:
        raise InputError(f"y is constant ({low:g}) in dimension {j}; leave that dimension out")
    if high - low < n_bins and whole:
        return Bins.from_edges(np.arange(low - 0.5, high + 1.0))
    return Bins.count([low, high], n_bins)


def _flat_product(axes: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return all combinations of values of the axes, ``(n_bins, K)``."""
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
