"""Relevance of a target value, φ(y) in [0, 1]: from control points or a box plot."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicHermiteSpline

from tailwise._checks import InputError, label_array, one_of, positive

Box = Literal["plain", "adjusted"]
BOXES = ("plain", "adjusted")
Which = Literal["both", "low", "high"]
WHICH = ("both", "low", "high")

_MEDCOUPLE_LABELS = 2000
_FEWEST_LABELS = 3  # fewer labels may have quartiles out of order


@dataclass(frozen=True, eq=False)
class Relevance:
    """Piecewise cubic φ(y) through control points (Hermite interpolation), constant beyond them.

    Ribeiro and Moniz, *Imbalanced regression and extreme value prediction* (Machine Learning, 2020)

    Args:
        points: ``(k,)`` increasing target values.
        values: ``(k,)`` relevance at the points, each in [0, 1].
        slopes: ``(k,)`` slope of φ at the points, per target unit; 0 if not given. Steep slopes overshoot, so φ is
            clipped to [0, 1].

    Raises:
        InputError: fewer than two points, points that do not increase, values outside [0, 1], lengths that differ.

    Example:
        >>> phi = Relevance(np.array([10.0, 30.0]), np.array([1.0, 0.0]))
        >>> phi([0, 10, 20, 30, 99]).tolist()
        [1.0, 1.0, 0.5, 0.0, 0.0]
    """

    points: NDArray[np.float64]
    values: NDArray[np.float64]
    slopes: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        points, values = label_array(self.points, "points"), label_array(self.values, "values")
        slopes = np.zeros_like(points) if self.slopes is None else label_array(self.slopes, "slopes")
        if points.shape != values.shape or points.size < 2 or not (np.diff(points) > 0).all():
            raise InputError(f"relevance needs at least two increasing points with a value each, got {points!r}")
        if values.min() < 0 or values.max() > 1:
            raise InputError(f"relevance lies in [0, 1], got {values!r}")
        if slopes.shape != points.shape:
            raise InputError(f"relevance needs one slope a point, {points.size}, got {slopes.size}")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "slopes", slopes)

    @classmethod
    def from_points(cls, rows: ArrayLike) -> Self:
        """Build relevance through control points (y, φ) or (y, φ, φ').

        Without φ' the slopes are 0 at both ends and otherwise the mean slope of the two neighbouring chords, limited
        after Fritsch and Carlson so that φ stays in the range of its neighbouring points.

        Args:
            rows: ``(k, 2)`` or ``(k, 3)``, y increasing, target units; an array, or nested lists or tuples.

        Raises:
            InputError: another shape, and as :class:`Relevance`.

        Example:
            >>> phi = Relevance.from_points([(0, 1), (30, 0), (60, 1)])
            >>> phi([0, 15, 30, 60]).tolist()
            [1.0, 0.5, 0.0, 1.0]
        """
        rule = "points must be at least two rows (y, relevance) or (y, relevance, slope)"
        try:
            table = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{rule} of numbers, all of the same length, got {rows!r}") from None
        if table.ndim != 2 or len(table) < 2 or table.shape[1] not in (2, 3):
            raise InputError(f"{rule}, got {rows!r}")
        points, values = table[:, 0], table[:, 1]
        if table.shape[1] == 3:
            return cls(points, values, table[:, 2])
        increasing = cls(points, values)
        return cls(points, values, _monotone_slopes(increasing.points, increasing.values))

    @classmethod
    def extremes(
        cls, y_train: ArrayLike, *, coef: float = 1.5, box: Box = "plain", which: Which = "both"
    ) -> Self | None:
        """Build relevance that is 1 at the ends of a box plot of the training labels and 0 at their median.

        Args:
            y_train: ``(n,)`` training labels.
            coef: distance of the fences from the quartiles, in interquartile ranges.
            box: ``"plain"`` has relevance 1 at a whisker (the last label within the fence), and 0 at an end without a
                label beyond its fence; ``"adjusted"`` has relevance 1 at both fences of the box plot for skewed
                labels, with or without labels beyond (Hubert and Vandervieren, *An adjusted boxplot for skewed
                distributions*, CSDA 2008).
            which: ends that count, ``"both"``, ``"low"`` or ``"high"``; the other end has relevance 0.

        Returns:
            The relevance, or ``None`` if no end has one: no label beyond a plain fence, half of the labels equal, or
            only two labels. Then no value is more relevant than another.
        """
        y = label_array(y_train)
        positive(coef, "coef")
        one_of(box, "box", BOXES)
        one_of(which, "which", WHICH)
        if y.size < _FEWEST_LABELS:
            return None
        q1, median, q3 = (float(q) for q in np.quantile(y, [0.25, 0.5, 0.75], method="midpoint"))
        reach = coef * (q3 - q1)
        if box == "adjusted":
            skew = medcouple(y)
            low_rate, high_rate = (-4.0, 3.0) if skew >= 0 else (-3.0, 4.0)
            low, high = q1 - reach * np.exp(low_rate * skew), q3 + reach * np.exp(high_rate * skew)
            has_low = has_high = True
        else:
            low, high = float(y[y >= q1 - reach].min()), float(y[y <= q3 + reach].max())
            has_low, has_high = bool((y < low).any()), bool((y > high).any())
        has_low, has_high = has_low and which != "high", has_high and which != "low"
        points = [low if has_low else float(y.min()), median, high if has_high else float(y.max())]
        values = [float(has_low), 0.0, float(has_high)]
        keep = [i for i in range(3) if i == 1 or points[i] != median]
        if len(keep) < 2 or not any(values[i] for i in keep):
            return None
        return cls(np.array([points[i] for i in keep]), np.array([values[i] for i in keep]))

    def __call__(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the relevance of each label, same shape as ``y``."""
        spline = CubicHermiteSpline(self.points, self.values, np.asarray(self.slopes))
        inside = np.clip(np.asarray(y, dtype=np.float64), self.points[0], self.points[-1])
        return np.clip(np.asarray(spline(inside), dtype=np.float64), 0.0, 1.0)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        slopes = np.asarray(self.slopes)
        return {"points": self.points.tolist(), "values": self.values.tolist(), "slopes": slopes.tolist()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build relevance from the values of :meth:`to_json`; slopes that are missing are 0."""
        return cls(*(np.asarray(saved[name]) for name in ("points", "values", "slopes") if name in saved))


def medcouple(y: ArrayLike) -> float:
    """Compute the medcouple of labels, a robust skewness in [-1, 1]: 0 for symmetry, above 0 for a long right tail.

    Median of ((y_j - m) - (m - y_i)) / (y_j - y_i) over all pairs y_i <= m <= y_j around the median m. For the k labels
    equal to m, the pair (i, j) counts -1, 0 or 1 by the sign of i + j - 1 - k.

    Args:
        y: ``(n,)`` labels. More than 2,000 are replaced by 2,000 evenly spaced quantiles from the smallest to the
            largest, because the pairs need memory n².

    Example:
        >>> medcouple([1.0, 2.0, 3.0]), round(medcouple([1.0, 2.0, 6.0]), 2)
        (0.0, 0.3)
    """
    labels = np.sort(label_array(y))
    if labels.size > _MEDCOUPLE_LABELS:
        labels = np.quantile(labels, np.linspace(0, 1, _MEDCOUPLE_LABELS))
    centred = labels - np.median(labels)
    below, above = centred[centred <= 0, None], centred[centred >= 0]
    k = int((centred == 0).sum())
    kernel = np.zeros((len(below), len(above)))
    apart = above - below
    np.divide(above + below, apart, out=kernel, where=apart > 0)
    order = np.arange(1, k + 1)
    kernel[len(below) - k :, :k] = np.sign(order[:, None] + order - 1 - k)
    return float(np.median(kernel))


def _monotone_slopes(points: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return slopes of 0 at the ends and mean slopes of neighbouring chords between, limited to monotone cubics."""
    chords = np.diff(values) / np.diff(points)
    slopes = np.zeros_like(points)
    slopes[1:-1] = (chords[:-1] + chords[1:]) / 2
    for i, chord in enumerate(chords):
        pair = slice(i, i + 2)
        if chord == 0:
            slopes[pair] = 0
            continue
        # A slope against the chord means a turning point, so it becomes 0; within a circle of radius 3 the cubic is
        # monotone.
        ratio = np.maximum(slopes[pair] / chord, 0.0)
        slopes[pair] = ratio * chord * min(1.0, 3.0 / max(float(np.hypot(*ratio)), 3.0))
    return slopes
