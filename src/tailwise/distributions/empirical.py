"""Distributions on values that all rows share, such as the training labels."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse, vstack

from tailwise._checks import InputError, positive
from tailwise.distributions.predictive import NO_MASS, Predictive
from tailwise.distributions.row_arrays import Floats, finite, increasing, index_rows, nearly_one_as_one, pieces, scalar
from tailwise.distributions.steps import StepFunction

_ROUNDING = 1e-12  # of a sum of weights


class Empirical(Predictive):
    """Weights of values that all rows share: atoms, as a forest gives to training labels or a count to whole numbers.

    Args:
        values: ``(m,)`` in any order, target units; equal ones are joined.
        weights: ``(n, m)`` array or SciPy sparse array, at least 0; divided by the sum of their row.

    Raises:
        InputError: shapes that do not fit, weights that are negative, not finite or all 0 in a row.

    Example:
        >>> nights = Empirical([1, 2, 7], [[0.5, 0.2, 0.3]])
        >>> nights.quantile([0.5, 0.6]).tolist(), nights.mean().tolist(), nights.crps([7.0]).round(2).tolist()
        ([[1.0, 2.0]], [3.0], [2.7])
    """

    kind = "empirical"

    def __init__(self, values: ArrayLike, weights: Any) -> None:
        values = finite(values, "values", 1)
        if issparse(weights):
            given: Any = weights
            matrix: Any = csr_array(given).astype(np.float64, copy=True)
            finite(matrix.data if matrix.nnz else np.zeros(1), "weights", 1)
        else:
            matrix = csr_array(finite(weights, "weights", 2))
        if matrix.ndim != 2 or matrix.shape[1] != values.size:
            raise InputError(f"weights must have one column a value, {values.size}, got shape {matrix.shape}")
        if matrix.nnz and matrix.data.min() < 0:
            raise InputError(f"weights must be at least 0, got {matrix.data.min():g}")
        self.values, column = np.unique(values, return_inverse=True)
        if not np.array_equal(column, np.arange(values.size)):
            joined = (np.ones(values.size), (np.arange(values.size), column))
            matrix = csr_array(matrix @ csr_array(joined, shape=(values.size, self.values.size)))
        matrix.eliminate_zeros()
        matrix.sort_indices()
        empty = np.diff(matrix.indptr) == 0
        if empty.any():
            raise InputError(f"weights must have a value above 0 in every row; row {int(empty.argmax())} has none")
        self._weights: Any = matrix
        matrix.data /= self._per_entry(nearly_one_as_one(self._sums(matrix.data), np.diff(matrix.indptr)))

    @classmethod
    def of(cls, predictive: Predictive, values: ArrayLike) -> Self:
        """Return other distributions on some values; each takes the mass that is nearer to it than to any other.

        For labels that take few values, such as whole numbers, and a model that does not know it: quantiles and medians
        then are such values.

        Args:
            predictive: distributions of n rows.
            values: ``(m,)`` increasing, target units.

        Example:
            >>> from tailwise.distributions import Mixture
            >>> age = Empirical.of(Mixture([[1.0]], [[33.4]], [[2.0]]), np.arange(101))
            >>> age.median().tolist(), age.cdf(33).round(3).tolist()
            ([33.0], [0.52])
        """
        values = increasing(values, "values")
        middles = (values[:-1] + values[1:]) / 2
        blocks = []
        for rows in pieces(len(predictive), values.size) if len(predictive) else [slice(0, 0)]:
            below = predictive.select(rows).below(middles[None])
            ends = np.zeros((len(below), 1)), np.ones((len(below), 1))
            blocks.append(csr_array(np.maximum(np.diff(np.hstack([ends[0], below, ends[1]]), axis=1), 0.0)))
        return cls(values, vstack(blocks, format="csr"))

    @classmethod
    def _of(cls, values: Floats, weights: csr_array) -> Self:
        part = cls.__new__(cls)
        part.values, part._weights = values, weights
        return part

    @classmethod
    def _pooled(cls, parts: Sequence[Self], weights: Floats) -> Self:
        values = np.unique(np.concatenate([part.values for part in parts]))
        total = csr_array((len(weights), values.size))
        for j, part in enumerate(parts):
            columns = np.searchsorted(values, part.values)[part._weights.indices]
            data = part._weights.data * part._per_entry(weights[:, j])
            total = total + csr_array((data, columns, part._weights.indptr), shape=total.shape)
        return cls(values, total)

    @property
    def weights(self) -> Any:
        """``(n, m)`` sparse weights of the increasing ``values``, each row adding up to 1."""
        return self._weights.copy()

    def __len__(self) -> int:
        return int(self._weights.shape[0])

    def __repr__(self) -> str:
        return f"Empirical({len(self):,} rows on {self.values.size:,} values)"

    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows."""
        return self._of(self.values, self._weights[index_rows(rows, len(self))])

    def tilt(self, weights: StepFunction) -> Self:
        """Return the distributions with each value's mass times its weight.

        A row without mass where the weights are above 0 becomes certain of the value nearest to its mean of those where
        they are.

        Raises:
            InputError: weights that are 0 at every value.
        """
        factors = weights(self.values)
        possible = np.flatnonzero(factors > 0)
        if possible.size == 0:
            raise InputError("the weights are 0 at every value of the distributions; tilt by a density that is not")
        matrix = self._weights.copy()
        lost = self._sums(matrix.data * (factors > 0)[matrix.indices]) < NO_MASS
        matrix.data *= factors[matrix.indices]
        if lost.any():
            means = self.select(lost)._moments()[:, :1]
            nearest = possible[np.abs(self.values[possible] - means).argmin(axis=1)]
            rows = np.arange(len(self))
            atoms = csr_array((np.ones(nearest.size), (rows[lost], nearest)), shape=matrix.shape)
            matrix.data *= self._per_entry((~lost).astype(np.float64))
            matrix = csr_array(matrix + atoms)
        return type(self)(self.values, matrix)

    def affine(self, shift: float, scale: float) -> Self:
        """Return the distributions of ``shift + scale * y``."""
        return self._of(scalar(shift, "shift") + positive(scale, "scale") * self.values, self._weights)

    def to_arrays(self) -> dict[str, Any]:
        """Return ``values``, and the weights as ``data``, ``indices`` and ``indptr`` of a CSR array."""
        matrix = self._weights
        return {"values": self.values, "data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        parts, shape = (
            (arrays["data"], arrays["indices"], arrays["indptr"]),
            (len(arrays["indptr"]) - 1, len(arrays["values"])),
        )
        try:
            matrix = csr_array(parts, shape=shape)
            matrix.check_format(full_check=True)
        except ValueError as error:
            raise InputError(f"data, indices and indptr must be those of a CSR array {shape}: {error}") from None
        return cls(arrays["values"], matrix)

    def _sums(self, entries: NDArray[Any]) -> NDArray[Any]:
        """Sum of the entries of each row; no row is without entries."""
        sums = np.add.reduceat(entries, self._weights.indptr[:-1]) if len(self) else np.zeros(0, entries.dtype)
        return np.asarray(sums)

    def _per_entry(self, per_row: Floats) -> Floats:
        return np.asarray(np.repeat(per_row, np.diff(self._weights.indptr)), dtype=np.float64)

    def _at_entries(self) -> Floats:
        return np.asarray(self.values[self._weights.indices], dtype=np.float64)

    def _cumulative(self) -> Floats:
        """Sum of the weights of each row up to each entry."""
        data, starts = self._weights.data, self._weights.indptr[:-1]
        total = data.cumsum()
        return np.asarray(total - self._per_entry(total[starts] - data[starts]), dtype=np.float64)

    @property
    def _width(self) -> int:
        return int(-(-self._weights.nnz // max(len(self), 1)))

    def _sides(self, t: Floats, side: Literal["left", "right"]) -> tuple[Floats, Floats]:
        """Mass of the values below each point, those equal to it included for ``"right"``, and of all others."""
        matrix, m = self._weights, self.values.size
        rows = np.arange(len(self))
        # The place of an entry when rows are written behind each other; it rises with the entries.
        place = np.repeat(rows * m, np.diff(matrix.indptr)) + matrix.indices
        entries = np.searchsorted(place, rows[:, None] * m + np.searchsorted(self.values, t, side=side))
        total = np.concatenate([[0.0], matrix.data.cumsum()])
        before, after = total[matrix.indptr[:-1], None], total[matrix.indptr[1:], None]
        return np.asarray(total[entries] - before), np.asarray(after - total[entries])

    def _cdf(self, t: Floats, *, strict: bool) -> Floats:
        return self._sides(t, "left" if strict else "right")[0]

    def _above(self, t: Floats) -> Floats:
        return self._sides(t, "right")[1]

    def _quantile(self, levels: Floats) -> Floats:
        cumulative, starts = self._cumulative(), self._weights.indptr[:-1]
        last, values = np.diff(self._weights.indptr) - 1, self._at_entries()
        below = [self._sums((cumulative < level - _ROUNDING).astype(np.int64)) for level in levels]
        return np.stack([values[starts + np.minimum(count, last)] for count in below], axis=1)

    def _moments(self) -> Floats:
        values, data = self._at_entries(), self._weights.data
        mean = self._sums(data * values)
        variance = self._sums(data * (values - self._per_entry(mean)) ** 2)
        return np.stack([mean, np.sqrt(variance)], axis=1)

    def _distance(self, y: Floats) -> Floats:
        return np.asarray(self._sums(self._weights.data * np.abs(self._at_entries() - self._per_entry(y))))

    def _half_difference(self) -> Floats:
        cumulative = self._cumulative()
        gaps = np.diff(self._at_entries(), append=0.0)
        gaps[self._weights.indptr[1:] - 1] = 0.0
        return np.asarray(self._sums(cumulative * np.maximum(1 - cumulative, 0.0) * gaps))

    def _log_density(self, y: Floats) -> Floats:
        mass = self._sums(self._weights.data * (self._at_entries() == self._per_entry(y)))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(mass), dtype=np.float64)
