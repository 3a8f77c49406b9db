"""Bins of many label dimensions, each on its own; a row belongs to the rarest of the bins that its labels lie in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise.labels.bins import Bins
from tailwise.labels.dimension_weights import DimensionWeights, dimension_weights, relative_weights

MOST_APART = 10  # times the smallest spread; labels farther apart are scaled by dimension
_ROUNDING = 4  # spacings of float32 by which a label divided by its spread may be off


@dataclass(frozen=True, eq=False)
class OutputBins:
    """Bins of each of K label dimensions, where a grid of all combinations would be empty or have no common unit.

    That is K from 4 to 50, and two or three dimensions whose spreads are more than ten times apart.

    A row lies in K bins, one of each dimension. Its place is the one with the fewest training rows, so that a row is
    rare if one of its labels is.

    Args:
        axes: bins of each dimension.
        counts: training rows in each bin of each dimension.
        spread: ``(K,)`` standard deviation of the training labels in each dimension, target units. Errors of several
            units are root mean squares over the dimensions in these.
        weights: how much each dimension counts in losses and in that mean; ``None`` where all count alike.
        rows: how rows come in the bins of each dimension, where that is not as the training rows do.

    Raises:
        InputError: counts or spreads that do not fit the bins, weights that are not above 0.

    Example:
        >>> y = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
        >>> bins = OutputBins.from_labels(y, [Bins.from_edges([-0.5, 0.5, 1.5])] * 2)
        >>> bins.index([[0.0, 0.0], [0.0, 1.0]]).tolist(), bins.flat_counts.tolist()
        ([2, 3], [3, 0, 2, 1])
    """

    MOST_AXES: ClassVar[int] = 50

    axes: tuple[Bins, ...]
    counts: tuple[NDArray[np.int64], ...]
    spread: NDArray[np.float64]
    weights: DimensionWeights = None
    rows: tuple[NDArray[np.float64], ...] | None = None

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.axes) or np.shape(self.spread) != (len(self.axes),):
            raise InputError(f"counts and spread must have one entry a dimension, {len(self.axes)}")
        object.__setattr__(self, "weights", dimension_weights(self.weights, len(self.axes)))

    @classmethod
    def from_labels(cls, y_train: NDArray[np.float64], axes: Sequence[Bins]) -> Self:
        """Count ``(n, K)`` training labels in bins of each dimension."""
        spread = y_train.std(axis=0)
        return cls(
            tuple(axes),
            tuple(bins.histogram(y_train[:, j]) for j, bins in enumerate(axes)),
            np.where(spread > 0, spread, 1.0),
        )

    @property
    def n_bins(self) -> int:
        """Number of bins of all dimensions."""
        return sum(bins.n_bins for bins in self.axes)

    @property
    def widths(self) -> NDArray[np.float64]:
        """``(n_bins,)`` width of each bin, in the units of its dimension."""
        return np.concatenate([bins.widths for bins in self.axes])

    @property
    def flat_counts(self) -> NDArray[np.int64]:
        """``(n_bins,)`` training rows in each bin, dimension by dimension."""
        return np.concatenate(self.counts)

    @property
    def unit(self) -> NDArray[np.float64]:
        """``(K,)`` what an error is divided by, so that its length is the root mean square in standard deviations."""
        unit = np.asarray(self.spread * np.sqrt(len(self.axes)))
        return unit if self.weights is None else unit / np.sqrt(relative_weights(self.weights))

    def scaled(self) -> Self:
        """Return the bins of labels that are divided by their spreads, as networks are trained on them."""
        axes = tuple(_divided(bins, spread) for bins, spread in zip(self.axes, self.spread, strict=True))
        return replace(self, axes=axes, spread=np.ones(len(axes)))

    def weighted(self, y: NDArray[np.float64], weight: NDArray[np.float64]) -> Self:
        """Return the bins for rows that come as ``(n, K)`` labels with weights ``(n,)`` do."""
        return replace(
            self,
            rows=tuple(
                np.bincount(bins.index(y[:, j]), weight, bins.n_bins).astype(np.float64)
                for j, bins in enumerate(self.axes)
            ),
        )

    def index(self, y: ArrayLike) -> NDArray[np.int64]:
        """Return the rarest bin of each row of ``(..., K)`` labels, 0 to ``n_bins - 1``; the first of equally rare."""
        values = np.asarray(y)
        if values.ndim < 1 or values.shape[-1] != len(self.axes):
            raise InputError(f"labels must have shape (..., {len(self.axes)}), got {values.shape}")
        first = np.cumsum([0, *(bins.n_bins for bins in self.axes)])[:-1]
        places = np.stack([first[j] + bins.index(values[..., j]) for j, bins in enumerate(self.axes)], axis=-1)
        rarest = self.flat_counts[places].argmin(axis=-1)
        return np.asarray(np.take_along_axis(places, rarest[..., None], -1)[..., 0], dtype=np.int64)

    def histogram(self, y: ArrayLike) -> NDArray[np.int64]:
        """Count the rows in each bin that is the rarest of a row, ``(n_bins,)``."""
        return np.bincount(self.index(y), minlength=self.n_bins)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        counts = [values.tolist() for values in self.counts]
        more: dict[str, Any] = {} if self.weights is None else {"weights": list(self.weights)}
        if self.rows is not None:
            more["rows"] = [values.tolist() for values in self.rows]
        outputs = [bins.to_json() for bins in self.axes]
        return {"outputs": outputs, "counts": counts, "spread": self.spread.tolist(), **more}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        axes = tuple(Bins.from_json(axis) for axis in saved["outputs"])
        counts = tuple(np.asarray(c, dtype=np.int64) for c in saved["counts"])
        rows = saved.get("rows")
        come = None if rows is None else tuple(np.asarray(values, dtype=np.float64) for values in rows)
        return cls(axes, counts, np.asarray(saved["spread"]), saved.get("weights"), come)


def _divided(bins: Bins, spread: float) -> Bins:
    """Return the bins of labels divided by a spread.

    Inner edges are a few float32 spacings lower: a label on an edge belongs to the bin above it, also when its own
    division was rounded down.
    """
    edges = (bins.edges / spread).astype(np.float32)
    edges[1:-1] -= _ROUNDING * np.spacing(np.abs(edges[1:-1]))
    return Bins(edges)


def spreads_apart(y: NDArray[np.float64]) -> bool:
    """Return whether the largest spread of ``(n, K)`` labels is more than ten times the smallest one above 0.

    >>> spreads_apart(np.array([[0.0, 0.0], [1.0, 11.0]])), spreads_apart(np.array([[0.0, 0.0], [1.0, 9.0]]))
    (True, False)
    """
    spreads = y.std(axis=0)
    varying = spreads[spreads > 0]
    return bool(varying.size and varying.max() > MOST_APART * varying.min())
