"""Components of Gaussian mixtures: sums over components, and the roots of their distribution functions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from tailwise._checks import InputError
from tailwise.distributions.row_arrays import Floats, finite, shares

_BLOCK = 64  # rows that share the edges at which they are evaluated
_REACH = 8.3  # standard deviations beyond which a Gaussian has less mass than one rounding error of 1
_SMALLEST_SCALE = 1e-300
_FAR = 37.0  # standard deviations, beyond which the density is 0: smaller numbers are slow
_EPS = 2.0**-52
_LAST_STEP = 2.0**-27
_MOST_STEPS = 120
_FRACTION_DONE = 0.1
LOG_ROOT_2PI = np.log(2 * np.pi) / 2


@dataclass(frozen=True, eq=False)
class Components:
    """Gaussian components of n mixtures; a component of scale 0 is an atom.

    Args:
        weights: ``(n, K)``, each row adding up to 1.
        means: ``(n, K)``.
        scales: ``(n, K)`` standard deviations, 0 or at least 1e-300.
    """

    weights: Floats
    means: Floats
    scales: Floats

    @classmethod
    def checked(cls, weights: ArrayLike, means: ArrayLike, scales: ArrayLike) -> Self:
        """Components of arrays that a caller gave; weights are divided by their sum.

        Raises:
            InputError: shapes that differ, values that are not finite, negative weights or scales.
        """
        arrays = [finite(v, name, 2) for v, name in ((weights, "weights"), (means, "means"), (scales, "scales"))]
        if len({array.shape for array in arrays}) != 1:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise InputError(f"weights, means and scales must have one shape (n, K), got {shapes}")
        if ((arrays[2] < _SMALLEST_SCALE) & (arrays[2] != 0)).any():
            raise InputError(f"scales must be 0 (an atom) or at least {_SMALLEST_SCALE:g}, got {arrays[2].min():g}")
        return cls(shares(arrays[0], "weights"), arrays[1], arrays[2])

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def count(self) -> int:
        """K."""
        return int(self.weights.shape[1])

    def take(self, rows: Any) -> Self:
        """Components of some rows."""
        return type(self)(self.weights[rows], self.means[rows], self.scales[rows])

    def repeat(self, times: int) -> Self:
        """Components of rows that are each repeated."""
        return self if times == 1 else self.take(np.repeat(np.arange(len(self)), times))

    def affine(self, shift: float, scale: float) -> Self:
        """Components of ``shift + scale * y``."""
        return type(self)(self.weights, shift + scale * self.means, scale * self.scales)

    def mean(self) -> Floats:
        """Mean of each mixture."""
        return np.asarray((self.weights * self.means).sum(axis=1), dtype=np.float64)

    def std(self) -> Floats:
        """Standard deviation of each mixture."""
        variances = self.scales**2 + (self.means - self.mean()[:, None]) ** 2
        return np.asarray(np.sqrt((self.weights * variances).sum(axis=1)), dtype=np.float64)

    def cumulative(self, t: Floats, pivot: Floats | float, *, strict: bool) -> Floats:
        """P(Y <= t) at ``(n, k)`` points, or P(Y < t) if strict, up to a constant of each row.

        A component with a mean below the pivot adds minus its mass above t instead of its mass below t: one minus the
        other differ by the component's weight, and the former is exact where it is tiny. So a pivot of -inf gives the
        distribution function, and of inf minus the chance of a value above t.
        """
        total = np.zeros(t.shape)
        for j in range(self.count):
            sign = self._signs(pivot, j)
            z = standardized(t - self.means[:, j, None], self.scales[:, j, None], strict=strict)
            total += sign * self.weights[:, j, None] * ndtr(sign * z)
        return total

    def _signs(self, pivot: Floats | float, j: int) -> Floats:
        return np.where(self.means[:, j] < pivot, -1.0, 1.0)[:, None]

    def log_density(self, y: Floats) -> Floats:
        """Logarithm of the density at one y a row; of the mass where y is an atom."""
        scales = np.maximum(self.scales, _SMALLEST_SCALE)
        z = standardized(y[:, None] - self.means, scales, strict=False)
        with np.errstate(divide="ignore", over="ignore"):
            terms = np.log(self.weights) - 0.5 * z * z - np.log(scales) - LOG_ROOT_2PI
        terms[self.scales == 0] = -np.inf
        atoms = np.where((self.scales == 0) & (self.means == y[:, None]), self.weights, 0.0).sum(axis=1)
        largest = np.maximum(terms.max(axis=1), -np.finfo(np.float64).max)
        with np.errstate(divide="ignore"):
            log_density = largest + np.log(np.exp(terms - largest[:, None]).sum(axis=1))
            return np.asarray(np.where(atoms > 0, np.log(atoms), log_density), dtype=np.float64)

    def moments_at(self, edges: Floats, pivot: float, center: Floats, *, most: int) -> Floats:
        """Moments of the mass below increasing edges, the same for all rows, ``(most + 1, n, k)``; see :meth:`moments`.

        The moment of order 0 is :meth:`cumulative`, strict. Edges out of a component's reach are not evaluated, so
        rows are taken in blocks that are alike.
        """
        totals = np.zeros((most + 1, len(self), edges.size))
        for j in range(self.count):
            for rows, start, stop in self._blocks(edges, j):
                mean, scale, weight = (part[rows, j, None] for part in (self.means, self.scales, self.weights))
                sign, gap, inner = np.where(mean < pivot, -1.0, 1.0), mean - center[rows, None], edges[start:stop]
                z = standardized(inner - mean, sign * scale, strict=True)
                mass = ndtr(z)
                slope = scale * normal_density(z) if most else 0.0
                mass *= sign
                whole = (1.0, gap, gap**2 + scale**2)
                for order, total in enumerate(totals):
                    terms = mass if order == 0 else whole[order] * mass - slope
                    if order == 1:
                        slope = slope * (gap + inner - center[rows, None])
                    total[rows, start:stop] += weight * terms
                    beyond = weight * sign * whole[order]
                    if start and (sign < 0).any():
                        total[rows, :start] += np.where(sign < 0, beyond, 0.0)
                    if stop < edges.size and (sign > 0).any():
                        total[rows, stop:] += np.where(sign > 0, beyond, 0.0)
        return totals

    def _blocks(self, edges: Floats, j: int) -> Iterator[tuple[NDArray[np.int64], int, int]]:
        """Rows whose j-th components are alike, the first edge in reach of any, and the one after the last."""
        mean, scale = self.means[:, j], self.scales[:, j]
        order = np.lexsort((mean, np.frexp(scale * scale)[1]))
        lows = np.searchsorted(edges, mean - _REACH * scale, side="left")
        tops = np.searchsorted(edges, mean + _REACH * scale, side="right")
        for at in range(0, len(self), _BLOCK):
            rows = order[at : at + _BLOCK]
            yield rows, int(lows[rows].min()), int(tops[rows].max())

    def moments(self, t: Floats, pivot: Floats | float, center: Floats) -> tuple[Floats, Floats]:
        """First and second moment about each row's center of the mass below ``(n, k)`` points; see :meth:`cumulative`.

        ∫ (y - c) N = (μ - c) Φ - σ φ and ∫ (y - c)² N = ((μ - c)² + σ²) Φ - σ (μ - c + t - c) φ.
        """
        first, second = np.zeros(t.shape), np.zeros(t.shape)
        above = t - center[:, None]
        for j in range(self.count):
            weight, scale, sign = self.weights[:, j, None], self.scales[:, j, None], self._signs(pivot, j)
            gap = self.means[:, j, None] - center[:, None]
            z = standardized(t - self.means[:, j, None], scale, strict=True)
            mass, slope = sign * ndtr(sign * z), scale * normal_density(z)
            first += weight * (gap * mass - slope)
            second += weight * ((gap**2 + scale**2) * mass - slope * (gap + above))
        return first, second

    def as_atoms(self, rows: NDArray[np.bool_], points: Floats) -> Self:
        """The same components, but atoms in some rows: one point a row."""
        means, scales = self.means.copy(), self.scales.copy()
        means[rows], scales[rows] = points[:, None], 0.0
        return type(self)(self.weights, means, scales)

    def quantile(self, levels: Floats) -> Floats:
        """Smallest t with P(Y <= t) >= level, ``(n, k)`` for ``(k,)`` levels."""
        every = self.repeat(levels.size)
        level = np.tile(levels, len(self))
        ends = every.means + ndtri(level)[:, None] * every.scales  # the quantile lies between those of the components
        low, high = ends.min(axis=1), ends.max(axis=1)
        start = np.clip((every.weights * ends).sum(axis=1), low, high)
        upper = level > 0.5
        roots = every.root(low, high, start, np.where(upper, level - 1, level), np.where(upper, np.inf, -np.inf))
        return roots.reshape(len(self), levels.size)

    def root(self, low: Floats, high: Floats, start: Floats, goal: Floats, pivot: Floats) -> Floats:
        """Smallest t between ``low`` and ``high``, one a row, with :meth:`cumulative` (t) >= goal.

        Exact to some rounding errors of the larger of t and ``high - low``.
        """
        result = low.copy()
        open_rows = low < high
        for j in np.flatnonzero((self.scales == 0).any(axis=0)):
            atom = self.means[:, j, None]
            before, after = (self.cumulative(atom, pivot, strict=strict)[:, 0] for strict in (True, False))
            is_root = open_rows & (self.scales[:, j] == 0) & (before < goal) & (goal <= after)
            result[is_root] = np.clip(atom[is_root, 0], low[is_root], high[is_root])
            open_rows &= ~is_root
        rows = np.flatnonzero(open_rows)
        if rows.size:
            result[rows] = self.take(rows)._newton(low[rows], high[rows], start[rows], goal[rows], pivot[rows])
        return result

    def _newton(self, low: Floats, high: Floats, start: Floats, goal: Floats, pivot: Floats) -> Floats:
        """Roots by Newton's method, halving the bracket where a step leaves it or gains too little."""
        signs = np.where(pivot > self.means.T, -1.0, 1.0)
        scales = np.maximum(self.scales.T, _SMALLEST_SCALE)
        search = _Search(
            row=np.arange(low.size), low=low, high=high, t=start, moved=high - low, goal=goal,
            rounding=_EPS * np.maximum(high - low, np.maximum(np.abs(low), np.abs(high)) / 4),
            # The next Newton step after one this small is below a rounding error of the scale.
            last_step=_LAST_STEP * scales.min(axis=0),
            means=np.ascontiguousarray(self.means.T), inverse_scales=signs / scales, weights=self.weights.T * signs,
        )  # fmt: skip
        result = np.empty(low.size)
        for _ in range(_MOST_STEPS):
            search, done = search.step()
            result[search.row] = search.t
            if done.mean() > _FRACTION_DONE:
                if done.all():
                    break
                search = search.take(~done)
        return result


