"""Monotone transforms of a target that a model is trained on, such as its logarithm, and the way back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import yeojohnson_llf

from tailwise._checks import InputError, label_array, one_of, positive
from tailwise.labels.transform_names import TRANSFORMS

Floats = NDArray[np.float64]

_SMALLEST, _LARGEST = float(np.finfo(np.float64).tiny), 700.0  # label of a logarithm; number whose exponential exists
_POWERS = (0.0, 2.0)


@dataclass(frozen=True)
class Transform:
    """An increasing function of the label, and its inverse; ``shift + scale * y`` undoes units first.

    ``log`` is for labels above 0, ``log1p`` (log(1 + y)) and ``sqrt`` for labels from 0 on, ``yeo-johnson`` for any.
    Whatever lies below the transform of 0 is 0 on the way back from ``log1p`` and ``sqrt``: no label is negative.

    Args:
        name: one of :data:`tailwise.labels.transform_names.TRANSFORMS`.
        power: λ of Yeo-Johnson, from 0 (logarithms of positive labels) over 1 (the label itself) to 2.
        shift: of the labels, target units.
        scale: of the labels, above 0: labels are ``shift + scale * inverse``.

    Raises:
        InputError: another name, a power outside 0 to 2.

    Note:
        Yeo and Johnson, *A new family of power transformations to improve normality or symmetry* (Biometrika 2000).
        Their powers outside 0 to 2 have a bounded range, from which not every prediction has a way back.

    Example:
        >>> log = Transform("log")
        >>> log.forward([1.0, 100.0]).round(3).tolist(), log.inverse(log.forward([1.0, 100.0])).round(9).tolist()
        ([0.0, 4.605], [1.0, 100.0])
    """

    name: str
    power: float = 1.0
    shift: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        one_of(self.name, "`transform`", TRANSFORMS)
        if not _POWERS[0] <= self.power <= _POWERS[1]:
            raise InputError(f"the power of a Yeo-Johnson transform is from 0 to 2, got {self.power!r}")
        positive(self.scale, "scale")

    @classmethod
    def of_labels(cls, name: str, y_train: ArrayLike) -> Self:
        """Return a transform for training labels; the power of ``yeo-johnson`` is the one of the highest likelihood.

        Args:
            name: one of :data:`tailwise.labels.transform_names.TRANSFORMS`.
            y_train: ``(n,)`` labels, target units.
        """
        one_of(name, "`transform`", TRANSFORMS)
        if name != "yeo-johnson":
            return cls(name)
        y = label_array(y_train, "y_train")
        fitted = minimize_scalar(lambda power: -float(yeojohnson_llf(power, y)), bounds=_POWERS, method="bounded")
        return cls(name, float(fitted.x))

    def check(self, y: ArrayLike) -> None:
        """Raise for labels that have no transform.

        Raises:
            InputError: labels of 0 or below for ``log``, below 0 for ``log1p`` and ``sqrt``.
        """
        labels = label_array(y)
        bad = labels <= 0 if self.name == "log" else labels < 0
        if self.name == "yeo-johnson" or not bad.any():
            return
        rule, ways = (
            ("above 0", "`transform=log1p` (from 0 on) or `transform=yeo-johnson`")
            if self.name == "log"
            else ("of at least 0", "`transform=yeo-johnson`")
        )
        raise InputError(
            f"`transform={self.name}` needs labels {rule}, and {int(bad.sum()):,} of {labels.size:,} are not, the "
            f"lowest {labels.min():g}; use {ways}"
        )

    def possible(self, y: ArrayLike) -> bool:
        """Whether all labels have a transform."""
        try:
            self.check(y)
        except InputError:
            return False
        return True

    @property
    def lowest(self) -> float:
        """Lowest label on the way back, -inf if there is none; target units."""
        return -np.inf if self.name == "yeo-johnson" else self.shift

    @property
    def floored(self) -> bool:
        """Whether all numbers below the transform of 0 have the same way back, 0."""
        return self.name in ("log1p", "sqrt")

    def forward(self, y: ArrayLike) -> Floats:
        """Return the transform of labels, any shape; labels below :attr:`lowest` count as at it."""
        x = (np.asarray(y, dtype=np.float64) - self.shift) / self.scale
        if self.name == "log":
            return np.asarray(np.log(np.maximum(x, _SMALLEST)))
        if self.name == "log1p":
            return np.asarray(np.log1p(np.maximum(x, 0.0)))
        if self.name == "sqrt":
            return np.asarray(np.sqrt(np.maximum(x, 0.0)))
        size = np.log1p(np.abs(x))
        return np.where(x >= 0, _powered(size, self.power), -_powered(size, 2 - self.power))

    def inverse(self, z: ArrayLike) -> Floats:
        """Return the labels of transformed ones, any shape, target units."""
        given = np.asarray(z, dtype=np.float64)
        if self.name == "log":
            x = np.exp(np.minimum(given, _LARGEST))
        elif self.name == "log1p":
            x = np.expm1(np.clip(given, 0.0, _LARGEST))
        elif self.name == "sqrt":
            x = np.square(np.maximum(given, 0.0))
        else:
            size = np.abs(given)
            x = np.where(given >= 0, _grown(size, self.power), -_grown(size, 2 - self.power))
        return np.asarray(self.shift + self.scale * x, dtype=np.float64)

    def log_slope(self, y: ArrayLike) -> Floats:
        """Return the logarithm of the derivative of :meth:`forward` at labels above :attr:`lowest`, any shape."""
        x = (np.asarray(y, dtype=np.float64) - self.shift) / self.scale
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.name == "log":
                slope = -np.log(x)
            elif self.name == "log1p":
                slope = -np.log1p(x)
            elif self.name == "sqrt":
                slope = -np.log(2 * np.sqrt(x))
            else:
                slope = np.sign(x) * (self.power - 1) * np.log1p(np.abs(x))
        return np.asarray(slope - np.log(self.scale), dtype=np.float64)

    def edges(self, edges: ArrayLike) -> Floats:
        """Return the transform of increasing edges, all finite and increasing.

        Edges at or below :attr:`lowest` become one that lies far below the others, thirty times their range.

        Args:
            edges: ``(k + 1,)``, at least the last above :attr:`lowest`; of those at or below it only the last counts.
        """
        given = np.asarray(edges, dtype=np.float64)
        inside = given > self.lowest
        z = self.forward(given[inside])
        return z if inside.all() else np.append(z[0] - 30 * max(1.0, float(np.ptp(z))), z)

    def affine(self, shift: float, scale: float) -> Self:
        """Return the transform of ``shift + scale * y`` that gives the same numbers."""
        return replace(self, shift=shift + scale * self.shift, scale=scale * self.scale)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        numbers = {name: float(saved[name]) for name in ("power", "shift", "scale")}
        return cls(str(saved["name"]), **numbers)


def _powered(log_size: Floats, power: float) -> Floats:
    """Return ((1 + x)^power - 1) / power from log(1 + x), log(1 + x) itself for a power of 0."""
    return np.asarray(log_size if power == 0 else np.expm1(power * log_size) / power)


def _grown(size: Floats, power: float) -> Floats:
    """Return what :func:`_powered` was made of, from its result."""
    log_size = size if power == 0 else np.log1p(power * size) / power
    return np.asarray(np.expm1(np.minimum(log_size, _LARGEST)))
