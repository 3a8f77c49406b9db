"""The mixture density head: a mixture of Gaussians for each row."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tailwise._checks import whole
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.vector_mixtures import VectorMixture
from tailwise.heads.head import as_array
from tailwise.heads.point import PointHead

_LOG_SCALES = -6.0, 1.5  # of standard deviations over that of the training labels
_SPREAD_OF_MEANS = 1.0


class MixtureHead(PointHead):
    """Linear layer that gives the weights, means and scales of C Gaussians; their mean is the prediction.

    Bishop, *Mixture Density Networks* (1994). One component is the heteroscedastic Gaussian.

    Args:
        n_features: number of features d.
        n_outputs: K for targets ``(B, K)``, whose Gaussians are diagonal; ``None`` for scalar targets ``(B,)``.
        n_components: C.

    Shape:
        ``(B, d)`` to predictions ``(B,)`` or ``(B, K)``.

    Raises:
        InputError: no components.

    Note:
        Standard deviations lie between exp(-6) and exp(1.5) times that of the training labels, so that no component can
        shrink onto one row.

    Example:
        >>> head = MixtureHead(8, n_components=3).match_scale([10.0, 20.0, 60.0])
        >>> outputs = head.outputs(torch.zeros(5, 8))
        >>> outputs.shape, head.point(outputs).shape, head.std(outputs).shape
        (torch.Size([5, 3, 3]), torch.Size([5]), torch.Size([5]))
    """

    def __init__(self, n_features: int, n_outputs: int | None = None, *, n_components: int = 5) -> None:
        super().__init__(n_features, n_outputs)
        self.n_components = whole(n_components, "n_components", least=1, most=100)
        self.linear = nn.Linear(n_features, self.n_components * (1 + 2 * (n_outputs or 1)))
        set_components_apart(self.linear.bias, self.n_components)

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        targets = {} if self.n_outputs is None else {"n_outputs": self.n_outputs}
        return {"kind": "mixture", "n_components": self.n_components, **targets}

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        super().reset()
        set_components_apart(self.linear.bias, self.n_components)

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, C, 1 + 2 K)``: log weight, K means and K log standard deviations of each component, target units."""
        return in_target_units(self.linear(features).unflatten(1, (self.n_components, -1)), self.shift, self.scale)

    def point(self, outputs: Tensor) -> Tensor:
        """Mean of the mixture, ``(B,)`` or ``(B, K)``."""
        pred = mixture_mean(outputs)
        return pred.squeeze(1) if self.n_outputs is None else pred

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation of the mixture, ``(B,)`` or ``(B, K)``, target units."""
        std = mixture_std(outputs)
        return std.squeeze(1) if self.n_outputs is None else std

    def predictive(self, outputs: Tensor) -> Mixture | VectorMixture:
        """The mixtures of B rows, of diagonal Gaussians for targets ``(B, K)``."""
        numbers = as_array(outputs)
        if self.n_outputs is not None:
            k = self.n_outputs
            return VectorMixture(np.exp(numbers[..., 0]), numbers[..., 1 : 1 + k], np.exp(numbers[..., 1 + k :]))
        log_weights, means, log_scales = np.moveaxis(numbers, 2, 0)
        return Mixture(np.exp(log_weights), means, np.exp(log_scales))


def in_target_units(raw: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Return the outputs of a mixture head from those of its last layer.

    Args:
        raw: ``(..., C, 1 + 2 K)``: a number for the weight, K for the means and K for the scales of each component.
        shift: ``(K,)`` mean of the training labels.
        scale: ``(K,)`` their standard deviation.

    Returns:
        ``(..., C, 1 + 2 K)``: log weight, K means and K log standard deviations of each component, target units.
    """
    k = len(shift)
    logits, means, log_scales = torch.split(raw, [1, k, k], dim=-1)
    return torch.cat(
        (
            logits.log_softmax(-2),
            torch.addcmul(shift, means, scale),
            log_scales.clamp(*_LOG_SCALES) + scale.log(),
        ),
        dim=-1,
    )


def mixture_mean(outputs: Tensor) -> Tensor:
    """Mean of mixtures, ``(..., K)``, from outputs ``(..., C, 1 + 2 K)``."""
    weights, means, _ = components(outputs)
    return (weights.unsqueeze(-1) * means).sum(-2)


def mixture_std(outputs: Tensor) -> Tensor:
    """Standard deviation of mixtures, ``(..., K)``, from outputs ``(..., C, 1 + 2 K)``."""
    weights, means, log_scales = components(outputs)
    weights = weights.unsqueeze(-1)
    centre = (weights * means).sum(-2, keepdim=True)
    variance = (weights * ((means - centre).square() + (2 * log_scales).exp())).sum(-2)
    return variance.sqrt()


def set_components_apart(bias: Any, n_components: int) -> None:
    """Set the components apart: with like means and scales all of them would learn alike.

    Args:
        bias: ``(C (1 + 2 K),)`` bias of the last layer, changed in place.
        n_components: C.
    """
    with torch.no_grad():
        by_component = bias.view(n_components, -1)
        by_component.zero_()
        if n_components > 1:
            at = torch.linspace(-_SPREAD_OF_MEANS, _SPREAD_OF_MEANS, n_components)
            k = (by_component.shape[1] - 1) // 2
            by_component[:, 1 : 1 + k] = at.unsqueeze(1)


def components(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split the outputs of a mixture head.

    Args:
        outputs: ``(..., C, 1 + 2 K)`` as :meth:`MixtureHead.outputs` gives them.

    Returns:
        Weights ``(..., C)``, means and log standard deviations ``(..., C, K)``.
    """
    k = (outputs.shape[-1] - 1) // 2
    log_weights, means, log_scales = torch.split(outputs, [1, k, k], dim=-1)
    return log_weights.squeeze(-1).exp(), means, log_scales
