"""Labels with atoms, values that many rows share: whole numbers, or one value such as zero; and their distributions."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit, ndtr

from tailwise._checks import InputError, label_array, one_of
from tailwise.distributions.empirical import Empirical
from tailwise.distributions.label_density import REACH
from tailwise.distributions.logistic import logistic_coefficients
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.pooling import concatenate
from tailwise.distributions.predictive import NO_MASS, Predictive
from tailwise.distributions.row_arrays import Floats, increasing, scalar
from tailwise.distributions.steps import StepFunction
from tailwise.distributions.transformed import Transformed
from tailwise.labels.transforms import Transform

MOST_VALUES = 200
LEAST_FRACTION = 0.1
_ON_LATTICE = 1e-6  # of a step
_NEAREST = 0.05  # of the other labels
_SURE = 1e-6
_FAR = 1e3
_FOLDS = 5
_SMALLEST_SCALE = 1e-300
SIDES = ("lowest", "inner", "highest")


@dataclass(frozen=True, eq=False)
class Lattice:
    """Labels at evenly spaced values, such as counts, grades or ages in years.

    A distribution F gives the value k the mass F(k + h/2) - F(k - h/2) between the middles of its neighbours, h apart;
    the outermost values get the mass beyond them. This is the distribution of a label that rounds a quantity with the
    distribution F. A component much narrower than h, which a mixture has for values that many rows share, keeps its
    whole mass; of wider ones the variance grows by up to h²/12.

    Args:
        values: ``(m,)`` increasing.

    Example:
        >>> sold = Lattice.from_labels([0.0, 3.0, 1.0, 2.0, 1.0])
        >>> rows = sold.of(Mixture([[1.0]], [[1.2]], [[0.7]]))
        >>> rows.median().tolist(), rows.above(0).round(3).tolist()
        ([1.0], [0.841])
    """

    values: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", increasing(self.values, "values"))

    @classmethod
    def from_labels(cls, y_train: ArrayLike) -> "Lattice | None":
        """Return the lattice of training labels; ``None`` if they are on none, or on one of more than 200 values.

        It goes on for a tenth of the labels' range beyond the highest label, and beyond the lowest if that is negative.
        """
        labels = np.unique(label_array(y_train, "y_train"))
        if labels.size < 2:
            return None
        low, high, step = float(labels[0]), float(labels[-1]), float(np.diff(labels).min())
        if (high - low) / step > MOST_VALUES:
            return None
        places = (labels - low) / step
        if (np.abs(places - places.round()) > _ON_LATTICE).any():
            return None
        beyond = int(REACH * (high - low) / step + _ON_LATTICE)
        first, last = -beyond if low < 0 else 0, round(places[-1]) + beyond
        values = low + step * np.arange(first, last + 1)
        values[places.round().astype(np.int64) - first] = labels
        return cls(values)

    def of(self, predictive: Predictive) -> Predictive:
        """Return distributions on the values of the lattice."""
        return Empirical.of(predictive, self.values)

    def calibrated(self, predictive: Predictive, y: ArrayLike, weight: ArrayLike) -> Self:  # noqa: ARG002
        """Return this lattice: nothing about it is learned from held-out rows."""
        return self

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :func:`atoms_from_json` reads back exactly."""
        return {"kind": "lattice", "values": self.values.tolist()}


