"""The interface of predictive distributions of several targets, and what follows from those of each target."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError, whole
from tailwise.distributions.grid_steps import GridFunction
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import Floats, numbers, pieces, probabilities


class VectorPredictive(ABC):
    """Predicted joint distributions of K targets, one a row, in the targets' units.

    The distribution of each target by itself is :meth:`marginal`, with everything that a scalar target offers; methods
    of the joint distribution that have a value for each target take it from there, few rows at a time.
    """

    kind: ClassVar[str]

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @property
    @abstractmethod
    def n_targets(self) -> int:
        """K."""

    @abstractmethod
    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows: a slice, a mask or row numbers."""

    @abstractmethod
    def marginal(self, k: int) -> Predictive:
        """Return the distributions of target k, from 0, whatever the others are."""

    @abstractmethod
    def tilt(self, weights: GridFunction) -> "VectorPredictive":
        """Return the distributions with density proportional to ``weights(y) p(y)``.

        A row with less than 1e-12 of its mass where the weights are above 0 becomes certain of the point nearest to its
        mean where they are.
        """

    @abstractmethod
    def affine(self, shift: ArrayLike, scale: ArrayLike) -> Self:
        """Return the distributions of ``shift + scale * y``, ``(K,)`` or one number each; scales are above 0."""

    @abstractmethod
    def log_score(self, y: ArrayLike) -> Floats:
        """Negative logarithm of the joint density at ``(n, K)`` labels, ``(n,)``; lower is better.

        Infinite where a distribution rules out its label.
        """

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

    def mean(self) -> Floats:
        """Mean, ``(n, K)``: the decision with the smallest expected squared distance."""
        return self._by_target(lambda one, _: one.mean())

    def std(self) -> Floats:
        """Standard deviation of each target, ``(n, K)``."""
        return self._by_target(lambda one, _: one.std())

    def quantile(self, q: ArrayLike) -> Floats:
        """Quantiles of each target, for levels in (0, 1): ``(n, K)``, or ``(n, K, j)`` for a sequence of j levels."""
        probabilities(q, "q")
        return self._by_target(lambda one, _: one.quantile(q))

    def median(self) -> Floats:
        """Median of each target, ``(n, K)``: the decision with the smallest expected sum of absolute errors.

        E Σ_k |Y_k - t_k| is a sum of K terms, each of one t_k and of the distribution of target k alone.
        """
        return self.quantile(0.5)

    def interval(self, confidence: float) -> tuple[Floats, Floats]:
        """Low and high ends, ``(n, K)``, of the central interval of each target."""
        level = probabilities(confidence, "confidence")
        if level.size != 1:
            raise InputError(f"confidence must be one number, got {confidence!r}")
        ends = self.quantile([(1 - level[0]) / 2, (1 + level[0]) / 2])
        return ends[..., 0], ends[..., 1]

    def crps(self, y: ArrayLike) -> Floats:
        """Continuous ranked probability score of each target, ``(n, K)``, in its units; lower is better."""
        labels = self._labels(y)
        return self._by_target(lambda one, values: one.crps(values), labels)

    def _by_target(self, compute: Callable[[Predictive, Floats], Floats], y: Floats | None = None) -> Floats:
        """Apply ``compute`` to each target of few rows at a time, and to their labels."""
        results = []
        for rows in pieces(len(self), self._width, 2**18) if len(self) else [slice(0, 0)]:
            part = self.select(rows)
            labels = np.zeros((len(part), self.n_targets)) if y is None else y[rows]
            each = [compute(part.marginal(k), labels[:, k]) for k in range(self.n_targets)]
            results.append(np.stack(each, axis=1))
        return np.concatenate(results)

    def _labels(self, y: ArrayLike) -> Floats:
        labels = numbers(y, "y")
        if labels.shape != (len(self), self.n_targets) or not np.isfinite(labels).all():
            raise InputError(f"y must be finite labels ({len(self)}, {self.n_targets}), got shape {labels.shape}")
        return labels

    def _target(self, k: int) -> int:
        return whole(k, "k", least=0, most=self.n_targets - 1)


AnyPredictive = Predictive | VectorPredictive  # of one target or of several
