"""Equal intervals of the true target, by which charts group rows."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tailwise._numbers import number
from tailwise.labels.shots import Shots

_MOST = 25


@dataclass(frozen=True, eq=False)
class Bands:
    """At most 25 equal intervals over labels, no finer than the bins.

    Args:
        edges: ``(k + 1,)`` target units.
        index: ``(n,)`` interval of each label.
        weight: ``(n,)`` how much each row counts in a mean; all alike if not given.
    """

    edges: NDArray[np.float64]
    index: NDArray[np.int64]
    weight: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, y: NDArray[np.float64], shots: Shots, weight: NDArray[np.float64] | None = None) -> Self:
        """Divide the range of the labels into equal intervals.

        Args:
            y: ``(n,)`` labels.
            shots: bins.
            weight: ``(n,)`` how much each row counts in a mean.
        """
        low, high = float(y.min()), float(y.max())
        if low == high:
            return cls(np.array([low - 0.5, low + 0.5]), np.zeros(y.size, dtype=np.int64), weight)
        n = int(np.clip(np.ceil((high - low) / np.median(shots.bins.widths)), 2, _MOST))
        edges = np.linspace(low, high, n + 1)
        return cls(edges, np.asarray(np.searchsorted(edges[1:-1], y, side="right"), dtype=np.int64), weight)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of labels in each interval, ``(k,)``."""
        return np.bincount(self.index, minlength=self.edges.size - 1)

    @property
    def centers(self) -> NDArray[np.float64]:
        """Middle of each interval, ``(k,)``, target units."""
        return np.asarray((self.edges[:-1] + self.edges[1:]) / 2)

    def mean(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean of the values in each interval and its standard error, ``(k,)`` each.

        An interval without labels has NaN for both, one with a single label for the standard error.

        Args:
            values: ``(n,)`` one value a label.
        """
        count = self.counts
        if self.weight is not None:
            return self._weighted(values, count, self.weight)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.bincount(self.index, weights=values, minlength=count.size) / count
            square = np.bincount(self.index, weights=np.square(values - mean[self.index]), minlength=count.size)
            return mean, np.sqrt(square / (count - 1) / count)

    def _weighted(
        self, values: NDArray[np.float64], count: NDArray[np.int64], weight: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        with np.errstate(invalid="ignore", divide="ignore"):
            total = np.bincount(self.index, weights=weight, minlength=count.size)
            mean = np.bincount(self.index, weights=values * weight, minlength=count.size) / total
            parts = np.square(weight * (values - mean[self.index]))
            error = np.sqrt(np.bincount(self.index, weights=parts, minlength=count.size)) / total
        return mean, np.where(count > 1, error, np.nan)

    def name(self, i: int) -> str:
        """Return an interval as text, with three significant digits."""
        return " to ".join(number(float(f"{edge:.3g}")) for edge in self.edges[i : i + 2])
