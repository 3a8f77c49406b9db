"""Gradient-aligned regression: errors, and errors of all pairwise differences, in linear time."""

import math

import torch
from torch import Tensor

from tailwise._checks import InputError, positive, same_shape
from tailwise._part import SPREAD, Part
from tailwise.labels.tensors import step_labels
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import difference

_FLOOR = 1e-8


def gar_terms(
    pred: Tensor, target: Tensor, weight: Tensor | None = None, *, spread: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Return squared error, and magnitude and direction terms of pairwise differences, each without a unit.

    Zhu et al., *Gradient Aligned Regression via Pairwise Losses* (arXiv 2402.06104): besides the error e, the
    differences of all pairs should agree in magnitude, ½ mean_ij ((ŷ_i - ŷ_j) - (y_i - y_j))², which is the variance of
    e, and in direction, 1 - corr(ŷ, y). Predictions and labels are divided by ``spread`` first. The terms are means
    over K dimensions.

    Args:
        pred: ``(B,)``, ``(B, K)``, or dense ``(B, H, W)``.
        target: same shape; NaN pixels are left out.
        weight: ``(B,)``, or the shape of ``target``.
        spread: standard deviation of the training labels, target units.

    Raises:
        InputError: shapes that do not belong together.
    """
    same_shape(pred, target)
    target = step_labels(target)
    if weight is not None and weight.shape not in (target.shape, target.shape[:1]):
        raise InputError(
            f"weight has shape {tuple(weight.shape)}; it must be that of target, {tuple(target.shape)}, "
            "or (B,) for a target (B, K)"
        )
    columns = (-1, target.shape[1]) if target.ndim == 2 else (-1, 1)
    e, y = difference(pred, target).reshape(columns) / spread, target.reshape(columns) / spread
    w: Tensor | None = None
    n: Tensor | float = len(e)
    if target.ndim >= 3:
        known = ~torch.isnan(y)
        w, n, y = known.to(e.dtype), known.sum().clamp(min=1), torch.nan_to_num(y)
    if weight is not None:
        given = weight.unsqueeze(1) if weight.ndim == 1 else weight.reshape(columns)
        w = given if w is None else w * given

    def mean(values: Tensor) -> Tensor:
        return (values if w is None else w * values).sum(-2) / n

    center = torch.stack([mean(e), mean(y)])
    if w is not None:
        center = center / mean(torch.ones_like(e)).clamp(min=torch.finfo(e.dtype).tiny)
    centred, y = e - center[0], y - center[1]
    f = centred + y
    error, magnitude, joint, f_size, y_size = mean(torch.stack([e * e, centred * centred, f * y, f * f, y * y]))
    aligned = joint * (f_size * y_size).clamp(min=_FLOOR).rsqrt()
    # Equal labels have no direction.
    direction = torch.where(y_size > 0, 1 - aligned, torch.zeros_like(aligned))
    return error.mean(), magnitude.mean(), direction.mean()


def gar_loss(
    pred: Tensor, target: Tensor, weight: Tensor | None = None, *, spread: float = 1.0, alpha: float = 1.0
) -> Tensor:
    """Gradient-aligned regression: robust aggregate of the logarithms of the three :func:`gar_terms`.

    α log (1/3 Σ L_i^(1/α)): a small α weights the largest term most, a large α weights all logarithms equally, so the
    terms need no coefficients. Shapes as in :func:`gar_terms`; the value has no unit and is negative for small errors.

    Args:
        pred: predictions.
        target: labels.
        weight: weights.
        spread: standard deviation of the training labels, target units.
        alpha: α, above 0.

    Note:
        The aggregation follows the paper's description in words: a logarithm, distributionally robust over the terms.
        Each term has a floor of 1e-8, because the logarithm of 0 is infinite.

    Example:
        >>> y = torch.arange(5.0)
        >>> bool(gar_loss(y + 1, y) < gar_loss(-y, y))
        True
    """
    terms = torch.stack(gar_terms(pred, target, weight, spread=spread)).clamp(min=_FLOOR).log()
    return alpha * (torch.logsumexp(terms / alpha, dim=0) - math.log(3))


class GAR(Loss):
    """Gradient-aligned regression: :func:`gar_loss` as a module.

    L = α log [1/3 (L_1^(1/α) + L_2^(1/α) + L_3^(1/α))] with L_1 = mean e_i², L_2 = 1/2B² Σ_ij (e_i - e_j)² and
    L_3 = 1 - corr(ŷ, y), e in standard deviations of the labels; Zhu et al. (2024).

    Args:
        spread: standard deviation of the training labels, target units, above 0.
        alpha: α, above 0.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    degree = 0

    def __init__(self, *, spread: float = 1.0, alpha: float = 1.0) -> None:
        super().__init__()
        self.spread, self.alpha = positive(spread, "spread"), positive(alpha, "alpha")

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the gradient-aligned regression loss of a batch."""
        return gar_loss(pred, target, weight, spread=self.spread, alpha=self.alpha)


GAR_PART = Part(
    name="gar",
    slot="loss",
    make=GAR,
    summary="gradient-aligned regression: match pairwise differences of labels in size and direction",
    source="Zhu et al., Gradient Aligned Regression via Pairwise Losses, arXiv",
    year=2024,
    cost="O(B)",
    use="""\
from tailwise.losses.gar import GAR
gar = GAR(spread=float(y_train.std()))
loss = gar(pred, y)""",
    from_labels={"spread": SPREAD},
    units={"spread": "target"},
)
