"""The density of training labels, smoothed by LDS, and the weights that undo it."""

from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError, label_array, not_negative, row_weights
from tailwise.distributions.row_arrays import Floats, finite, increasing, numbers, scalar
from tailwise.distributions.steps import StepFunction
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS

Target = StepFunction | Callable[[Floats], ArrayLike] | ArrayLike

REACH = 0.1
_CELLS = 200
POINTS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])  # of a cell, at which a function is averaged


@dataclass(frozen=True, eq=False)
class SmoothedDensity:
    """LDS-smoothed density of training labels, constant in each bin: the p_train of a tilt.

    Cells are the bins from the first with a training label to the last, the outermost widened to ``reach`` times the
    range of the labels beyond the lowest and the highest label. No decision about a tilted distribution leaves them.
    Cells without labels where the smoothed density is 0 get the lowest density above 0, so that no weight exceeds that
    of the rarest labels.

    Args:
        edges: ``(k + 1,)`` edges of the cells, increasing, target units.
        values: ``(k,)`` density in each cell, above 0, on any scale.
        counts: ``(k,)`` training labels in each cell, or the sum of their weights.
        low: lowest training label.
        high: highest training label.
        lds: smoothing that the density was made with.

    Raises:
        InputError: edges that do not increase, densities that are not above 0, labels outside the edges.

    Example:
        >>> density = SmoothedDensity.from_labels([1.5] * 8 + [2.5, 3.5], Bins.from_edges([1, 2, 3, 4]), reach=0.5)
        >>> density.edges.tolist(), density.weights(1.0)([0.6, 1.5, 3.5]).round(3).tolist()
        ([0.5, 2.0, 3.0, 4.5], [0.71, 0.71, 1.0])
    """

    edges: Floats
    values: Floats
    counts: Floats
    low: float
    high: float
    _: KW_ONLY
    lds: LDS = field(default_factory=LDS)

    def __post_init__(self) -> None:
        edges = increasing(self.edges, "edges")
        values, counts = finite(self.values, "values", 1), finite(self.counts, "counts", 1)
        if not values.size == counts.size == edges.size - 1:
            raise InputError(
                f"values and counts must have one number a cell, {edges.size - 1}, got {values.size} and {counts.size}"
            )
        if not (values > 0).all():
            raise InputError(f"values must be densities above 0, got {values.min():g}")
        if not ((counts >= 0).all() and counts.any()):
            raise InputError("counts must be numbers of labels of at least 0, not all 0")
        if not edges[0] <= scalar(self.low, "low") <= scalar(self.high, "high") <= edges[-1]:
            raise InputError(f"low and high must lie in order between the edges, got {self.low!r} and {self.high!r}")
        for name, array in (("edges", edges), ("values", values), ("counts", counts)):
            object.__setattr__(self, name, array)

    @classmethod
    def from_labels(
        cls,
        y_train: ArrayLike,
        bins: Bins | None = None,
        *,
        lds: LDS | None = None,
        reach: float = REACH,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Density of training labels.

        Args:
            y_train: ``(n,)`` labels, target units.
            bins: bins of the target; by default :meth:`Bins.auto`.
            lds: smoothing, by default that of the weights.
            reach: how far decisions may go beyond the lowest and the highest label, a fraction of their range.
            sample_weight: ``(n,)`` how much each label counts.

        Raises:
            InputError: labels that are empty, not finite or all equal, a negative reach.
        """
        y = label_array(y_train, "y_train")
        bins, weight = Bins.auto(y) if bins is None else bins, row_weights(sample_weight, y.size)
        counts = bins.histogram(y) if weight is None else np.bincount(bins.index(y), weight, bins.n_bins)
        return cls.from_counts(bins, counts, low=y.min(), high=y.max(), lds=lds, reach=reach)

    @classmethod
    def from_counts(
        cls, bins: Bins, counts: ArrayLike, *, low: float, high: float, lds: LDS | None = None, reach: float = REACH
    ) -> Self:
        """Density from the number of training labels in each bin, the lowest label and the highest."""
        counts, lds = finite(counts, "counts", 1), LDS() if lds is None else lds
        if counts.size != bins.n_bins or not (counts >= 0).all() or not counts.any():
            raise InputError(f"counts must be {bins.n_bins} numbers of at least 0, one a bin, not all 0")
        low, high = scalar(low, "low"), scalar(high, "high")
        seen = np.flatnonzero(counts)
        cells = slice(int(seen[0]), int(seen[-1]) + 1)
        edges = bins.edges.astype(np.float64)[cells.start : cells.stop + 1]
        margin = not_negative(reach, "reach") * (high - low)
        values = _smoothed(counts, bins.widths, lds)[cells]
        edges[0], edges[-1] = min(edges[0], low - margin), max(edges[-1], high + margin)
        return cls(edges, values / (values * np.diff(edges)).sum(), counts[cells], low, high, lds=lds)

    def __call__(self, y: ArrayLike) -> Floats:
        """Density at each ``y``, same shape; 0 outside the cells."""
        return StepFunction(self.edges, self.values)(y)

    def weights(self, balance: float) -> StepFunction:
        """Weights p_train(y)^(-a), the largest being 1, for a balance a from 0 to 1.

        Raises:
            InputError: a balance that is not a number from 0 to 1.
        """
        return StepFunction(self.edges, balanced_ratio(np.ones(self.values.size), self.values, balance))

    def ratio(self, target: Target, balance: float = 1.0) -> StepFunction:
        """Weights (q(y) / p_train(y))^a for a declared density q, the largest being 1.

        Args:
            target: q, on any scale: a tuple ``(low, high)`` for a uniform density; an array or list of labels spread as
                those to be predicted, smoothed as the training labels are; a step function; or a function of ``(m,)``
                values, averaged over some 200 cells.
            balance: a; 1 is the density q itself.

        Raises:
            InputError: a density that is negative, not finite, or 0 on all training labels.
        """
        edges, values = self._cells_of(target)
        cell = np.searchsorted(self.edges, (edges[:-1] + edges[1:]) / 2, side="right") - 1
        if not (values[self.counts[cell] > 0] > 0).any():
            raise InputError(
                f"density is 0 on all training labels, which run from {self.low:g} to {self.high:g}; "
                "declare one that covers some of them"
            )
        return StepFunction(edges, balanced_ratio(values, self.values[cell], balance))

    def _cells_of(self, target: Target) -> tuple[Floats, Floats]:
        """Cells that refine those of the density, and a declared density in each."""
        if isinstance(target, SmoothedDensity):
            target = StepFunction(target.edges, target.values)
        if isinstance(target, tuple):
            ends = numbers(target, "density")
            if ends.shape != (2,) or not (np.isfinite(ends).all() and ends[0] < ends[1]):
                raise InputError(f"a uniform density must be a range (low, high) with low < high, got {target!r}")
            target = StepFunction(ends, np.ones(1))
        if isinstance(target, StepFunction):
            inside = (target.edges > self.edges[0]) & (target.edges < self.edges[-1])
            edges = np.union1d(self.edges, target.edges[inside])
            return edges, target((edges[:-1] + edges[1:]) / 2)
        if callable(target):
            parts = -(-_CELLS // self.values.size)
            edges = np.interp(np.arange(parts * self.values.size + 1) / parts, np.arange(self.edges.size), self.edges)
            points = edges[:-1, None] + np.diff(edges)[:, None] * POINTS
            at = numbers(target(points.ravel()), "density")
            if at.shape != (points.size,) or not (np.isfinite(at).all() and (at >= 0).all()):
                raise InputError("density must give one finite number of at least 0 for each label")
            return edges, at.reshape(points.shape).mean(axis=1)
        labels = label_array(np.asarray(target), "density")
        counts, _ = np.histogram(labels, self.edges)
        if not counts.any():
            return self.edges, np.zeros(self.values.size)
        return self.edges, _smoothed(counts.astype(np.float64), np.diff(self.edges), self.lds)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        arrays = {name: getattr(self, name).tolist() for name in ("edges", "values", "counts")}
        return arrays | {"low": self.low, "high": self.high, "lds": asdict(self.lds)}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        edges, values, counts = (np.asarray(saved[name]) for name in ("edges", "values", "counts"))
        return cls(edges, values, counts, saved["low"], saved["high"], lds=LDS(**saved["lds"]))


def check_balance(balance: object) -> float:
    """Return a balance if it is a number from 0 to 1, raise InputError otherwise."""
    try:
        value = scalar(balance, "balance")
    except InputError:
        value = np.nan
    if not 0 <= value <= 1:
        raise InputError(
            f"balance must be a number from 0 (labels as they come) to 1 (every value equally likely), got {balance!r}"
        )
    return value


def _smoothed(counts: Floats, widths: Floats, lds: LDS) -> Floats:
    """Smoothed density in each bin, up to a factor; the lowest above 0 between bins with labels where it is 0."""
    density = lds.effective(counts, power=1.0) / widths
    seen = np.flatnonzero(counts)
    between = slice(int(seen[0]), int(seen[-1]) + 1)
    floored = density[between]
    density[between] = np.maximum(floored, floored[floored > 0].min())
    return np.asarray(density, dtype=np.float64)


def balanced_ratio(target: Floats, density: Floats, balance: float) -> Floats:
    """Return (target / density)^balance in each cell, the largest being 1; 0 where the target is.

    Args:
        target: density in each cell, at least 0, on any scale.
        density: density of the training labels in each cell, above 0.
        balance: from 0 to 1.

    Raises:
        InputError: a balance that is not a number from 0 to 1.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(target) - np.log(density)
    largest = logs.max()
    # A density that is declared to be 0 stays 0, whatever the balance.
    return np.where(target > 0, np.exp(check_balance(balance) * (np.maximum(logs, -1e6) - largest)), 0.0)
