"""Reduction of losses per label to one number."""

import torch
from torch import Tensor

from tailwise._checks import InputError
from tailwise.labels.tensors import step_labels


def weighted_mean(values: Tensor, weight: Tensor | None, target: Tensor) -> Tensor:
    """Return (1/N) Σ w_i l_i over the N known labels, not divided by the sum of the weights.

    Args:
        values: loss of each label, same shape as ``target``.
        weight: ``None``, same shape as ``target``, or ``(B,)`` for a target ``(B, K)``.
        target: ``(B,)``, ``(B, K)`` or dense ``(B, H, W)``, where NaN marks a pixel without a label.

    Raises:
        InputError: a weight of any other shape, labels of rows that are NaN or infinite.
    """
    if weight is not None:
        if weight.shape == target.shape:
            values = values * weight
        elif target.ndim == 2 and weight.shape == target.shape[:1]:
            values = values * weight.unsqueeze(1)
        else:
            raise InputError(
                f"weight has shape {tuple(weight.shape)}; it must be that of target, {tuple(target.shape)}, "
                "or (B,) for a target (B, K)"
            )
    if target.ndim < 3:
        step_labels(target)
        return values.mean()
    known = ~torch.isnan(target)
    return torch.where(known, values, torch.zeros_like(values)).sum() / known.sum().clamp(min=1)


def difference(pred: Tensor, target: Tensor) -> Tensor:
    """Return ``pred - target``, with 0 (and no gradient) where a dense target is NaN."""
    if target.ndim < 3:
        return pred - target
    return torch.where(torch.isnan(target), torch.zeros_like(pred), pred - torch.nan_to_num(target))
