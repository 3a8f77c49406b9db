"""The dial between common and rare combinations of several targets."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tailwise.distributions.decisions import Loss, decide
from tailwise.distributions.grid_density import GridDensity, GridTarget
from tailwise.distributions.label_density import REACH, check_balance
from tailwise.distributions.row_arrays import Floats
from tailwise.distributions.vector_predictive import VectorPredictive
from tailwise.labels.bin_grid import BinGrid


class TargetsDial(ABC):
    """Decisions about K targets under labels that are spread otherwise."""

    @abstractmethod
    def tilted(
        self, predictive: VectorPredictive, balance: float | Sequence[float] | None = None, *, density: Any = None
    ) -> VectorPredictive:
        """Return the distributions under labels spread as the balance or a density says."""

    def decide(
        self,
        predictive: VectorPredictive,
        *,
        balance: float | Sequence[float] | None = None,
        density: Any = None,
        loss: Loss | None = None,
        under: float | None = None,
        over: float | None = None,
        quantile: float | None = None,
    ) -> Floats:
        """Return ``(n, K)`` predictions; balance and density as in :meth:`tilted`, the others as in :func:`decide`."""
        tilted = self.tilted(predictive, balance, density=density)
        return decide(tilted, loss=loss, under=under, over=over, quantile=quantile)


@dataclass(frozen=True)
class VectorDial(TargetsDial):
    """Move the decisions of one model of K targets between common and rare combinations of values.

    The counterpart of :class:`tailwise.distributions.Dial`: p_a(y | x) ∝ p(y | x) p_train(y)^(-a) for the joint density
    p_train of the training labels in the cells of a grid.

    Args:
        density: p_train, the smoothed density of the training labels.

    Example:
        >>> import numpy as np
        >>> from tailwise.distributions import VectorMixture
        >>> y_train = np.random.default_rng(0).exponential(10.0, (5000, 2))
        >>> dial, prediction = VectorDial.from_labels(y_train), VectorMixture([[1.0]], [[[20.0, 20.0]]], [[[5.0, 5.0]]])
        >>> [dial.decide(prediction, balance=a).round(1).tolist() for a in (0, 0.5, 1)]
        [[[20.0, 20.0]], [[20.6, 20.7]], [[21.3, 21.3]]]
    """

    density: GridDensity

    @classmethod
    def from_labels(
        cls,
        y_train: ArrayLike,
        grid: BinGrid | None = None,
        *,
        reach: float = REACH,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Dial of ``(n, K)`` training labels; arguments as in :meth:`GridDensity.from_labels`."""
        return cls(GridDensity.from_labels(y_train, grid, reach=reach, sample_weight=sample_weight))

    def tilted(
        self,
        predictive: VectorPredictive,
        balance: float | Sequence[float] | None = None,
        *,
        density: GridTarget | None = None,
    ) -> VectorPredictive:
        """Return the distributions under labels spread as the balance or a declared density says.

        Args:
            predictive: distributions given labels as they come.
            balance: a, from 0 to 1, one for all targets; by default 0, or 1 with a density. With a density the weights
                are (q / p_train)^a.
            density: q, see :meth:`GridDensity.ratio`.

        Returns:
            ``predictive`` itself for a balance of 0.

        Raises:
            InputError: a balance outside 0 to 1 or for each target, a density that is 0 on all training labels.
        """
        strength = check_balance((0.0 if density is None else 1.0) if balance is None else balance)
        weights = self.density.weights(strength) if density is None else self.density.ratio(density, strength)
        return predictive if strength == 0 else predictive.tilt(weights)

    @property
    def span(self) -> tuple[Floats, Floats]:
        """Lowest and highest training label of each target, ``(K,)``."""
        return np.asarray(self.density.low), np.asarray(self.density.high)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"density": self.density.to_json()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        return cls(GridDensity.from_json(saved["density"]))
