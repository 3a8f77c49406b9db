"""Bins of a continuous target, shared by weights, FDS, shot regions and reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, positive, whole

_MOST_UNIT_BINS = 200
_ROWS_PER_UNIT_BIN = 5
_MOST_BINS = 100
_MOST_GIVEN_BINS = 10_000
_FEWEST_BINS = 10

_ROWS_AT_ONCE = 32_768  # intermediate results for this many labels fit into a core's cache
_MOST_CELLS = 65_536
_CELLS_PER_BIN = 1.01


@dataclass(frozen=True, eq=False)
class Bins:
    """Half-open intervals ``[edge_b, edge_{b+1})`` that cover every finite label.

    Labels below the first edge fall in the first bin, labels at or above the last edge in the last one. Edges and
    labels are compared in float32, in NumPy and in torch alike, so both give the same index for every label.

    Args:
        edges: ``(n_bins + 1,)`` strictly increasing, in the target's units.

    Raises:
        InputError: edges that are fewer than two, not finite, or not increasing in float32.

    Example:
        >>> bins = Bins.from_edges([0, 10, 20, 50])
        >>> bins.index([3, 10, 49.9, 1000, -7]).tolist()
        [0, 1, 2, 2, 0]
    """

    edges: NDArray[np.float32]

    def __post_init__(self) -> None:
        given = np.asarray(self.edges, dtype=np.float64)
        with np.errstate(over="ignore"):
            edges = given.astype(np.float32)
        if given.ndim != 1 or given.size < 2 or not np.isfinite(edges).all():
            raise InputError(f"edges must be at least two finite float32 numbers in one dimension, got {self.edges!r}")
        increases = edges[1:] > edges[:-1]
        if not increases.all():
            b = int(increases.argmin())
            raise InputError(
                f"edges must increase and differ in float32, but edge {b} is {float(given[b])!r} and edge {b + 1} is "
                f"{float(given[b + 1])!r}; use wider bins, or subtract a constant from the target"
            )
        edges.setflags(write=False)
        object.__setattr__(self, "edges", edges)

    @classmethod
    def auto(cls, y: ArrayLike) -> Self:
        """Choose bins from training labels by a fixed rule.

        Whole-number labels that span at most 200 values with at least 5 rows per value (ages, counts, ratings) get one
        bin per value, centred on it. All others get bins of equal width: the smallest of 1, 2 or 5 times a power of ten
        that gives no more than ``sqrt(n)`` bins (if that is below 10 or above 100, no more than 10 or 100).

        Raises:
            InputError: labels that are all equal, empty or not finite.
        """
        y = label_array(y)
        return cls.from_summary(n=y.size, low=float(y.min()), high=float(y.max()), whole=bool((y == np.round(y)).all()))

    @classmethod
    def from_summary(cls, *, n: int, low: float, high: float, whole: bool) -> Self:
        """Choose the bins of :meth:`auto` for ``n`` labels from ``low`` to ``high``, all whole numbers or not.

        Raises:
            InputError: no labels, or ``low`` equal to ``high``.
        """
        if n == 0:
            raise InputError("y is empty; at least one label is needed")
        if low == high:
            raise InputError(f"y is constant ({low:g}); bins need at least two different labels")
        if whole and high - low + 1 <= min(_MOST_UNIT_BINS, n / _ROWS_PER_UNIT_BIN):
            return cls.from_edges(np.arange(low - 0.5, high + 1.0))
        n_bins = int(np.clip(np.sqrt(n), _FEWEST_BINS, _MOST_BINS))
        width = _round_up((high - low) / n_bins)
        return cls.width([low, high], max(width, 1.0) if whole else width)

    @classmethod
    def width(cls, y: ArrayLike, width: float) -> Self:
        """Make bins of one width with edges at its multiples, from the lowest to the highest training label."""
        y = label_array(y)
        width = positive(width, "width")
        first = np.floor(y.min() / width)
        n_bins = np.floor(y.max() / width) - first + 1
        if n_bins > _MOST_GIVEN_BINS:
            raise InputError(
                f"width {width:g} would give {n_bins:.3g} bins between {y.min():g} and {y.max():g}; "
                f"at most {_MOST_GIVEN_BINS:,} are allowed, so widen them"
            )
        return cls.from_edges((first + np.arange(n_bins + 1)) * width)

    @classmethod
    def count(cls, y: ArrayLike, n_bins: int) -> Self:
        """Make ``n_bins`` bins of equal width between the lowest and the highest training label."""
        y = label_array(y)
        n_bins = whole(n_bins, "n_bins", least=1)
        if n_bins > _MOST_GIVEN_BINS:
            raise InputError(f"at most {_MOST_GIVEN_BINS:,} bins are allowed, got n_bins={n_bins:,}")
        if y.min() == y.max():
            raise InputError(f"y is constant ({y.min():g}); bins need at least two different labels")
        return cls.from_edges(np.linspace(y.min(), y.max(), n_bins + 1))

    @classmethod
    def from_edges(cls, edges: ArrayLike) -> Self:
        """Make bins between the given edges, e.g. ``np.arange(0, 122)`` for the ages 0 to 120 of AgeDB-DIR."""
        return cls(np.asarray(edges))

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return self.edges.size - 1

    @property
    def centers(self) -> NDArray[np.float64]:
        """``(n_bins,)`` middle of each bin."""
        edges = self.edges.astype(np.float64)
        return (edges[:-1] + edges[1:]) / 2

    @property
    def widths(self) -> NDArray[np.float64]:
        """``(n_bins,)`` width of each bin."""
        return np.diff(self.edges.astype(np.float64))

    def index(self, y: ArrayLike) -> NDArray[np.int64]:
        """Return the bin of each label, 0 to ``n_bins - 1``, same shape as ``y``; raise on NaN."""
        values = np.asarray(y)
        index = np.empty(values.shape, dtype=np.int64)
        flat = index.reshape(-1)
        for rows, row_bins in self._in_pieces(values.reshape(-1)):
            flat[rows] = row_bins
        return index

    def histogram(self, y: ArrayLike) -> NDArray[np.int64]:
        """Count the labels in each bin, ``(n_bins,)``."""
        counts = np.zeros(self.n_bins, dtype=np.int64)
        for _, index in self._in_pieces(np.asarray(y).reshape(-1)):
            counts += np.bincount(index, minlength=self.n_bins)
        return counts

    def _in_pieces(self, y: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """Yield slices of the rows of ``(n,)`` labels, and the bins of their labels."""
        cells = self._cells
        for rows in pieces(y.size):
            with np.errstate(over="ignore"):
                labels = y[rows].astype(np.float32, copy=False)
            if np.isnan(labels).any():
                raise InputError(f"y has {int(np.isnan(y.astype(np.float32)).sum())} NaN labels; a bin needs a number")
            if cells is None:
                yield rows, np.searchsorted(self.edges[1:-1], labels, side="right").astype(np.int64)
                continue
            cell = cells.of(labels)
            if cells.first is not None and cells.edge is not None:
                cell = cells.first.take(cell) + (labels >= cells.edge.take(cell))
            yield rows, cell

    @cached_property
    def _cells(self) -> "_Cells | None":
        return _cells(self.edges)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {"edges": [float(edge) for edge in self.edges]}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build bins from the values of :meth:`to_json`."""
        return cls.from_edges(saved["edges"])

    def __repr__(self) -> str:
        return f"Bins({self.n_bins} from {self.edges[0]:g} to {self.edges[-1]:g})"


