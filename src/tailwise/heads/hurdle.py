"""The hurdle head: the chance of 0, and a mixture of Gaussians cut off at 0 for labels above it."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.special import log_ndtr

from tailwise._checks import InputError, whole
from tailwise.distributions.above_zero import FAR, zero_or_above
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.tilted import TiltedMixture
from tailwise.heads.head import as_array
from tailwise.heads.mixture import in_target_units, set_components_apart
from tailwise.heads.point import PointHead

_HALF_LOG_TWO_PI = 0.9189385332046727


class HurdleHead(PointHead):
    """Linear layer that gives the chance of 0, and weights, means and scales of C Gaussians for labels above 0.

    Cragg, *Some statistical models for limited dependent variables with application to the demand for durable goods*
    (Econometrica 1971), with a mixture in place of one Gaussian.

    Args:
        n_features: number of features d.
        n_components: C.

    Shape:
        ``(B, d)`` to predictions ``(B,)``, the means.

    Raises:
        InputError: no components.

    Example:
        >>> head = HurdleHead(8, n_components=3).match_scale([0.0, 0.0, 10.0, 20.0])
        >>> outputs = head.outputs(torch.zeros(5, 8))
        >>> outputs.shape, head.point(outputs).shape, head.predictive(outputs).below(0.0).max()
        (torch.Size([5, 4, 3]), torch.Size([5]), np.float64(0.0))
    """

    def __init__(self, n_features: int, *, n_components: int = 3) -> None:
        super().__init__(n_features)
        self.n_components = whole(n_components, "n_components", least=1, most=100)
        self.linear = nn.Linear(n_features, 1 + 3 * self.n_components)
        self._set_apart()

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "hurdle", "n_components": self.n_components}

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Take shift and scale from the mean and standard deviation of the training labels above 0, ``(n,)``."""
        y = np.asarray(y_train, dtype=np.float64)
        if y.ndim != 1 or y.min() < 0 or np.unique(y[y > 0]).size < 2:
            raise InputError("a hurdle head needs labels (n,) of at least 0, two different ones above 0")
        super().match_scale(y[y > 0])
        return self

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        super().reset()
        self._set_apart()

    def _set_apart(self) -> None:
        set_components_apart(self.linear.bias.detach()[1:], self.n_components)

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, 1 + C, 3)``: log chances of 0 and of more, and a 0; log weight, mean, log scale of each component."""
        raw = self.linear(features)
        chances = nn.functional.logsigmoid(torch.stack([raw[:, 0], -raw[:, 0]], dim=1))
        first = torch.cat([chances, torch.zeros_like(chances[:, :1])], dim=1).unsqueeze(1)
        rest = in_target_units(raw[:, 1:].unflatten(1, (self.n_components, 3)), self.shift, self.scale)
        return torch.cat([first, rest], dim=1)

    def point(self, outputs: Tensor) -> Tensor:
        """Mean, ``(B,)``."""
        return hurdle_moments(outputs)[0]

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation, ``(B,)``, target units."""
        mean, square = hurdle_moments(outputs)
        return (square - mean.square()).clamp_min(0).sqrt()

    def predictive(self, outputs: Tensor) -> TiltedMixture:
        """The distributions of B rows: a mass at 0, and Gaussians without their parts below 0."""
        chances, log_weights, means, log_scales = (as_array(part) for part in hurdle_parts(outputs))
        above = Mixture(np.exp(log_weights), means, np.exp(log_scales))
        return zero_or_above(np.exp(chances[:, 0]), above, float(self.shift) + FAR * float(self.scale))


def hurdle_parts(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Split outputs ``(B, 1 + C, 3)``: log chances ``(B, 2)``; log weights, means and log scales ``(B, C)`` each."""
    log_weights, means, log_scales = outputs[:, 1:].unbind(2)
    return outputs[:, 0, :2], log_weights, means, log_scales


def log_beyond(log_weights: Tensor, means: Tensor, log_scales: Tensor) -> Tensor:
    """Return the logarithm of the mass of mixtures above 0, ``(B,)``."""
    return torch.logsumexp(log_weights + log_ndtr(means * torch.exp(-log_scales)), dim=1)


def hurdle_moments(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and mean square of hurdle distributions, ``(B,)`` each.

    Above 0 a Gaussian has ∫ y N = m Φ + s φ and ∫ y² N = (m² + s²) Φ + m s φ, with Φ and φ at m / s.
    """
    chances, log_weights, means, log_scales = hurdle_parts(outputs)
    scales = log_scales.exp()
    z = means / scales
    log_total = log_beyond(log_weights, means, log_scales).unsqueeze(1)
    inside = torch.exp(log_weights + log_ndtr(z) - log_total)
    slope = scales * torch.exp(log_weights - 0.5 * z.square() - _HALF_LOG_TWO_PI - log_total)
    more = chances[:, 1].exp()
    first = (means * inside + slope).sum(1)
    second = ((means.square() + scales.square()) * inside + means * slope).sum(1)
    return more * first, more * second
