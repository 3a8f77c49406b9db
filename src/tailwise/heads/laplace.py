"""Laplace heads of the uncertainty voting ensemble."""

from typing import Any

import torch
from torch import Tensor, nn

from tailwise._checks import whole
from tailwise.heads.point import PointHead

_MOST_LOG_SCALE = 5.0


class LaplaceHeads(PointHead):
    """Linear heads that each predict the mean and the scale of a Laplace distribution.

    The prediction is the mean of the head with the smallest scale; Jiang et al., *Uncertainty Voting Ensemble for
    Imbalanced Deep Regression* (GCPR 2024).

    Args:
        n_features: number of features d.
        n_heads: M.

    Shape:
        ``(B, d)`` to predictions ``(B,)``.

    Raises:
        InputError: no heads.

    Note:
        b is the standard deviation of the training labels times exp(s), s clamped to (-5, 5); the authors clamp in the
        label's unit.

    Example:
        >>> heads = LaplaceHeads(8, n_heads=3).match_scale([10.0, 20.0, 60.0])
        >>> outputs = heads.outputs(torch.zeros(5, 8))
        >>> outputs.shape, heads.point(outputs).shape, heads.std(outputs).shape
        (torch.Size([5, 3, 2]), torch.Size([5]), torch.Size([5]))
    """

    def __init__(self, n_features: int, *, n_heads: int = 2) -> None:
        super().__init__(n_features)
        self.n_heads = whole(n_heads, "n_heads", least=1, most=100)
        self.linear = nn.Linear(n_features, 2 * self.n_heads)

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "laplace", "n_heads": self.n_heads}

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, M, 2)``: μ and log b of each head, μ and b in target units."""
        raw, log_scale = self.linear(features).unflatten(1, (self.n_heads, 2)).unbind(2)
        log_scale = log_scale.clamp(-_MOST_LOG_SCALE, _MOST_LOG_SCALE)
        return torch.stack((torch.addcmul(self.shift, raw, self.scale), log_scale + self.scale.log()), dim=2)

    def point(self, outputs: Tensor) -> Tensor:
        """μ of the head with the smallest b, ``(B,)``."""
        smallest = outputs[..., 1].argmin(1, keepdim=True)
        return outputs[..., 0].gather(1, smallest).squeeze(1)

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation √2 b of that head, ``(B,)``, target units."""
        return 2**0.5 * outputs[..., 1].amin(1).exp()
