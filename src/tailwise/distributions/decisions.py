"""Decisions about predictive distributions, and the dial between common and rare values."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import InputError, one_of, positive
from tailwise.distributions.grid_density import GridTarget
from tailwise.distributions.label_density import REACH, SmoothedDensity, Target, check_balance
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.row_arrays import Floats, probabilities
from tailwise.distributions.vector_predictive import AnyPredictive, VectorPredictive
from tailwise.labels.bins import Bins

if TYPE_CHECKING:
    from tailwise.distributions.vector_dial import TargetsDial

Loss = Literal["absolute", "squared"]
LOSSES = ("absolute", "squared")


def decide(
    predictive: AnyPredictive,
    *,
    loss: Loss | None = None,
    under: float | None = None,
    over: float | None = None,
    quantile: float | None = None,
) -> Floats:
    """Return the prediction of each row that minimizes its expected loss.

    For K targets the loss of a prediction is the sum of those of its targets, so each target is decided by its own
    distribution: the median, mean or quantile of its marginal. For the squared error this is the mean, which minimizes
    the expected squared distance too; the minimizer of the expected distance itself, which has no closed form, differs
    from the medians.

    Args:
        predictive: distributions of n rows, of one target or of K.
        loss: ``"absolute"`` (the median; the default) or ``"squared"`` (the mean).
        under: cost of predicting too low, per unit; with ``over`` the quantile under / (under + over).
        over: cost of predicting too high, per unit.
        quantile: a level in (0, 1).

    Returns:
        ``(n,)`` predictions, target units; ``(n, K)`` of K targets.

    Raises:
        InputError: more than one of a loss, costs and a quantile; one cost alone; costs that are not finite numbers
            above 0; a level outside (0, 1).

    Example:
        >>> from tailwise.distributions import Mixture
        >>> delay = Mixture([[0.9, 0.1]], [[5.0, 60.0]], [[2.0, 10.0]])
        >>> [float(decide(delay, **cost).round(1)[0]) for cost in ({}, {"loss": "squared"}, {"under": 19, "over": 1})]
        [5.3, 10.5, 60.0]
    """
    level = _level(loss, under, over, quantile)
    return predictive.mean() if level is None else predictive.quantile(level)


def _level(loss: Loss | None, under: float | None, over: float | None, quantile: float | None) -> float | None:
    """Return the level of the quantile that minimizes the loss; ``None`` for the mean."""
    given = [loss is not None, under is not None or over is not None, quantile is not None]
    if sum(given) > 1:
        raise InputError("give only one of loss, costs (under and over) and quantile")
    if under is not None or over is not None:
        if under is None or over is None:
            raise InputError(f"costs need both under and over, got under={under!r} and over={over!r}")
        too_low, too_high = positive(under, "under"), positive(over, "over")
        return too_low / (too_low + too_high)
    if quantile is not None:
        levels = probabilities(quantile, "quantile")
        if np.ndim(quantile) != 0:
            raise InputError(f"quantile must be one number between 0 and 1, got {quantile!r}")
        return float(levels[0])
    return None if one_of(loss or "absolute", "loss", LOSSES) == "squared" else 0.5


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Rule by which distributions become predictions, checked before there are any; see :meth:`Dial.decide`.

    Args:
        balance: from 0 (labels as they come) to 1 (every value equally likely); ``None`` leaves it to the model.
            Targets with a dial each (:class:`tailwise.distributions.OutputsDial`) may have a balance each.
        density: declared density of the labels to be predicted, see :meth:`SmoothedDensity.ratio`; of K targets
            :meth:`GridDensity.ratio`.
        loss: ``"absolute"`` or ``"squared"``.
        under: cost of predicting too low, per unit.
        over: cost of predicting too high, per unit.
        quantile: a level in (0, 1).

    Raises:
        InputError: a balance outside 0 to 1, more than one of a loss, costs and a quantile, values that do not work.

    Example:
        >>> Decision(under=10, over=1).given, Decision().given
        (True, False)
    """

    balance: float | tuple[float, ...] | None = None
    density: Target | GridTarget | None = None
    loss: Loss | None = None
    under: float | None = None
    over: float | None = None
    quantile: float | None = None

    def __post_init__(self) -> None:
        for one in self.balance if isinstance(self.balance, tuple) else (self.balance,):
            if one is not None:
                check_balance(one)
        _level(self.loss, self.under, self.over, self.quantile)

    @property
    def given(self) -> bool:
        """Whether anything is decided here."""
        return any(getattr(self, one.name) is not None for one in fields(self))

    def for_questions(self) -> "Decision":
        """Return the decision whose distributions answer questions about values, such as a chance.

        A chance is one of labels as they come, whatever balance predictions are made for, unless this decision gives a
        balance or a density.
        """
        return self if self.balance is not None or self.density is not None else replace(self, balance=0.0)

    @overload
    def tilted(self, predictive: Predictive, dial: "Dial", balance: float = 0.0) -> Predictive: ...

    @overload
    def tilted(self, predictive: VectorPredictive, dial: "TargetsDial", balance: float = 0.0) -> VectorPredictive: ...

    def tilted(self, predictive: Any, dial: Any, balance: float = 0.0) -> Any:
        """Return the distributions under labels spread as the balance or the density says.

        Args:
            predictive: distributions given labels as they come, of one target or of K.
            dial: of the training labels; for K targets a
                :class:`tailwise.distributions.VectorDial` or :class:`tailwise.distributions.OutputsDial`.
            balance: used where neither a balance nor a density is given.
        """
        chosen = balance if self.balance is None and self.density is None else self.balance
        return dial.tilted(predictive, chosen, density=self.density)

    @overload
    def of(self, predictive: Predictive, dial: "Dial", balance: float = 0.0) -> Floats: ...

    @overload
    def of(self, predictive: VectorPredictive, dial: "TargetsDial", balance: float = 0.0) -> Floats: ...

    def of(self, predictive: Any, dial: Any, balance: float = 0.0) -> Floats:
        """Return ``(n,)`` predictions, ``(n, K)`` of K targets; arguments as in :meth:`tilted`."""
        tilted = self.tilted(predictive, dial, balance)
        return decide(tilted, loss=self.loss, under=self.under, over=self.over, quantile=self.quantile)


