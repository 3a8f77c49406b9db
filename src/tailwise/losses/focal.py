"""Focal-R: losses that down-weight well-predicted samples."""

from typing import Literal

import torch
from torch import Tensor

from tailwise._checks import not_negative, one_of, positive, same_shape
from tailwise._part import FromLabels, Part, Setting
from tailwise.labels.kernels import COMPATS, Compat
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import difference, weighted_mean

Activation = Literal["sigmoid", "tanh"]
ACTIVATIONS = ("sigmoid", "tanh")


def focal_factor(
    size: Tensor, *, beta: float, gamma: float, activation: Activation = "sigmoid", compat: Compat = "paper"
) -> Tensor:
    """Return the factor σ(β|e|)^γ of absolute errors, same shape.

    Args:
        size: |e|, target units.
        beta: β, per target unit.
        gamma: γ, at least 0.
        activation: ``"sigmoid"``, or ``"tanh"`` for tanh(β|e|).
        compat: ``"reference"`` moves the sigmoid to [0, 1): 2σ(β|e|) - 1 = tanh(β|e| / 2).
    """
    if activation == "tanh":
        base = torch.tanh(beta * size)
    elif compat == "reference":
        base = torch.tanh(beta * size / 2)
    else:
        base = torch.sigmoid(beta * size)
    # A base of 0 (an exact prediction) has an infinite slope for an exponent below 1, so the factor gets no gradient.
    exact = base == 0
    return torch.where(exact, torch.zeros_like(base), torch.where(exact, torch.ones_like(base), base) ** gamma)


def focal_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    power: int = 1,
    beta: float = 0.2,
    gamma: float = 1.0,
    activation: Activation = "sigmoid",
    compat: Compat = "paper",
) -> Tensor:
    """Focal-R: weighted mean of σ(β|e|)^γ |e|^power, Yang et al. (ICML 2021).

    Args:
        pred: ``(B,)``, ``(B, K)`` or ``(B, H, W)``.
        target: same shape.
        weight: as in :func:`tailwise.losses.reduce.weighted_mean`.
        power: 1 for Focal-L1 (as in the paper), 2 for Focal-MSE (the authors' code has both).
        beta: β, per target unit (the authors: 0.2 per year of age).
        gamma: γ, exponent of the factor.
        activation: ``"sigmoid"`` or ``"tanh"``.
        compat: ``"paper"`` or ``"reference"``.

    Note:
        The paper's sigmoid lies in [0.5, 1); the authors' code rescales it to [0, 1), as does ``compat="reference"``
        (``tests/test_golden_losses.py``). The factor is not detached in either.

    Example:
        >>> float(focal_loss(torch.tensor([3.0]), torch.tensor([3.0])))
        0.0
    """
    same_shape(pred, target)
    size = difference(pred, target).abs()
    factor = focal_factor(size, beta=beta, gamma=gamma, activation=activation, compat=compat)
    return weighted_mean(factor * size**power, weight, target)


class FocalL1(Loss):
    """Focal-L1: :func:`focal_loss` with |e|, as a module.

    L = 1/B Σ_i w_i σ(β |e_i|)^γ |e_i| with e_i = ŷ_i - y_i; Yang et al. (ICML 2021).

    Args:
        beta: β, per target unit, above 0.
        gamma: γ, at least 0.
        activation: ``"sigmoid"`` or ``"tanh"``.
        compat: ``"paper"`` or ``"reference"``.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    degree = 1
    by_output = True

    def __init__(
        self,
        *,
        beta: float = 0.2,
        gamma: float = 1.0,
        activation: Activation = "sigmoid",
        compat: Compat = "paper",
    ) -> None:
        super().__init__()
        self.beta = positive(beta, "beta")
        self.gamma = not_negative(gamma, "gamma")
        one_of(activation, "activation", ACTIVATIONS)
        one_of(compat, "compat", COMPATS)
        self.activation: Activation = activation
        self.compat: Compat = compat

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the weighted Focal-R loss."""
        return focal_loss(
            pred,
            target,
            weight,
            power=self.degree,
            beta=self.beta,
            gamma=self.gamma,
            activation=self.activation,
            compat=self.compat,
        )


class FocalMSE(FocalL1):
    """Focal-MSE: :func:`focal_loss` with e², as a module, with the parameters of :class:`FocalL1`.

    L = 1/B Σ_i w_i σ(β |e_i|)^γ e_i² with e_i = ŷ_i - y_i; Yang et al. (ICML 2021).

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    degree = 2
    by_output = True


def _beta(setting: Setting) -> float:
    return 3.2 / setting.spread


_BETA = FromLabels("3.2 / standard deviation", _beta)
FOCAL_L1_PART = Part(
    name="focal_l1",
    slot="loss",
    make=FocalL1,
    summary="Focal-R on the absolute error",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML",
    year=2021,
    cost="O(B)",
    use="""\
from tailwise import FocalL1
loss = FocalL1(beta=0.2)(pred, y)""",
    from_labels={"beta": _BETA},
    units={"beta": "1/target"},
)
FOCAL_MSE_PART = Part(
    name="focal_mse",
    slot="loss",
    make=FocalMSE,
    summary="Focal-R on the squared error",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML",
    year=2021,
    cost="O(B)",
    use="""\
from tailwise import FocalMSE
loss = FocalMSE(beta=0.2)(pred, y)""",
    from_labels={"beta": _BETA},
    units={"beta": "1/target"},
)