@dataclass(frozen=True)
class Inflated:
    """Labels with one value that many rows share, such as days without rain; the others differ.

    Training labels near the value are nearly all equal to it, so that the mass m(x) a mixture has there (within
    ``reach`` and, of an outermost value, beyond) ranks rows by their chance of that value. The chance is

        logit P(y = value | x) = intercept + slope * logit m(x),

    fitted by likelihood to held-out rows (Platt, *Probabilistic outputs for support vector machines*, 1999). Where the
    derivatives of the likelihood are 0, the chances add up to the number of rows that have the value, and so do they
    weighted by logit m(x). The rest of the mass stays as it is: components within the reach lose their weight, and
    nothing lies beyond an outermost value.

    Args:
        value: the value, target units.
        reach: distance from the value, target units, above 0.
        side: ``"lowest"``, ``"inner"`` or ``"highest"`` of the training labels.
        far: a distance that no label reaches, target units.
        intercept: of the chance.
        slope: of the chance.

    Example:
        >>> rain = Inflated(0.0, 0.1, "lowest", 1000.0)
        >>> rows = rain.of(Mixture([[0.5, 0.5]], [[0.0, 3.0]], [[0.01, 2.0]]))
        >>> rows.above(0.0).round(2).tolist(), rows.below(0.0).tolist(), rows.quantile(0.3).tolist()
        ([0.46], [0.0], [0.0])
    """

    value: float
    reach: float
    side: str
    far: float
    intercept: float = 0.0
    slope: float = 1.0

    def __post_init__(self) -> None:
        one_of(self.side, "side", SIDES)
        for name in ("value", "intercept", "slope"):
            scalar(getattr(self, name), name)
        if not 0 < scalar(self.reach, "reach") < scalar(self.far, "far"):
            raise InputError(f"reach must be above 0 and below far, got {self.reach!r} and {self.far!r}")

    @classmethod
    def from_labels(cls, y_train: ArrayLike) -> "Inflated | None":
        """Return the value that most training labels have; ``None`` if it is not a tenth of them, or all."""
        y = label_array(y_train, "y_train")
        values, counts = np.unique(y, return_counts=True)
        most = int(counts.argmax())
        if counts[most] < LEAST_FRACTION * y.size or counts[most] in (1, y.size):
            return None
        value = float(values[most])
        distances = np.abs(y[y != value] - value)
        side = "lowest" if most == 0 else "highest" if most == values.size - 1 else "inner"
        return cls(value, float(np.quantile(distances, _NEAREST)) / 2, side, float(_FAR * distances.max()))

    def calibrated(self, predictive: Predictive, y: ArrayLike, weight: ArrayLike) -> Self:
        """Return the same value with a chance that is fitted to held-out rows.

        Args:
            predictive: ``n`` distributions before :meth:`of`.
            y: ``(n,)`` labels.
            weight: ``(n,)`` how often each row would come.
        """
        if not isinstance(predictive, Mixture):
            return self
        x, happened = self._logits(predictive), (label_array(y) == self.value).astype(np.float64)
        intercept, slope = logistic_coefficients(x[None], happened, label_array(weight, "weight")).tolist()
        return replace(self, intercept=intercept, slope=slope)

    def of(self, predictive: Predictive) -> Predictive:
        """Return distributions with an atom at the value; those that are no :class:`Mixture` as they are."""
        if not isinstance(predictive, Mixture):
            return predictive
        chance = expit(self.intercept + self.slope * self._logits(predictive))
        below, above = self._tails(predictive, self.reach)
        at_least, at_most = self._tails(predictive, 0.0)
        allowed = {"lowest": at_most, "inner": np.ones(below.shape), "highest": at_least}[self.side]
        left = predictive.weights * (below + above)
        rest = (left * allowed).sum(axis=1)
        lost = rest < NO_MASS
        chance = np.where(lost, 1.0, chance)
        factor = np.where(lost, 0.0, (1 - chance) / np.where(lost, 1.0, rest))
        atom = np.full((len(predictive), 1), self.value)
        mixture = Mixture(
            np.hstack([chance[:, None], factor[:, None] * left]),
            np.hstack([atom, predictive.means]),
            np.hstack([0 * atom, predictive.scales]),
        )
        if self.side == "inner":
            return mixture
        ends = sorted([self.value, self.value + (self.far if self.side == "lowest" else -self.far)])
        return mixture.tilt(StepFunction(np.array(ends), np.ones(1)))

    def _tails(self, mixture: Mixture, reach: float) -> tuple[Floats, Floats]:
        """Mass of each component below ``value - reach`` and above ``value + reach``."""
        scales = np.maximum(mixture.scales, _SMALLEST_SCALE)
        with np.errstate(over="ignore"):
            below = ndtr((self.value - reach - mixture.means) / scales)
            above = ndtr((mixture.means - self.value - reach) / scales)
        return below, above

    def _logits(self, mixture: Mixture) -> Floats:
        """Return logit m(x)."""
        below, above = self._tails(mixture, self.reach)
        away = {"lowest": above, "inner": below + above, "highest": below}[self.side]
        mass = 1 - (mixture.weights * away).sum(axis=1)
        return np.asarray(logit(np.clip(mass, _SURE, 1 - _SURE)), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :func:`atoms_from_json` reads back exactly."""
        numbers = {name: getattr(self, name) for name in ("value", "reach", "side", "far", "intercept", "slope")}
        return {"kind": "inflated", **numbers}


@dataclass(frozen=True)
class InflatedTransform:
    """One value that many rows share, of distributions of a transformed label; see :class:`Inflated`.

    Args:
        inner: the value, in units of the transformed label.
        transform: from labels to what the distributions' base is about.
    """

    inner: Inflated
    transform: Transform

    def calibrated(self, predictive: Predictive, y: ArrayLike, weight: ArrayLike) -> Self:
        """Return the same value with a chance that is fitted to held-out rows; arguments as :class:`Inflated` has."""
        if not isinstance(predictive, Transformed):
            return self
        return replace(self, inner=self.inner.calibrated(predictive.base, self.transform.forward(y), weight))

    def of(self, predictive: Predictive) -> Predictive:
        """Return distributions with an atom at the value."""
        if not isinstance(predictive, Transformed):
            return predictive
        return Transformed(self.inner.of(predictive.base), self.transform)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :func:`atoms_from_json` reads back exactly."""
        return {"kind": "transformed", "inner": self.inner.to_json(), "transform": self.transform.to_json()}


Atoms = Lattice | Inflated | InflatedTransform


def atoms_of(y_train: ArrayLike, transform: Transform | None = None) -> Atoms | None:
    """Return the atoms of training labels: a lattice, else one value that a tenth of them have, else ``None``.

    Args:
        y_train: ``(n,)`` labels, target units.
        transform: of the label, where a model has distributions of the transformed one.
    """
    lattice = Lattice.from_labels(y_train)
    if lattice is not None:
        return lattice
    if transform is None:
        return Inflated.from_labels(y_train)
    inner = Inflated.from_labels(transform.forward(y_train))
    return None if inner is None else InflatedTransform(inner, transform)


def atoms_from_json(saved: Mapping[str, Any]) -> Atoms:
    """Read the output of ``to_json``."""
    values = {name: value for name, value in saved.items() if name != "kind"}
    kind = one_of(saved["kind"], "kind", ("lattice", "inflated", "transformed"))
    if kind == "transformed":
        inner = atoms_from_json(values["inner"])
        if not isinstance(inner, Inflated):
            raise InputError(f"the atoms of transformed labels are one value, got {values['inner']['kind']!r}")
        return InflatedTransform(inner, Transform.from_json(values["transform"]))
    return Lattice(**values) if kind == "lattice" else Inflated(**values)


def with_atoms(atoms: Atoms, predictive: Predictive, y: ArrayLike, weight: ArrayLike) -> Predictive:
    """Return the distributions of held-out rows with atoms, each fifth by a chance fitted to the other rows.

    Args:
        atoms: of the training labels.
        predictive: distributions of ``n`` rows, without atoms.
        y: ``(n,)`` labels.
        weight: ``(n,)`` how often each row would come.
    """
    labels, weights = label_array(y), label_array(weight, "weight")
    if isinstance(atoms, Lattice) or labels.size < _FOLDS:
        return atoms.of(predictive)
    fold = np.arange(labels.size) % _FOLDS
    parts, rows = [], []
    for i in range(_FOLDS):
        others, inside = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        fitted = atoms.calibrated(predictive.select(others), labels[others], weights[others])
        parts.append(fitted.of(predictive.select(inside)))
        rows.append(inside)
    return concatenate(parts).select(np.argsort(np.concatenate(rows)))
