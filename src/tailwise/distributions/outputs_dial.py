"""The dial of many targets, each between its own common and rare values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError
from tailwise.distributions.decisions import Dial
from tailwise.distributions.label_density import REACH, SmoothedDensity, check_balance
from tailwise.distributions.row_arrays import Floats, numbers
from tailwise.distributions.separate_targets import SeparateTargets
from tailwise.distributions.vector_dial import TargetsDial, VectorDial
from tailwise.distributions.vector_predictive import VectorPredictive
from tailwise.labels.bins import Bins


@dataclass(frozen=True)
class OutputsDial(TargetsDial):
    """Move the decisions of one model of K targets between common and rare values of each target.

    Every target has a dial of its own, p_a(y_k | x) ∝ p(y_k | x) p_train(y_k)^(-a), with one balance a for all or one
    for each. It is that of :class:`tailwise.distributions.Dial` for each target alone, whatever the others are; for two
    or three targets of about one unit :class:`tailwise.distributions.VectorDial` knows which combinations are rare.

    Args:
        densities: p_train of each target.

    Example:
        >>> from tailwise.distributions import VectorMixture
        >>> y_train = np.random.default_rng(0).exponential(10.0, (5000, 4))
        >>> dial = OutputsDial.from_labels(y_train)
        >>> prediction = VectorMixture([[1.0]], np.full((1, 1, 4), 20.0), np.full((1, 1, 4), 5.0))
        >>> [dial.decide(prediction, balance=a).round(1).tolist() for a in (0, 1)]
        [[[20.0, 20.0, 20.0, 20.0]], [[22.5, 22.5, 22.5, 22.4]]]
    """

    densities: tuple[SmoothedDensity, ...]

    @classmethod
    def from_labels(
        cls,
        y_train: ArrayLike,
        axes: Sequence[Bins | None] | None = None,
        *,
        reach: float = REACH,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Dial of ``(n, K)`` training labels.

        Args:
            y_train: training labels.
            axes: bins of each target; by default those of its labels.
            reach: see :meth:`SmoothedDensity.from_labels`.
            sample_weight: ``(n,)`` how much each row counts.

        Raises:
            InputError: labels without a column for each of several bins.
        """
        labels = numbers(y_train, "y_train")
        if labels.ndim != 2 or (axes is not None and len(axes) != labels.shape[1]):
            raise InputError(f"y_train must have a column for each target, got shape {labels.shape}")
        of_targets = zip(labels.T, [None] * labels.shape[1] if axes is None else axes, strict=True)
        made = (
            SmoothedDensity.from_labels(y, bins, reach=reach, sample_weight=sample_weight) for y, bins in of_targets
        )
        return cls(tuple(made))

    def tilted(
        self,
        predictive: VectorPredictive,
        balance: float | Sequence[float] | None = None,
        *,
        density: ArrayLike | None = None,
    ) -> VectorPredictive:
        """Return the distributions of each target under its labels spread as the balance or given labels say.

        Args:
            predictive: distributions given labels as they come.
            balance: a, from 0 to 1, or K of them, one for each target; by default 0, or 1 with a density. With a
                density the weights are (q / p_train)^a.
            density: ``(n, K)`` labels spread as wanted; q of a target is the density of its column.

        Returns:
            ``predictive`` itself for a balance of 0.

        Raises:
            InputError: a balance outside 0 to 1, balances that are not K, labels without K columns, or none near the
                training labels.
        """
        strengths = self._strengths((0.0 if density is None else 1.0) if balance is None else balance)
        if not any(strengths):
            return predictive
        wanted = None if density is None else numbers(density, "density")
        if wanted is not None and (wanted.ndim != 2 or wanted.shape[1] != len(self.densities)):
            raise InputError(f"density must be labels (n, {len(self.densities)}), got shape {wanted.shape}")
        targets = []
        for k, (known, strength) in enumerate(zip(self.densities, strengths, strict=True)):
            weights = known.weights(strength) if wanted is None else known.ratio(wanted[:, k], strength)
            targets.append(predictive.marginal(k).tilt(weights) if strength else predictive.marginal(k))
        return SeparateTargets(targets)

    def _strengths(self, balance: float | Sequence[float]) -> list[float]:
        """Return the balance of each target."""
        if np.ndim(balance) == 0:
            return [check_balance(balance)] * len(self.densities)
        strengths = [check_balance(one) for one in balance]  # type: ignore[union-attr]
        if len(strengths) != len(self.densities):
            raise InputError(f"`balance` has {len(strengths)} values, and there are {len(self.densities)} targets")
        return strengths

    @property
    def span(self) -> tuple[Floats, Floats]:
        """Lowest and highest training label of each target, ``(K,)``."""
        return np.array([one.low for one in self.densities]), np.array([one.high for one in self.densities])

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"densities": [density.to_json() for density in self.densities]}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        return cls(tuple(SmoothedDensity.from_json(one) for one in saved["densities"]))


AnyDial = Dial | VectorDial | OutputsDial  # of one target, of two or three together, of many
