"""Heads of dense maps, with outputs for each pixel in target units."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tailwise._checks import InputError, whole
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.vector_predictive import AnyPredictive
from tailwise.heads.head import HeadLoss, as_array
from tailwise.heads.mixture import in_target_units, mixture_mean, mixture_std, set_components_apart


class DenseHead(nn.Module):
    """Last convolution, 5 x 5, with outputs in target units.

    Args:
        n_features: number of channels d.

    Shape:
        ``(B, d, h, w)`` to ``(B, h, w)``.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.convolution = nn.Conv2d(n_features, 1, 5, padding=2)
        self.register_buffer("shift", torch.zeros(1))
        self.register_buffer("scale", torch.ones(1))

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Take shift and scale from the mean and standard deviation of training pixels, ``(n,)``.

        Raises:
            InputError: pixels of another shape, or that are constant or not finite.
        """
        y = np.asarray(y_train, dtype=np.float64)
        if y.ndim != 1:
            raise InputError(f"a dense head takes the labels of pixels, (n,), got shape {y.shape}")
        if not np.isfinite(y.std()) or y.std() == 0:
            raise InputError("the training pixels are constant or not finite; there is nothing to learn")
        self.shift.fill_(float(y.mean()))
        self.scale.fill_(float(y.std()))
        return self

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "dense"}

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        self.convolution.reset_parameters()

    def outputs(self, features: Tensor) -> Tensor:
        """Maps in target units."""
        return torch.addcmul(self.shift, self.convolution(features).squeeze(1), self.scale)

    def point(self, outputs: Tensor) -> Tensor:
        """Maps, which are the outputs."""
        return outputs

    def std(self, outputs: Tensor) -> Tensor | None:  # noqa: ARG002  the protocol's signature
        """``None``: it has no standard deviation."""
        return None

    def predictive(self, outputs: Tensor) -> AnyPredictive | None:  # noqa: ARG002  the protocol's signature
        """``None``: it has no distribution."""
        return None

    def losses(self, loss: HeadLoss, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Sequence[Tensor]:
        """One loss over the pixels."""
        return [loss(outputs, target, weight)]

    def forward(self, features: Tensor) -> Tensor:
        """Maps in target units."""
        return self.outputs(features)


class DenseMixtureHead(DenseHead):
    """Last convolution, 5 x 5, that gives the weights, means and scales of C Gaussians for each pixel.

    The counterpart of :class:`tailwise.heads.mixture.MixtureHead` for maps; the prediction is the mixtures' mean.

    Args:
        n_features: number of channels d.
        n_components: C.

    Shape:
        ``(B, d, h, w)`` to outputs ``(B, h, w, C, 3)`` (log weight, mean and log standard deviation) and predictions
        ``(B, h, w)``.

    Raises:
        InputError: no components.

    Example:
        >>> head = DenseMixtureHead(4, n_components=3).match_scale([1.0, 2.0, 9.0])
        >>> outputs = head.outputs(torch.zeros(2, 4, 5, 6))
        >>> outputs.shape, head.point(outputs).shape, len(head.predictive(outputs))
        (torch.Size([2, 5, 6, 3, 3]), torch.Size([2, 5, 6]), 60)
    """

    def __init__(self, n_features: int, *, n_components: int = 5) -> None:
        super().__init__(n_features)
        self.n_components = whole(n_components, "n_components", least=1, most=100)
        self.convolution = nn.Conv2d(n_features, 3 * self.n_components, 5, padding=2)
        set_components_apart(self.convolution.bias, self.n_components)

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "dense-mixture", "n_components": self.n_components}

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        super().reset()
        set_components_apart(self.convolution.bias, self.n_components)

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, h, w, C, 3)``: log weight, mean and log standard deviation of each component, target units."""
        raw = self.convolution(features).unflatten(1, (self.n_components, 3))
        return in_target_units(raw.movedim((1, 2), (3, 4)), self.shift, self.scale)

    def point(self, outputs: Tensor) -> Tensor:
        """Mean of the mixture of each pixel, ``(B, h, w)``."""
        return mixture_mean(outputs).squeeze(-1)

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation of the mixture of each pixel, ``(B, h, w)``, target units."""
        return mixture_std(outputs).squeeze(-1)

    def predictive(self, outputs: Tensor) -> Mixture:
        """The mixtures of all pixels, image after image and row after row: B h w of them."""
        log_weights, means, log_scales = np.moveaxis(as_array(outputs.flatten(0, 2)), 2, 0)
        return Mixture(np.exp(log_weights), means, np.exp(log_scales))

    def losses(self, loss: HeadLoss, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Sequence[Tensor]:
        """One loss over the pixels, of the outputs for a loss on outputs, else of the predictions."""
        return [loss(outputs if loss.on_outputs else self.point(outputs), target, weight)]

    def forward(self, features: Tensor) -> Tensor:
        """Maps in target units."""
        return self.point(self.outputs(features))
