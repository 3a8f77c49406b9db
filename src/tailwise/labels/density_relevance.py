"""Relevance of a target value against a declared density: ratio and distance of two kernel densities."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array
from tailwise.labels.kde import Rule, binned_density, grid_margin, scalar_bandwidth, smoothed_masses

Floats = NDArray[np.float64]
Declared = tuple[float, float] | ArrayLike | Callable[[Floats], ArrayLike]

_LEAST = 1e-6
_RULE = "target must be a range (low, high), labels spread as those to be predicted, or a function of labels"


class DensityRelevance:
    """Relevance of labels against a declared density q: r(y) = q(y) / p(y), and φ(y) in (0, 1] from p(y) - q(y).

    Density-ratio and density-distance relevance (arXiv 2506.01486). p and q are Gaussian kernel densities with the same
    bandwidth, on a grid over the training labels. With d = p - q, the distance relevance is ½ - ½ d / max d for d >= 0
    and ½ + ½ d / min d for d < 0, at least 1e-6: above ½ where the declared density has more labels than training has.

    Args:
        y_train: ``(n,)`` training labels, target units.
        target: q: a range ``(low, high)`` for a uniform density; labels spread as those to be predicted; or a function
            of ``(m,)`` labels, on any scale. ``None`` is uniform over the range of the training labels.
        bandwidth: of both kernels, target units, or ``"silverman"`` or ``"scott"``; ``None`` takes 1.06 σ n^(-1/5).

    Attributes:
        start: first node of the grid, target units.
        step: distance between nodes.
        ratios: ``(m,)`` r at the nodes.
        distances: ``(m,)`` φ at the nodes.

    Raises:
        InputError: labels that are not finite, a target density of another kind or 0 on all training labels.

    Note:
        p is bounded below by the lowest density of a training row. The object is a function of labels, so it is a
        ``relevance`` of all resamplers; ``points()`` are control points for the loss ``sera``.

    Example:
        >>> phi = DensityRelevance([1.0, 1.1, 1.2, 1.3, 5.0], target=(1.0, 5.0), bandwidth=0.3)
        >>> phi([1.2, 3.0, 5.0]).round(2).tolist(), phi.ratio([1.2, 5.0]).round(2).tolist()
        ([0.02, 1.0, 0.41], [0.19, 0.47])
    """

    def __init__(
        self, y_train: ArrayLike, target: Declared | None = None, *, bandwidth: float | Rule | None = None
    ) -> None:
        y = label_array(y_train, "y_train")
        h = scalar_bandwidth(y, bandwidth)
        margin = grid_margin(h)
        self.start, self.step, p = binned_density(y, h, margin=margin)
        nodes = np.asarray(self.start + self.step * np.arange(p.size), dtype=np.float64)
        mass = _masses((float(y.min()), float(y.max())) if target is None else target, nodes, self.step)
        smoothed = smoothed_masses(mass, self.step, h, margin=margin)
        q = np.maximum(smoothed / (h * np.sqrt(2 * np.pi)), 0.0)
        self.ratios = q / np.maximum(p, np.interp(y, nodes, p).min())
        if not mass.any() or not self.ratio(y).max() > _LEAST:
            raise InputError(
                f"target is a density that is 0 on all training labels, which run from {y.min():g} to {y.max():g}; "
                "declare one that covers some of them"
            )
        d = p - q
        share = np.where(d >= 0, -d / max(d.max(), np.finfo(float).tiny), d / min(d.min(), -np.finfo(float).tiny))
        self.distances = np.maximum(0.5 + 0.5 * share, _LEAST)

    def __call__(self, y: ArrayLike) -> Floats:
        """Return the distance relevance of each label, same shape as ``y``."""
        return self._at(y, self.distances)

    def ratio(self, y: ArrayLike) -> Floats:
        """Return the ratio of the densities at each label, same shape as ``y``."""
        return self._at(y, self.ratios)

    def points(self, n: int = 65) -> Floats:
        """Return ``(n, 2)`` control points (y, φ) of the distance relevance, evenly spaced over the grid."""
        y = np.linspace(self.start, self.start + self.step * (self.distances.size - 1), n)
        return np.column_stack([y, self(y)])

    def _at(self, y: ArrayLike, values: Floats) -> Floats:
        position = (np.asarray(y, dtype=np.float64) - self.start) / self.step
        return np.asarray(np.interp(position, np.arange(values.size), values), dtype=np.float64)


def _masses(target: Any, nodes: Floats, step: float) -> Floats:
    """Return the mass of a declared density at each node; what lies beyond the grid is left out."""
    if callable(target):
        values = np.asarray(target(nodes), dtype=np.float64)
        if values.shape != nodes.shape or not (np.isfinite(values) & (values >= 0)).all():
            raise InputError("target must give one finite number of at least 0 for each label")
        return np.asarray(values / (values.sum() or 1.0))
    try:
        labels = np.asarray(target, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{_RULE}, got {target!r}") from None
    if labels.ndim != 1 or labels.size < 2 or not np.isfinite(labels).all():
        raise InputError(f"{_RULE}, got {target!r}")
    if labels.size == 2 and labels[0] < labels[1]:
        low, high = labels
        inside = np.minimum(nodes + step / 2, high) - np.maximum(nodes - step / 2, low)
        return np.asarray(np.maximum(inside, 0) / (high - low))
    counts, _ = np.histogram(labels, np.append(nodes - step / 2, nodes[-1] + step / 2))
    return np.asarray(counts / labels.size, dtype=np.float64)
