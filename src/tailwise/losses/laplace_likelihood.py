"""Uncertainty voting: Laplace likelihoods of several heads with increasing re-weighting."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tailwise._checks import InputError, whole
from tailwise.losses.loss import Loss


def laplace_nll(outputs: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of Laplace distributions: (1/B) Σ w (log 2b + |y - μ| / b), one number per head.

    Args:
        outputs: ``(B, M, 2)``, μ (target units) and log b (b in target units) of each head.
        target: ``(B,)``.
        weights: ``(B, M)``, weight of each label for each head.

    Returns:
        ``(M,)``.

    Raises:
        InputError: shapes that do not belong together.

    Example:
        >>> outputs = torch.tensor([[[30.0, 0.0], [35.0, 0.0]]])
        >>> (laplace_nll(outputs, torch.tensor([30.0])) - math.log(2)).tolist()
        [0.0, 5.0]
    """
    if target.ndim != 1 or outputs.ndim != 3 or outputs.shape[::2] != (len(target), 2):
        raise InputError(
            f"Laplace heads give outputs (B, M, 2) for a scalar target (B,), got {tuple(outputs.shape)} with "
            f"{tuple(target.shape)}"
        )
    mean, log_b = outputs.unbind(2)
    nll = math.log(2) + log_b + (target.unsqueeze(1) - mean).abs() * torch.exp(-log_b)
    if weights is None:
        return nll.mean(0)
    if weights.shape != nll.shape:
        raise InputError(f"weights has shape {tuple(weights.shape)}; it must be (B, M), here {tuple(nll.shape)}")
    return (weights * nll).mean(0)


class UVote(Loss):
    """Uncertainty voting ensemble: :func:`laplace_nll` summed over heads with different label weights.

    Jiang et al., *Uncertainty Voting Ensemble for Imbalanced Deep Regression* (GCPR 2024): heads on one backbone are
    trained with increasing re-weighting, from no weights for the first to the inverse label density for the last. The
    head with the smallest scale predicts (:class:`tailwise.heads.laplace.LaplaceHeads`).

    Args:
        weights: one module per head, ``w(target) -> (B,)``, such as :class:`tailwise.weights.by_bins.LabelWeights`.
        ramp: T, epochs: the terms of heads after the first are multiplied by (min(t, T) / T)², where t counts the
            calls of ``end_epoch()``; ``None`` for no ramp.

    Shape:
        ``outputs`` ``(B, M, 2)`` of the heads, ``target`` and ``weight`` ``(B,)``. ``weight`` multiplies the weights of
        all heads.

    Raises:
        InputError: no weights, a ramp below 1; outputs of another number of heads, a target that is not scalar.

    Note:
        The authors clamp log b to (-5, 5) in the label's unit; here the heads clamp it, in standard deviations of the
        labels. Their focal and Huber variants have no scale, and are left out.

    Example:
        >>> from torch import ones_like
        >>> class Even(nn.Module):
        ...     def forward(self, target):
        ...         return ones_like(target)
        >>> loss = UVote([Even(), Even()])
        >>> loss(torch.zeros(5, 2, 2), torch.ones(5)).shape
        torch.Size([])
    """

    degree = 0
    on_outputs = True
    epoch: Tensor

    def __init__(self, weights: Sequence[nn.Module], *, ramp: int | None = None) -> None:
        super().__init__()
        if not weights:
            raise InputError("weights is empty; give the weights of each head")
        self.ramp = None if ramp is None else whole(ramp, "ramp", least=1, most=1_000_000)
        self.weights = nn.ModuleList(weights)
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    @property
    def head(self) -> dict[str, object]:
        """Shape of the matching head, for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "laplace", "n_heads": len(self.weights)}

    def forward(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the uncertainty voting loss of a batch."""
        if target.ndim != 1 or outputs.shape != (len(target), len(self.weights), 2):
            raise InputError(
                f"UVote of {len(self.weights)} heads takes outputs (B, {len(self.weights)}, 2) with a scalar target "
                f"(B,), got {tuple(outputs.shape)} with {tuple(target.shape)}"
            )
        weights = torch.stack([w(target) for w in self.weights], dim=1)
        if weight is not None:
            if weight.shape != target.shape:
                raise InputError(
                    f"weight has shape {tuple(weight.shape)}; it must be that of target, {tuple(target.shape)}"
                )
            weights = weights * weight.unsqueeze(1)
        terms = laplace_nll(outputs, target, weights)
        if self.ramp is None:
            return terms.sum()
        return terms[0] + (self.epoch.clamp(max=self.ramp) / self.ramp).square() * terms[1:].sum()

    def end_epoch(self) -> None:
        """Count an epoch for the ramp."""
        self.epoch = self.epoch + 1

    def extra_repr(self) -> str:
        """Return the ramp as text."""
        return f"ramp={self.ramp}"
