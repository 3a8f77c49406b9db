"""The interface of predictive distributions, and everything that follows from a few integrals of one row."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError, label_array
from tailwise.distributions.row_arrays import Floats, per_row, pieces, probabilities
from tailwise.distributions.steps import StepFunction

NO_MASS = 1e-12  # of a row, below which it has none


class Predictive(ABC):
    """Predicted distributions of a scalar target, one a row, in the target's units.

    Points of the target (``t`` below) are one number for every row, ``(n,)`` one number a row, or columns ``(1, k)`` or
    ``(n, k)``; results are ``(n,)``, or ``(n, k)`` for columns. Levels of :meth:`quantile` are one number, which gives
    ``(n,)``, or a sequence of k, which gives ``(n, k)``.

    Every method computes rows in pieces, so that the memory it needs beside its result does not grow with them. A
    subclass implements the methods that are abstract here; those with an underscore are called with few rows at a time.
    """

    kind: ClassVar[str]
    _elements: ClassVar[int] = 2**15  # numbers that a piece of rows takes in a computation, about

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @abstractmethod
    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows: a slice, a mask or row numbers."""

    @abstractmethod
    def tilt(self, weights: StepFunction) -> "Predictive":
        """Return the distributions with density (and mass at atoms) proportional to ``weights(y) p(y)``.

        A row with less than 1e-12 of its mass where the weights are above 0 becomes certain of the point nearest to its
        mean where they are.
        """

    @abstractmethod
    def affine(self, shift: float, scale: float) -> Self:
        """Return the distributions of ``shift + scale * y``, e.g. in other units; ``scale`` is above 0."""

    @abstractmethod
    def to_arrays(self) -> dict[str, Any]:
        """Return arrays that :meth:`from_arrays` reads back exactly."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""

    @property
    @abstractmethod
    def _width(self) -> int:
        """Numbers that one row takes in a computation."""

    @abstractmethod
    def _cdf(self, t: Floats, *, strict: bool) -> Floats:
        """P(Y <= t), or P(Y < t) if strict, at ``(n, k)`` points."""

    @abstractmethod
    def _quantile(self, levels: Floats) -> Floats:
        """Smallest t with P(Y <= t) >= level, for ``(k,)`` levels: ``(n, k)``."""

    @abstractmethod
    def _moments(self) -> Floats:
        """Mean and standard deviation, ``(n, 2)``."""

    @abstractmethod
    def _distance(self, y: Floats) -> Floats:
        """E|Y - y|, for one y a row."""

    @abstractmethod
    def _half_difference(self) -> Floats:
        """E|Y - Y'| / 2 of two independent draws, ``(n,)``."""

    @property
    def _wider(self) -> int:
        """How many times :attr:`_width` numbers a row takes in :meth:`_half_difference`."""
        return 1

    @abstractmethod
    def _log_density(self, y: Floats) -> Floats:
        """Logarithm of the density at one y a row, of the mass where y is an atom."""

    def _mean(self) -> Floats:
        """Mean of each row."""
        return self._moments()[:, 0]

    def _above(self, t: Floats) -> Floats:
        """P(Y > t) at ``(n, k)`` points; exact where it is tiny."""
        return np.asarray(1 - self._cdf(t, strict=False), dtype=np.float64)

    def _order(self) -> Any:
        """Rows in an order that makes neighbours alike, or None."""
        return None

    def _by_pieces(self, compute: Callable[..., Floats], *columns: Floats, wider: int = 1) -> Floats:
        """Apply ``compute`` to few rows at a time and to their rows of the columns."""
        order, results = self._order(), []
        for piece in pieces(len(self), self._width * wider, self._elements) if len(self) else [slice(0, 0)]:
            rows = piece if order is None else order[piece]
            results.append(compute(self.select(rows), *(values[rows] for values in columns)))
        result = results[0] if len(results) == 1 else np.concatenate(results)
        if order is not None:
            sorted_rows, result = result, np.empty_like(result)
            result[order] = sorted_rows
        return result

    def _at(self, t: ArrayLike, compute: Callable[..., Floats]) -> Floats:
        points = per_row(t, len(self), "t")
        values = np.clip(self._by_pieces(compute, points, wider=points.shape[1]), 0.0, 1.0)
        return values if np.ndim(t) == 2 else values[:, 0]

    def cdf(self, t: ArrayLike) -> Floats:
        """P(Y <= t)."""
        return self._at(t, lambda part, points: part._cdf(points, strict=False))

    def below(self, t: ArrayLike) -> Floats:
        """P(Y < t): the chance of a value below a threshold."""
        return self._at(t, lambda part, points: part._cdf(points, strict=True))

    def above(self, t: ArrayLike) -> Floats:
        """P(Y > t): the chance of a value above a threshold, exact where it is tiny."""
        return self._at(t, lambda part, points: part._above(points))

    def quantile(self, q: ArrayLike) -> Floats:
        """Smallest t with P(Y <= t) >= q, for levels q in (0, 1)."""
        levels = probabilities(q, "q")
        values = self._by_pieces(lambda part: part._quantile(levels), wider=levels.size)
        return values[:, 0] if np.ndim(q) == 0 else values

    def median(self) -> Floats:
        """Median, ``(n,)``: the decision with the smallest expected absolute error."""
        return self.quantile(0.5)

    def mean(self) -> Floats:
        """Mean, ``(n,)``: the decision with the smallest expected squared error."""
        return self._by_pieces(lambda part: part._mean())

    def std(self) -> Floats:
        """Standard deviation, ``(n,)``."""
        return self._by_pieces(lambda part: part._moments())[:, 1]

    def interval(self, confidence: float) -> tuple[Floats, Floats]:
        """Low and high ends of the central interval: the quantiles (1 - c) / 2 and (1 + c) / 2."""
        level = probabilities(confidence, "confidence")
        if level.size != 1:
            raise InputError(f"confidence must be one number, got {confidence!r}")
        ends = self.quantile([(1 - level[0]) / 2, (1 + level[0]) / 2])
        return ends[:, 0], ends[:, 1]

    def crps(self, y: ArrayLike) -> Floats:
        """Continuous ranked probability score, ``(n,)``, target units; lower is better.

        ∫ (P(Y <= t) - 1{y <= t})² dt = E|Y - y| - E|Y - Y'| / 2, for a point the absolute error. Gneiting and Raftery,
        *Strictly proper scoring rules, prediction, and estimation* (JASA 2007).
        """
        distance = self._by_pieces(lambda part, labels: part._distance(labels), self._labels(y))
        difference = self._by_pieces(lambda part: part._half_difference(), wider=self._wider)
        return np.maximum(distance - difference, 0.0)

    def log_score(self, y: ArrayLike) -> Floats:
        """Negative logarithm of the density at y, ``(n,)``; of the mass where y is an atom; lower is better.

        Infinite where a distribution rules out its label.
        """
        return -self._by_pieces(lambda part, labels: part._log_density(labels), self._labels(y))

    def _labels(self, y: ArrayLike) -> Floats:
        labels = label_array(y) if len(self) else np.zeros(0)
        if labels.size != len(self):
            raise InputError(f"y must have one label a row, {len(self)}, got {labels.size}")
        return labels
