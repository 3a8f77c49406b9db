"""Losses of single errors: squared, absolute, Huber."""

import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from torch import Tensor

from tailwise._checks import positive, same_shape
from tailwise._part import SPREAD, Part
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import difference, weighted_mean


def mse_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean squared error, target units squared.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``; ``weight`` as in
        :func:`tailwise.losses.reduce.weighted_mean`.

    Raises:
        InputError: shapes that differ.

    Example:
        >>> import torch
        >>> float(mse_loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])))
        2.0
    """
    same_shape(pred, target)
    return weighted_mean(difference(pred, target).square(), weight, target)


def l1_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean absolute error, target units; shapes as :func:`mse_loss`."""
    same_shape(pred, target)
    return weighted_mean(difference(pred, target).abs(), weight, target)


def huber_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, *, beta: float = 1.0) -> Tensor:
    """Weighted Huber loss e² / 2β below β and |e| - β / 2 above; shapes as :func:`mse_loss`.

    Args:
        pred: predictions.
        target: labels.
        weight: weights.
        beta: β, error at which the loss turns from quadratic to linear, target units (the authors: 1 year of age).
    """
    same_shape(pred, target)
    error = difference(pred, target)
    return weighted_mean(F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=beta), weight, target)


class MSE(Loss):
    """Squared error, the loss of a method that names none: :func:`mse_loss` as a module.

    L = 1/B Σ_i w_i (ŷ_i - y_i)², target units squared.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    degree = 2
    by_output = True

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the weighted mean squared error."""
        return mse_loss(pred, target, weight)


class L1(Loss):
    """Absolute error: :func:`l1_loss` as a module.

    L = 1/B Σ_i w_i |ŷ_i - y_i|, target units.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    degree = 1
    by_output = True

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the weighted mean absolute error."""
        return l1_loss(pred, target, weight)


class Huber(Loss):
    """Huber loss: :func:`huber_loss` as a module.

    L = 1/B Σ_i w_i h(ŷ_i - y_i) with h(e) = e² / 2β for |e| ≤ β and |e| - β / 2 else; Huber (1964).

    Args:
        beta: β, target units, above 0.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    degree = 1
    by_output = True

    def __init__(self, *, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = positive(beta, "beta")

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the weighted Huber loss."""
        return huber_loss(pred, target, weight, beta=self.beta)


MSE_PART = Part(
    name="mse",
    slot="loss",
    make=MSE,
    summary="mean squared error (the default)",
    source="-",
    year=None,
    cost="O(B)",
    use="""\
from tailwise import MSE
loss = MSE()(pred, y, weights(y))""",
)
L1_PART = Part(
    name="l1",
    slot="loss",
    make=L1,
    summary="mean absolute error",
    source="-",
    year=None,
    cost="O(B)",
    use="""\
from tailwise import L1
loss = L1()(pred, y, weights(y))""",
)
HUBER_PART = Part(
    name="huber",
    slot="loss",
    make=Huber,
    summary="Huber loss",
    source="-",
    year=None,
    cost="O(B)",
    use="""\
from tailwise import Huber
loss = Huber(beta=1.0)(pred, y, weights(y))""",
    from_labels={"beta": SPREAD},
    units={"beta": "target"},
)
