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
        self._spread_components()

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        targets = {} if self.n_outputs is None else {"n_outputs": self.n_outputs}
        return {"kind": "mixture", "n_components": self.n_components, **targets}

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        super().reset()
        self._spread_components()

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, C, 1 + 2 K)``: log weight, K means and K log standard deviations of each component, target units."""
        raw = self.linear(features).unflatten(1, (self.n_components, -1))
        logits, means, log_scales = raw.split((1, len(self.shift), len(self.shift)), dim=2)
        return torch.cat(
            (
                logits.log_softmax(1),
                torch.addcmul(self.shift, means, self.scale),
                log_scales.clamp(*_LOG_SCALES) + self.scale.log(),
            ),
            dim=2,
        )

    def point(self, outputs: Tensor) -> Tensor:
        """Mean of the mixture, ``(B,)`` or ``(B, K)``."""
        weights, means, _ = components(outputs)
        pred = (weights.unsqueeze(2) * means).sum(1)
        return pred.squeeze(1) if self.n_outputs is None else pred

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation of the mixture, ``(B,)`` or ``(B, K)``, target units."""
        weights, means, log_scales = components(outputs)
        weights = weights.unsqueeze(2)
        centre = (weights * means).sum(1, keepdim=True)
        variance = (weights * ((means - centre).square() + (2 * log_scales).exp())).sum(1)
        std = variance.sqrt()
        return std.squeeze(1) if self.n_outputs is None else std

    def predictive(self, outputs: Tensor) -> Mixture | VectorMixture:
        """The mixtures of B rows, of diagonal Gaussians for targets ``(B, K)``."""
        if self.n_outputs is not None:
            weights, centers, log_widths = (as_array(part) for part in components(outputs))
            return VectorMixture(weights, centers, np.exp(log_widths))
        log_weights, means, log_scales = np.moveaxis(as_array(outputs), 2, 0)
        return Mixture(np.exp(log_weights), means, np.exp(log_scales))

    def _spread_components(self) -> None:
        """Set the components apart: with like means and scales all of them would learn alike."""
        k = len(self.shift)
        with torch.no_grad():
            bias = self.linear.bias.view(self.n_components, 1 + 2 * k)
            bias.zero_()
            if self.n_components > 1:
                at = torch.linspace(-_SPREAD_OF_MEANS, _SPREAD_OF_MEANS, self.n_components)
                bias[:, 1 : 1 + k] = at.unsqueeze(1)


def components(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split the outputs of a mixture head.

    Args:
        outputs: ``(B, C, 1 + 2 K)`` as :meth:`MixtureHead.outputs` gives them.

    Returns:
        Weights ``(B, C)``, means and log standard deviations ``(B, C, K)``.
    """
    k = (outputs.shape[2] - 1) // 2
    return outputs[..., 0].exp(), outputs[..., 1 : 1 + k], outputs[..., 1 + k :]
