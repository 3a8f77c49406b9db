"""Softmax over the labels of a batch, in memory linear in the size of the batch."""

from typing import Any

import torch
from torch import Tensor

PAIRS_AT_ONCE = 2**16  # fits into the cache of a CPU
_PAIRS_ON_DEVICE = 2**24
_LEAST_EXPONENT = -50.0  # far below it exp(), or what it is multiplied by, is subnormal and many times slower


def own_label_nll(pred: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Return -log softmax_j(-‖ŷ_i - y_j‖² / 2σ²) over the batch's labels y_j, at the label y_i of each prediction.

    One pass over the pairs, a block of predictions at a time: the gradient only needs the mean label and the mean
    squared distance under the softmax.

    Args:
        pred: ŷ, ``(B,)`` or ``(B, K)``.
        target: y, same shape; gets no gradient.
        variance: σ², a scalar tensor.

    Returns:
        ``(B,)``.
    """
    wide = torch.float64 if pred.dtype == torch.float64 else torch.float32
    value: Tensor = _OwnLabel.apply(pred.to(wide), target.detach().to(wide), variance.to(wide))  # type: ignore[no-untyped-call]
    return value.to(pred.dtype)


class _OwnLabel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Tensor, variance: Tensor) -> Tensor:
        b = len(target)
        log_sums, square, mean = pred.new_empty(b), pred.new_empty(b), torch.empty_like(pred)
        at_once = PAIRS_AT_ONCE if pred.device.type == "cpu" else _PAIRS_ON_DEVICE
        block = max(1, at_once // max(b, 1))
        for start in range(0, b, block):
            rows = slice(start, start + block)
            gap = pred[rows].unsqueeze(1) - target.unsqueeze(0)
            far = gap.square() if gap.ndim == 2 else gap.square().sum(-1)
            least = far.amin(1, keepdim=True)
            odds = (far - least).div_(-2 * variance).clamp_(min=_LEAST_EXPONENT).exp_()
            total = odds.sum(1)
            log_sums[rows] = total.log() - least.squeeze(1) / (2 * variance)
            # Means of differences, not of labels, which may be far from 0 and would lose digits.
            if gap.ndim == 2:
                mean[rows] = torch.linalg.vecdot(odds, gap) / total
            else:
                mean[rows] = (odds.unsqueeze(1) @ gap).squeeze(1) / total.unsqueeze(1)
            square[rows] = torch.linalg.vecdot(odds, far) / total
        gap = pred - target
        error = gap.square() if gap.ndim == 1 else gap.square().sum(1)
        ctx.save_for_backward(gap - mean, square.sub_(error), variance)
        return log_sums + error / (2 * variance)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor]:
        mean, square, variance = ctx.saved_tensors
        of_pred = mean * (grad if mean.ndim == 1 else grad.unsqueeze(1)) / variance
        return of_pred, None, (grad * square).sum() / (2 * variance.square())