class _Search(NamedTuple):
    """Roots that are looked for, one a row; arrays of components are ``(K, rows)``."""

    row: NDArray[np.int64]
    low: Floats
    high: Floats
    t: Floats
    moved: Floats
    goal: Floats
    rounding: Floats
    last_step: Floats
    means: Floats
    inverse_scales: Floats  # negative for components that count by their mass above t
    weights: Floats

    def take(self, rows: NDArray[np.bool_]) -> "_Search":
        return self._replace(**{name: values[..., rows] for name, values in self._asdict().items()})

    def step(self) -> "tuple[_Search, NDArray[np.bool_]]":
        """Move each point by one step; say which have arrived."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = (self.t - self.means) * self.inverse_scales
            excess = (self.weights * ndtr(z)).sum(axis=0) - self.goal
            slope = (self.weights * self.inverse_scales * normal_density(z)).sum(axis=0)
            newton = self.t - excess / slope
            slow = 2 * np.abs(excess) > np.abs(self.moved * slope)
        above = excess >= 0
        low, high = np.where(above, self.low, self.t), np.where(above, self.t, self.high)
        is_newton = (newton >= low) & (newton <= high) & ~slow
        t = np.where(is_newton, newton, low + (high - low) / 2)
        moved = np.abs(t - self.t)
        done = (moved <= self.rounding) | (is_newton & (moved <= self.last_step))
        return self._replace(low=low, high=high, t=t, moved=moved), done


def normal_density(z: Floats) -> Floats:
    """Density of the standard normal distribution."""
    near = np.clip(z, -_FAR, _FAR)
    return np.where(near == z, np.exp(-0.5 * near * near - LOG_ROOT_2PI), 0.0)


def standardized(gap: Floats, scale: Floats, *, strict: bool) -> Floats:
    """Divide gaps to a mean by the scale, new array; at the mean of an atom -inf if strict, else inf.

    A negative scale, or -0.0, mirrors the result.
    """
    if scale.all():
        with np.errstate(over="ignore"):
            return np.asarray(gap / scale, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        z = gap / scale
    side = np.copysign(np.inf, scale)
    return np.where(np.isnan(z), -side if strict else side, z)