@dataclass(frozen=True)
class Dial:
    """Move the decisions of one trained model between common and rare values, without training it again.

    A model that has learned p(y | x) on rows as they come gives, under labels spread otherwise,

        p_a(y | x) ∝ p(y | x) p_train(y)^(-a),

    with the balance a from 0 (labels as they come) to 1 (every value equally likely), or p(y | x) q(y) / p_train(y) for
    a declared density q. At balance 1 and a Gaussian of constant width this is Balanced MSE (Ren et al., CVPR 2022).

    Args:
        density: p_train, the smoothed density of the training labels.

    Example:
        >>> from tailwise.distributions import Mixture
        >>> y_train = np.random.default_rng(0).exponential(10.0, 5000)
        >>> dial, prediction = Dial.from_labels(y_train), Mixture([[1.0]], [[20.0]], [[5.0]])
        >>> [float(dial.decide(prediction, balance=a).round(1)[0]) for a in (0, 0.5, 1)]
        [20.0, 21.3, 22.5]
    """

    density: SmoothedDensity

    @classmethod
    def from_labels(
        cls,
        y_train: ArrayLike,
        bins: Bins | None = None,
        *,
        reach: float = REACH,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Dial of training labels; arguments as in :meth:`SmoothedDensity.from_labels`."""
        return cls(SmoothedDensity.from_labels(y_train, bins, reach=reach, sample_weight=sample_weight))

    def tilted(
        self, predictive: Predictive, balance: float | None = None, *, density: Target | None = None
    ) -> Predictive:
        """Return the distributions under labels spread as the balance or a declared density says.

        Args:
            predictive: distributions given labels as they come.
            balance: a, from 0 to 1; by default 0, or 1 with a density. With a density the weights are (q / p_train)^a.
            density: q, see :meth:`SmoothedDensity.ratio`.

        Returns:
            ``predictive`` itself for a balance of 0.

        Raises:
            InputError: a balance outside 0 to 1, or a density that is 0 on all training labels.
        """
        strength = check_balance((0.0 if density is None else 1.0) if balance is None else balance)
        weights = self.density.weights(strength) if density is None else self.density.ratio(density, strength)
        return predictive if strength == 0 else predictive.tilt(weights)

    def decide(
        self,
        predictive: Predictive,
        *,
        balance: float | None = None,
        density: Target | None = None,
        loss: Loss | None = None,
        under: float | None = None,
        over: float | None = None,
        quantile: float | None = None,
    ) -> Floats:
        """Return ``(n,)`` predictions under the balance or a declared density; arguments as in :class:`Decision`."""
        decision = Decision(balance=balance, density=density, loss=loss, under=under, over=over, quantile=quantile)
        return decision.of(predictive, self)

    @property
    def span(self) -> tuple[Floats, Floats]:
        """Lowest and highest training label."""
        return np.asarray(self.density.low), np.asarray(self.density.high)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"density": self.density.to_json()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        return cls(SmoothedDensity.from_json(saved["density"]))
