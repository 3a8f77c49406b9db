"""Laplace heads of the uncertainty voting ensemble."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tailwise._checks import whole
from tailwise.distributions.mixtures import Mixture
from tailwise.heads.head import as_array
from tailwise.heads.point import PointHead

_MOST_LOG_SCALE = 5.0
_N_GAUSSIANS = 8
_LOG_VARIANCES = -3.25, 0.8  # borders of the range of the variances, over 2 b²


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

    def predictive(self, outputs: Tensor) -> Mixture:
        """The Laplace distribution of that head for B rows, as :func:`laplace_mixture`."""
        values = as_array(outputs)
        smallest = values[..., 1].argmin(axis=1)
        mean, log_b = values[np.arange(len(values)), smallest].T
        return laplace_mixture(mean, np.exp(log_b))


def laplace_mixture(mean: NDArray[np.float64], b: NDArray[np.float64]) -> Mixture:
    """Return Laplace distributions as mixtures of 8 Gaussians.

    A Laplace distribution is a Gaussian whose variance is exponentially distributed, with mean 2 b² (Andrews and
    Mallows, *Scale mixtures of normal distributions*, JRSS B 1974). The exponential distribution is cut into intervals,
    and each has one Gaussian with the mean variance within it: mean and standard deviation √2 b are exact, and the
    distribution function has an error of at most 0.002.

    Args:
        mean: ``(n,)``, target units.
        b: ``(n,)`` scales above 0, target units.

    Example:
        >>> laplace_mixture(np.array([30.0]), np.array([2.0])).std().round(6).tolist()
        [2.828427]
    """
    cuts = np.concatenate([[0.0], np.exp(np.linspace(*_LOG_VARIANCES, _N_GAUSSIANS - 1))])
    above = np.append(np.exp(-cuts), 0.0)  # mass of the unit exponential distribution above each cut
    first_moment = np.append((cuts + 1) * np.exp(-cuts), 0.0)
    weights = -np.diff(above)
    scales = np.sqrt(-2 * np.diff(first_moment) / weights)
    shape = (len(mean), _N_GAUSSIANS)
    return Mixture(np.broadcast_to(weights, shape), np.broadcast_to(mean[:, None], shape), b[:, None] * scales)
