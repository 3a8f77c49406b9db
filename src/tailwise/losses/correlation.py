"""Squared error with a correlation term: predictions in line with labels, over the whole batch."""

import torch
from torch import Tensor

from tailwise._checks import InputError, not_negative, one_of, positive, same_shape
from tailwise._part import SPREAD, Part
from tailwise.labels.kernels import COMPATS, Compat
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import difference, weighted_mean

_ROUNDING = 8  # spacings of floating-point numbers


def correlation_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    spread: float = 1.0,
    factor: float = 3.3,
    compat: Compat = "paper",
) -> Tensor:
    """Weighted squared error plus λ (1 - r), with r the weighted Pearson correlation of predictions and labels.

    CISIR (arXiv 2509.16339): mean_i w_i e_i² / spread² + λ (1 - r). K-dimensional targets have the mean of the
    dimensions' correlations. Without variance of predictions or labels in a batch the second term is 0.

    Args:
        pred: ``(B,)``, ``(B, K)``, or dense ``(B, H, W)``.
        target: same shape; NaN pixels are left out.
        weight: ``(B,)``, or the shape of ``target``.
        spread: standard deviation of the training labels, target units.
        factor: λ.
        compat: ``"paper"`` centres predictions and labels on their weighted means, ``"reference"`` on their plain means
            as the authors' code does.

    Raises:
        InputError: shapes that do not belong together.

    Example:
        >>> y = torch.arange(5.0)
        >>> round(float(correlation_loss(2 * y, y)), 4), round(float(correlation_loss(-y, y)), 4)
        (6.0, 30.6)
    """
    same_shape(pred, target)
    if weight is not None and weight.shape not in (target.shape, target.shape[:1]):
        raise InputError(
            f"weight has shape {tuple(weight.shape)}; it must be that of target, {tuple(target.shape)}, "
            "or (B,) for a target (B, K)"
        )
    error = weighted_mean(difference(pred, target).square(), weight, target) / spread**2
    columns = (-1, target.shape[1]) if target.ndim == 2 else (-1, 1)
    p, y = pred.reshape(columns) / spread, target.reshape(columns) / spread
    known = ~torch.isnan(y)
    counted = known.to(p.dtype)
    p, y = torch.where(known, p, 0), torch.where(known, y, 0)
    given = counted
    if weight is not None:
        given = counted * (weight.unsqueeze(1) if weight.ndim == 1 and target.ndim == 2 else weight.reshape(-1, 1))
    centring = counted if compat == "reference" else given
    total = centring.sum(0).clamp(min=torch.finfo(p.dtype).tiny)
    # A variance below this one is that of rounding errors.
    least = [
        given.sum(0) * (_ROUNDING * torch.finfo(p.dtype).eps * values.detach().abs().amax(0)) ** 2 for values in (p, y)
    ]
    p, y = (values - (centring * values).sum(0) / total for values in (p, y))
    joint, of_pred, of_target = ((given * a * b).sum(0) for a, b in ((p, y), (p, p), (y, y)))
    varies = (of_pred > least[0]) & (of_target > least[1])
    size = torch.where(varies, of_pred, 1).sqrt() * torch.where(varies, of_target, 1).sqrt()
    return error + factor * torch.where(varies, 1 - joint / size, 0).mean()


class Correlation(Loss):
    """Squared error and correlation: :func:`correlation_loss` as a module.

    L = 1/B Σ_i w_i e_i² + λ (1 - r), e in standard deviations of the labels, r the correlation of predictions and
    labels in the batch; CISIR (arXiv 2509.16339).

    Args:
        spread: standard deviation of the training labels, target units, above 0.
        factor: λ, at least 0.
        compat: ``"paper"`` or ``"reference"``.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    degree = 0

    def __init__(self, *, spread: float = 1.0, factor: float = 3.3, compat: Compat = "paper") -> None:
        super().__init__()
        self.spread, self.factor = positive(spread, "spread"), not_negative(factor, "factor")
        one_of(compat, "compat", COMPATS)
        self.compat: Compat = compat

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        return correlation_loss(pred, target, weight, spread=self.spread, factor=self.factor, compat=self.compat)


CORRELATION_PART = Part(
    name="correlation",
    slot="loss",
    make=Correlation,
    summary="squared error and 1 - Pearson correlation of the batch's predictions and labels: the loss of CISIR",
    source="CISIR, arXiv 2509.16339",
    year=2025,
    remark="with the weights cisir",
    cost="O(B)",
    use="""\
from tailwise.losses.correlation import Correlation
correlation = Correlation(spread=float(y_train.std()))
loss = correlation(pred, y, weights(y))""",
    from_labels={"spread": SPREAD},
    units={"spread": "target"},
)
