"""Poisson and Tweedie deviance: losses for counts and for amounts with many zeros."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tailwise._checks import InputError, positive, same_shape
from tailwise._part import Part
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import weighted_mean

_FARTHEST = 50.0


def tweedie_deviance(log_pred: Tensor, target: Tensor, power: float) -> Tensor:
    """Unit deviance of a Tweedie distribution with the variance function m^power, of each row.

    For a power p in (1, 2) and a mean m = exp(log_pred)

        2 (y^(2-p) / ((1-p)(2-p)) - y m^(1-p) / (1-p) + m^(2-p) / (2-p)),

    and for p = 1, the Poisson distribution, 2 (y log(y / m) - y + m). It is 0 where m = y.

    Args:
        log_pred: ``(B,)`` logarithms of predicted means.
        target: ``(B,)`` labels of at least 0.
        power: p, from 1 to below 2.

    Returns:
        ``(B,)``.

    Raises:
        InputError: shapes that differ, a power outside 1 to 2.

    Note:
        Jørgensen, *The Theory of Dispersion Models* (1997). Logarithms are limited to 50 in size.

    Example:
        >>> y = torch.tensor([0.0, 3.0])
        >>> [round(one, 3) for one in tweedie_deviance(torch.tensor([0.0, 0.0]), y, 1.0).tolist()]
        [2.0, 2.592]
    """
    same_shape(log_pred, target)
    check_power(power)
    eta = log_pred.clamp(-_FARTHEST, _FARTHEST)
    if power == 1:
        return 2 * (torch.xlogy(target, target) - target * eta - target + eta.exp())
    first, second = 1 - power, 2 - power
    own = target.clamp_min(0) ** second / (first * second)
    return 2 * (own - target * (first * eta).exp() / first + (second * eta).exp() / second)


def check_power(power: float) -> float:
    """Return a variance power if it is a number from 1 to below 2.

    Raises:
        InputError: any other value.
    """
    value = positive(power, "power")
    if not 1 <= value < 2:
        raise InputError(f"power must be from 1 (Poisson) to below 2, got {power!r}")
    return value


class Tweedie(Loss):
    """Tweedie deviance, :func:`tweedie_deviance`, over the spread of the labels, with a head that predicts logarithms.

    L = mean_i w_i d(y_i, μ_i) / spread^(2 - p), d the deviance and μ_i = exp(output); Jørgensen (1997).

    Args:
        spread: standard deviation of the training labels, target units.
        power: p, from 1 to below 2: near 1 for counts, 1.5 for amounts with many zeros.

    Shape:
        ``outputs`` ``(B,)`` of a :class:`tailwise.heads.log_link.LogLinkHead`, ``target`` of at least 0 and ``weight``
        ``(B,)``.

    Raises:
        InputError: a power outside 1 to 2, shapes that differ.

    Example:
        >>> loss = Tweedie(2.0, power=1.5)
        >>> float(loss(torch.tensor([3.0]).log(), torch.tensor([3.0])).abs().round(decimals=5))
        0.0
    """

    on_outputs = True

    def __init__(self, spread: float, *, power: float = 1.5) -> None:
        super().__init__()
        self.spread, self.power = positive(spread, "spread"), check_power(power)

    @property
    def head(self) -> Mapping[str, Any]:
        """Shape of the matching head, for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "log-link"}

    def forward(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        rows = tweedie_deviance(outputs, target, self.power)
        return weighted_mean(rows / self.spread ** (2 - self.power), weight, target)


class Poisson(Tweedie):
    """Poisson deviance, of counts: :class:`Tweedie` of power 1.

    L = 2/B Σ_i w_i [y_i log(y_i / μ_i) - (y_i - μ_i)] / spread, μ_i = exp(output); McCullagh and Nelder (1989).

    Args:
        spread: standard deviation of the training labels, target units.

    Shape:
        ``outputs`` ``(B,)`` of a :class:`tailwise.heads.log_link.LogLinkHead`, ``target`` of at least 0 and ``weight``
        ``(B,)``; a scalar.
    """

    def __init__(self, spread: float) -> None:
        super().__init__(spread, power=1.0)


POISSON_PART = Part(
    name="poisson",
    slot="loss",
    make=Poisson,
    summary="Poisson deviance of counts, for labels of at least 0; the head predicts the logarithm of the mean",
    source="McCullagh and Nelder, Generalized Linear Models",
    year=1989,
    cost="O(B)",
    use="""\
objective = compose("poisson").build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has a new head
loss = sum(objective(x, y).values())""",
    targets=("scalar",),
    needs=("spread",),
    least_label=0.0,
)
TWEEDIE_PART = Part(
    name="tweedie",
    slot="loss",
    make=Tweedie,
    summary="Tweedie deviance of amounts with many zeros, for labels of at least 0; the head predicts the logarithm of "
    "the mean",
    source="Jørgensen, The Theory of Dispersion Models",
    year=1997,
    cost="O(B)",
    use="""\
objective = compose("tweedie", tweedie={"power": 1.5}).build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has a new head
loss = sum(objective(x, y).values())""",
    targets=("scalar",),
    needs=("spread",),
    most={"power": 1.99},
    least_label=0.0,
)
