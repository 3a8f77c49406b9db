"""Relevance of a target value, φ(y) in [0, 1], from the extremes of a box plot."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicHermiteSpline

from tailwise._checks import InputError, label_array, positive


@dataclass(frozen=True, eq=False)
class Relevance:
    """Piecewise cubic φ(y) through control points with slope 0, constant beyond them.

    Ribeiro and Moniz, *Imbalanced regression and extreme value prediction* (Machine Learning, 2020)

    Args:
        points: ``(k,)`` increasing target values.
        values: ``(k,)`` relevance there, each in [0, 1].

    Example:
        >>> phi = Relevance(np.array([10.0, 30.0]), np.array([1.0, 0.0]))
        >>> phi([0, 10, 20, 30, 99]).tolist()
        [1.0, 1.0, 0.5, 0.0, 0.0]
    """

    points: NDArray[np.float64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        points, values = label_array(self.points, "points"), label_array(self.values, "values")
        if points.shape != values.shape or points.size < 2 or not (np.diff(points) > 0).all():
            raise InputError(f"relevance needs at least two increasing points with a value each, got {points!r}")
        if values.min() < 0 or values.max() > 1:
            raise InputError(f"relevance lies in [0, 1], got {values!r}")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "values", values)

    @classmethod
    def extremes(cls, y_train: ArrayLike, *, coef: float = 1.5) -> Self | None:
        """Relevance 1 at the whiskers of a box plot of the training labels, 0 at their median.

        An end without a label beyond its fence (``coef`` times the interquartile range from the quartile) has
        relevance 0. Returns ``None`` when neither end has one: then no value is more relevant than another.
        """
        y = label_array(y_train)
        positive(coef, "coef")
        q1, median, q3 = (float(q) for q in np.quantile(y, [0.25, 0.5, 0.75], method="midpoint"))
        reach = coef * (q3 - q1)
        low = float(y[y >= q1 - reach].min())
        high = float(y[y <= q3 + reach].max())
        has_low, has_high = bool((y < low).any()), bool((y > high).any())
        points = [low if has_low else float(y.min()), median, high if has_high else float(y.max())]
        values = [float(has_low), 0.0, float(has_high)]
        keep = [i for i in range(3) if i == 1 or points[i] != median]
        if len(keep) < 2 or not any(values[i] for i in keep):
            return None
        return cls(np.array([points[i] for i in keep]), np.array([values[i] for i in keep]))

    def __call__(self, y: ArrayLike) -> NDArray[np.float64]:
        """Relevance of each label, same shape as ``y``."""
        spline = CubicHermiteSpline(self.points, self.values, np.zeros_like(self.points))
        inside = np.clip(np.asarray(y, dtype=np.float64), self.points[0], self.points[-1])
        return np.clip(np.asarray(spline(inside), dtype=np.float64), 0.0, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"points": self.points.tolist(), "values": self.values.tolist()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(np.asarray(saved["points"]), np.asarray(saved["values"]))
