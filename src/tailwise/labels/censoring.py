"""Limits at which labels are censored: a label at a limit means only that the true value lies there or beyond."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise._numbers import number

Floats = NDArray[np.float64]

CENSORED_METHOD = "mixture"  # the method whose likelihood knows limits
_SAME = 1e-9  # relative distance of labels that differ by rounding alone


@dataclass(frozen=True)
class Censoring:
    """The limits of a target's labels, target units.

    Args:
        below: labels here are at or below it in truth; ``None`` if low values are not cut off.
        above: labels here are at or above it in truth; ``None`` if high values are not cut off.

    Raises:
        InputError: no limit, a limit that is not a finite number, a lower limit that is not below the upper one.

    Example:
        >>> Censoring(above=50.0).counted([20.0, 50.0, 50.0], [25.0, 45.0, 70.0]).tolist()
        [25.0, 45.0, 50.0]
    """

    below: float | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.given.items():
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit):
                raise InputError(f"`{name}` must be a finite number, the value that labels stop at, got {limit!r}")
        if not self.given:
            raise InputError("censoring needs `censored_below`, `censored_above` or both")
        if self.below is not None and self.above is not None and self.below >= self.above:
            raise InputError(
                f"`censored_below` must be less than `censored_above`, got {self.below:g} and {self.above:g}"
            )

    @property
    def given(self) -> dict[str, float]:
        """The limits by the name of their parameter, without those that are ``None``."""
        limits = {"censored_below": self.below, "censored_above": self.above}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def at_below(self, y: ArrayLike) -> NDArray[np.bool_]:
        """Whether each label is at the lower limit, the shape of ``y``."""
        return _at(np.asarray(y, dtype=np.float64), self.below)

    def at_above(self, y: ArrayLike) -> NDArray[np.bool_]:
        """Whether each label is at the upper limit, the shape of ``y``."""
        return _at(np.asarray(y, dtype=np.float64), self.above)

    def at(self, y: ArrayLike) -> NDArray[np.bool_]:
        """Whether each label is at a limit, the shape of ``y``."""
        return self.at_below(y) | self.at_above(y)

    def side(self, y: ArrayLike) -> Floats:
        """Return 1 for labels at the upper limit, -1 at the lower one and 0 for others, the shape of ``y``."""
        return self.at_above(y).astype(np.float64) - self.at_below(y)

    def counted(self, y: ArrayLike, pred: ArrayLike) -> Floats:
        """Return predictions as errors count them: of a label at a limit, one beyond the limit is no error.

        Args:
            y: ``(n,)`` labels.
            pred: ``(n,)`` predictions.

        Returns:
            ``(n,)``: the label itself where it is at a limit and the prediction lies beyond, else the prediction.
        """
        labels, values = np.asarray(y, dtype=np.float64), np.asarray(pred, dtype=np.float64)
        values = np.where(self.at_below(labels), np.maximum(values, labels), values)
        return np.where(self.at_above(labels), np.minimum(values, labels), values)

    def check(self, y_train: ArrayLike, y_val: ArrayLike) -> None:
        """Raise for labels that these limits do not describe.

        Args:
            y_train: ``(n,)`` training labels.
            y_val: ``(m,)`` validation labels.

        Raises:
            InputError: no training label at a limit, all of them at one, labels beyond a limit.
        """
        train = np.asarray(y_train, dtype=np.float64)
        both = np.concatenate([train, np.asarray(y_val, dtype=np.float64)])
        for name, limit in self.given.items():
            low = name == "censored_below"
            at = (self.at_below if low else self.at_above)(both)
            beyond = int(((both < limit if low else both > limit) & ~at).sum())
            end = f"the {'lowest' if low else 'highest'} label is {number(float(both.min() if low else both.max()))}"
            if beyond:
                raise InputError(
                    f"{beyond:,} labels are {'below' if low else 'above'} `{name}={limit:g}`, and {end}; give the "
                    "value that labels stop at"
                )
            if not (self.at_below if low else self.at_above)(train).any():
                raise InputError(
                    f"no training label is at `{name}={limit:g}`, and {end}; give the value that labels stop at, or "
                    f"leave `{name}` out"
                )
        if self.at(train).all():
            raise InputError(
                f"all {train.size:,} training labels are at a limit of {' or '.join(f'`{n}`' for n in self.given)}; "
                "nothing is known about their values"
            )

    def transformed(self, forward: Any) -> Self:
        """Return the limits of labels that an increasing function transforms.

        Args:
            forward: the function, of an array.
        """
        below, above = (None if one is None else float(forward([one])[0]) for one in (self.below, self.above))
        return type(self)(below, above)

    def room(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return lowest and highest predictions, without a bound on a side where labels are censored."""
        return (
            low if self.below is None else np.full_like(low, -np.inf),
            high if self.above is None else np.full_like(high, np.inf),
        )

    def note(self, y: ArrayLike) -> list[str]:
        """Return one note on how errors of labels at a limit are counted; none where no label is at one."""
        n, size = int(self.at(y).sum()), np.size(y)
        if not n:
            return []
        limits = " or ".join(number(limit) for limit in self.given.values())
        return [
            f"{n:,} of {size:,} labels are censored at {limits}: a prediction beyond the limit counts as no error, one "
            "inside it by its distance from the limit"
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {"below": self.below, "above": self.above}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        below, above = (None if saved[name] is None else float(saved[name]) for name in ("below", "above"))
        return cls(below, above)


def _at(y: Floats, limit: float | None) -> NDArray[np.bool_]:
    return np.zeros(y.shape, dtype=bool) if limit is None else np.abs(y - limit) <= _SAME * abs(limit)
