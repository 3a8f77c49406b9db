"""Bins of a continuous target: the one definition that weights, FDS, shots and reports share."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, positive, whole

_MOST_UNIT_BINS = 200
_ROWS_PER_UNIT_BIN = 5
_MOST_BINS = 100
_MOST_GIVEN_BINS = 10_000
_FEWEST_BINS = 10


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
        if given.ndim != 1 or given.size < 2 or not np.isfinite(given).all():
            raise InputError(f"edges must be at least two finite numbers in one dimension, got {self.edges!r}")
        edges = given.astype(np.float32)
        steps = np.diff(edges)
        if not (steps > 0).all():
            b = int((steps <= 0).argmax())
            raise InputError(
                f"edges must increase and differ in float32, but edge {b} is {float(given[b])!r} and edge {b + 1} is "
                f"{float(given[b + 1])!r}; use wider bins, or subtract a constant from the target"
            )
        edges.setflags(write=False)
        object.__setattr__(self, "edges", edges)

    @classmethod
    def auto(cls, y: ArrayLike) -> Self:
        """Choose bins from training labels by a fixed rule.

        Whole-number labels that span at most 200 values with at least 5 rows a value (ages, counts, ratings) get
        one bin a value, centred on it. All others get bins of equal width: the smallest of 1, 2 or 5 times a power
        of ten that gives no more than ``sqrt(n)`` bins (where that is below 10 or above 100, no more than 10 or 100).

        Raises:
            InputError: labels that are all equal, empty or not finite.
        """
        y = label_array(y)
        low, high = float(y.min()), float(y.max())
        if low == high:
            raise InputError(f"y is constant ({low:g}); bins need at least two different labels")
        whole = bool((y == np.round(y)).all())
        span = high - low + 1
        if whole and span <= min(_MOST_UNIT_BINS, y.size / _ROWS_PER_UNIT_BIN):
            return cls.from_edges(np.arange(low - 0.5, high + 1.0))
        n_bins = int(np.clip(np.sqrt(y.size), _FEWEST_BINS, _MOST_BINS))
        width = _round_up((high - low) / n_bins)
        return cls.width(y, max(width, 1.0) if whole else width)

    @classmethod
    def width(cls, y: ArrayLike, width: float) -> Self:
        """Bins of one width whose edges are multiples of it, from the lowest to the highest training label."""
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
        """``n_bins`` bins of equal width between the lowest and the highest training label."""
        y = label_array(y)
        n_bins = whole(n_bins, "n_bins", least=1)
        if n_bins > _MOST_GIVEN_BINS:
            raise InputError(f"at most {_MOST_GIVEN_BINS:,} bins are allowed, got n_bins={n_bins:,}")
        if y.min() == y.max():
            raise InputError(f"y is constant ({y.min():g}); bins need at least two different labels")
        return cls.from_edges(np.linspace(y.min(), y.max(), n_bins + 1))

    @classmethod
    def from_edges(cls, edges: ArrayLike) -> Self:
        """Bins between the given edges, e.g. ``np.arange(0, 122)`` for the field's ages 0 to 120."""
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
        """Bin of each label, 0 to ``n_bins - 1``, same shape as ``y``; raises on NaN."""
        values = np.asarray(y, dtype=np.float32)
        if np.isnan(values).any():
            raise InputError(f"y has {int(np.isnan(values).sum())} NaN labels; a bin needs a number")
        return np.searchsorted(self.edges[1:-1], values, side="right").astype(np.int64)

    def histogram(self, y: ArrayLike) -> NDArray[np.int64]:
        """``(n_bins,)`` number of labels in each bin."""
        return np.bincount(self.index(y).ravel(), minlength=self.n_bins).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"edges": [float(edge) for edge in self.edges]}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls.from_edges(saved["edges"])

    def __repr__(self) -> str:
        return f"Bins({self.n_bins} from {self.edges[0]:g} to {self.edges[-1]:g})"


def _round_up(width: float) -> float:
    """Smallest of 1, 2, 5 times a power of ten that is at least ``width``."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= width * (1 - 1e-9)))
