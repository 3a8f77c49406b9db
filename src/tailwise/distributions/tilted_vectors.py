"""Mixtures of diagonal Gaussians of several targets times a function that is constant in the cells of a grid."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError
from tailwise.distributions.grid_steps import GridFunction
from tailwise.distributions.normals import LOG_ROOT_2PI, Components
from tailwise.distributions.predictive import NO_MASS
from tailwise.distributions.row_arrays import Floats, index_rows, numbers, pieces
from tailwise.distributions.tilted_marginals import TiltedMarginal, cell_masses
from tailwise.distributions.vector_predictive import VectorPredictive

_CELLS_AT_ONCE = 2**20


class TiltedVectorMixture(VectorPredictive):
    """Mixtures of diagonal Gaussians times a function w of all K targets, normalized in each row.

    The targets of one component are independent and w is constant in each cell, so the mass of a component in a cell is
    a product of K masses, and its weight becomes π_m Σ_c w_c Π_k P(Y_k in c_k). Given the cell of target k, the
    expectation of w over the other targets is a sum over their cells; with it each target has the exact distribution
    :class:`tailwise.distributions.tilted_marginals.TiltedMarginal`. Nothing is discretized: a mixture that is narrower
    than a cell stays as narrow. The sums run over all cells, M times a row.

    Args:
        weights: ``(n, M)``, each row adding up to 1.
        means: ``(n, M, K)``, target units.
        scales: ``(n, M, K)``, target units.
        grid: w.

    Raises:
        InputError: a function of another number of targets.
    """

    kind = "tilted-vector-mixture"

    def __init__(self, weights: Floats, means: Floats, scales: Floats, grid: GridFunction) -> None:
        if grid.n_targets != means.shape[2]:
            raise InputError(f"the weights are a function of {grid.n_targets} targets; there are {means.shape[2]}")
        self._arrays = weights, means, scales
        self.grid = GridFunction(grid.edges, grid.values / grid.values.max())

    def __len__(self) -> int:
        return len(self._arrays[0])

    def __repr__(self) -> str:
        return f"TiltedVectorMixture({len(self):,} rows, {' x '.join(map(str, self.grid.values.shape))} cells)"

    @property
    def n_targets(self) -> int:
        """K."""
        return self.grid.n_targets

    def select(self, rows: Any) -> Self:
        """Return the distributions of some rows."""
        index = index_rows(rows, len(self))
        return self._of(*(array[index] for array in self._arrays), grid=self.grid)

    @classmethod
    def _of(cls, *arrays: Floats, grid: GridFunction) -> Self:
        part = cls.__new__(cls)
        part._arrays, part.grid = (arrays[0], arrays[1], arrays[2]), grid
        return part

    def marginal(self, k: int) -> TiltedMarginal:
        """Return the distributions of target k, from 0."""
        k, (weights, means, scales) = self._target(k), self._arrays
        parts = [self._marginal_of(rows, k) for rows in pieces(len(self), self._width, _CELLS_AT_ONCE)]
        if not parts:
            none = np.zeros((0, weights.shape[1], self.grid.values.shape[k]))
            return TiltedMarginal.of(Components(weights, means[:, :, k], scales[:, :, k]), self.grid.edges[k], none)
        components = [component for component, _ in parts]
        joined = (np.concatenate([getattr(c, name) for c in components]) for name in ("weights", "means", "scales"))
        factors = np.concatenate([factor for _, factor in parts])
        return TiltedMarginal.of(Components(*joined), self.grid.edges[k], factors)

    def _marginal_of(self, rows: slice, k: int) -> tuple[Components, Floats]:
        """Components of target k of some rows, and the expectation of w over the other targets."""
        axes, masses = self._prepared(rows)
        return axes[k], _expectation(self.grid.values, masses, k)

    def _prepared(self, rows: slice) -> tuple[list[Components], list[Floats]]:
        """Components and ``(n, M, C_k)`` masses of each target of some rows.

        Rows without mass where the function is above 0 are atoms here.
        """
        weights, means, scales = (array[rows] for array in self._arrays)
        axes = [Components(weights, means[:, :, k], scales[:, :, k]) for k in range(self.n_targets)]
        masses = [cell_masses(axis, _ends(edges)) for axis, edges in zip(axes, self.grid.edges, strict=True)]
        is_positive = self.grid.values > 0
        kept = (
            np.prod([mass.sum(axis=2) for mass in masses], axis=0)
            if is_positive.all()
            else (_expectation(is_positive.astype(np.float64), masses, 0) * masses[0]).sum(axis=2)
        )
        lost = (weights * kept).sum(axis=1) < NO_MASS
        if lost.any():
            points = self.grid.nearest(np.stack([axis.mean()[lost] for axis in axes], axis=1))
            axes = [axis.as_atoms(lost, points[:, k]) for k, axis in enumerate(axes)]
            masses = [cell_masses(axis, _ends(edges)) for axis, edges in zip(axes, self.grid.edges, strict=True)]
        return axes, masses

    def tilt(self, weights: GridFunction) -> "TiltedVectorMixture":
        """Return the distributions times a further function."""
        return TiltedVectorMixture(*self._arrays, grid=self.grid.times(weights))

    def affine(self, shift: ArrayLike, scale: ArrayLike) -> Self:
        """Return the distributions of ``shift + scale * y``, ``(K,)`` or one number each; scales are above 0."""
        a, b = shift_and_scale(shift, scale, self.n_targets)
        weights, means, scales = self._arrays
        return self._of(weights, a + b * means, b * scales, grid=self.grid.affine(a, b))

    def log_score(self, y: ArrayLike) -> Floats:
        """Negative logarithm of the joint density at ``(n, K)`` labels, ``(n,)``; infinite where the function is 0.

        A row that is certain of one point has 0 there and infinity elsewhere.
        """
        labels, scores = self._labels(y), np.empty(len(self))
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.grid(labels))
        for rows in pieces(len(self), self._width, _CELLS_AT_ONCE):
            axes, masses = self._prepared(rows)
            total = (_expectation(self.grid.values, masses, 0) * masses[0]).sum(axis=2)
            log_total = np.log((axes[0].weights * total).sum(axis=1))
            means, scales = (np.stack([getattr(axis, name) for axis in axes], axis=2) for name in ("means", "scales"))
            atoms = (scales == 0).any(axis=(1, 2))
            density = log_density(axes[0].weights, means, np.where(scales == 0, 1.0, scales), labels[rows])
            at_atom = np.where((means[:, 0] == labels[rows]).all(axis=1), 0.0, np.inf)
            scores[rows] = np.where(atoms, at_atom, log_total - density - log_weights[rows])
        return scores

    def to_arrays(self) -> dict[str, Any]:
        """Return the arrays of the mixture, ``edges_0``, ``edges_1``, ... and ``values`` of the function."""
        arrays: dict[str, Any] = dict(zip(("weights", "means", "scales"), self._arrays, strict=True))
        return arrays | {f"edges_{k}": edges for k, edges in enumerate(self.grid.edges)} | {"values": self.grid.values}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        edges = tuple(arrays[f"edges_{k}"] for k in range(np.ndim(arrays["values"])))
        return cls(arrays["weights"], arrays["means"], arrays["scales"], GridFunction(edges, arrays["values"]))

    @property
    def _width(self) -> int:
        cells = self.grid.values
        return int(self._arrays[0].shape[1] * max(cells.size // cells.shape[-1], sum(cells.shape)))


def log_density(weights: Floats, means: Floats, scales: Floats, y: Floats) -> Floats:
    """Logarithm of the density of ``(n, M)`` mixtures of diagonal Gaussians ``(n, M, K)`` at ``(n, K)`` labels."""
    z = (y[:, None, :] - means) / scales
    with np.errstate(divide="ignore"):
        terms = np.log(weights) - (0.5 * z * z + np.log(scales) + LOG_ROOT_2PI).sum(axis=2)
    largest = terms.max(axis=1)
    return np.asarray(largest + np.log(np.exp(terms - largest[:, None]).sum(axis=1)), dtype=np.float64)


def shift_and_scale(shift: ArrayLike, scale: ArrayLike, k: int) -> tuple[Floats, Floats]:
    """Return ``(K,)`` shifts and scales from one number or one a target.

    Raises:
        InputError: another shape, values that are not finite, scales that are not above 0.
    """
    a, b = numbers(shift, "shift"), numbers(scale, "scale")
    if not all(values.shape in ((), (k,)) and np.isfinite(values).all() for values in (a, b)) or not (b > 0).all():
        raise InputError(
            f"shift and scale must be finite numbers, one or {k}, scales above 0; got {shift!r}, {scale!r}"
        )
    return np.broadcast_to(a, (k,)), np.broadcast_to(b, (k,))


def _ends(edges: Floats) -> Floats:
    """Edges, the last one moved up by a rounding error: its cell includes it."""
    return np.append(edges[:-1], np.nextafter(edges[-1], np.inf))


def _expectation(values: Floats, masses: Sequence[Floats], k: int) -> Floats:
    """Sum over the cells of all targets but k of a function times their masses: ``(n, M, C_k)``.

    Args:
        values: ``(C_1, ..., C_K)`` the function.
        masses: ``(n, M, C_j)`` of each target.
        k: the target whose cells remain.
    """
    rows = masses[0].shape[:2]
    others = [j for j in range(values.ndim) if j != k]
    arranged = np.moveaxis(values, k, 0)
    if not others:
        return np.broadcast_to(arranged, (*rows, values.size))
    last = masses[others[-1]].reshape(-1, values.shape[others[-1]])
    total = last @ arranged.reshape(-1, last.shape[1]).T  # (n M, cells of k and of the others but the last)
    total = total.reshape(-1, *arranged.shape[:-1])
    for j in reversed(others[:-1]):
        total = np.einsum("r...c,rc->r...", total, masses[j].reshape(-1, values.shape[j]))
    return np.asarray(total.reshape(*rows, -1), dtype=np.float64)