class _Cells(NamedTuple):
    """Cells of equal width from ``low`` on, each with at most one edge, to look up the bin of a label.

    The cell never decreases with the label, so the bin of a label in a cell is ``first``, or the next bin for labels
    from ``edge`` on. Cells without ``first`` and ``edge`` are the bins.
    """

    low: np.float32
    per_unit: np.float32
    last: int
    first: NDArray[np.int64] | None = None
    edge: NDArray[np.float32] | None = None

    def of(self, labels: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the cell of each label."""
        with np.errstate(over="ignore"):
            position = labels - self.low
            position *= self.per_unit
        # Processors convert float32 to int32 in one step, but not to int64.
        return np.clip(position, 0, self.last, out=position).astype(np.int32).astype(np.int64)


def _cells(edges: NDArray[np.float32]) -> _Cells | None:
    """Build the cells to look up labels; ``None`` if there would be too many."""
    n_bins = len(edges) - 1
    if n_bins == 1:
        return None
    inner, exact = edges[1:-1], edges.astype(np.float64)
    even = _Cells(edges[0], _single(n_bins / (exact[-1] - exact[0])), n_bins - 1)
    if even.per_unit < np.inf:
        just_below = np.nextafter(inner, np.float32(-np.inf))
        after = np.arange(1, n_bins)
        if np.array_equal(even.of(inner), after) and np.array_equal(even.of(just_below), after - 1):
            return even
    narrowest = np.diff(exact[1:-1]).min() if n_bins > 2 else 1.0
    per_unit = _single(_CELLS_PER_BIN / narrowest)
    last = (exact[-2] - exact[1]) * float(per_unit)
    if last >= _MOST_CELLS:
        return None
    cells = _Cells(inner[0], per_unit, int(last))
    of_edge = cells.of(inner)
    if (np.diff(of_edge) < 1).any():
        return None
    first = np.searchsorted(of_edge, np.arange(cells.last + 1)).clip(max=n_bins - 2)
    return cells._replace(first=first.astype(np.int64), edge=inner[first])


def _single(value: float) -> np.float32:
    """Round to float32, to infinity beyond its range."""
    with np.errstate(over="ignore"):
        return np.float32(value)


def pieces(n: int, least: int = 0) -> Iterator[slice]:
    """Return slices of ``n`` rows, each small enough for a core's cache but not below ``least`` rows."""
    step = max(_ROWS_AT_ONCE, least)
    return (slice(start, start + step) for start in range(0, n, step))


def _round_up(width: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least ``width``."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= width * (1 - 1e-9)))
