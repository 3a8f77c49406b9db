"""The linear head with outputs in target units, and a regressor of an encoder and a head."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.distributions.vector_predictive import AnyPredictive
from tailwise.heads.head import HeadLoss


class PointHead(nn.Module):
    """Linear head with predictions as its only outputs, in target units; the other heads extend it.

    Args:
        n_features: number of features d.
        n_outputs: K for targets ``(B, K)``; ``None`` for scalar targets ``(B,)``.

    Shape:
        ``(B, d)`` to ``(B,)`` or ``(B, K)``.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, n_features: int, n_outputs: int | None = None) -> None:
        super().__init__()
        self.n_features, self.n_outputs = n_features, n_outputs
        self.linear = nn.Linear(n_features, n_outputs or 1)
        self.register_buffer("shift", torch.zeros(n_outputs or 1))
        self.register_buffer("scale", torch.ones(n_outputs or 1))

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "point"} | ({} if self.n_outputs is None else {"n_outputs": self.n_outputs})

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Take shift and scale from the mean and standard deviation of training labels, ``(n,)`` or ``(n, K)``."""
        y = np.asarray(y_train, dtype=np.float64)
        if y.ndim != (1 if self.n_outputs is None else 2):
            raise InputError(f"a head with n_outputs={self.n_outputs} cannot take labels of shape {y.shape}")
        spread = np.atleast_1d(y.std(axis=0))
        if not np.isfinite(spread).all() or (spread == 0).any():
            raise InputError("the training labels are constant or not finite; there is nothing to learn")
        self.shift.copy_(torch.from_numpy(np.atleast_1d(y.mean(axis=0))))
        self.scale.copy_(torch.from_numpy(spread))
        return self

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        self.linear.reset_parameters()

    def outputs(self, features: Tensor) -> Tensor:
        """Predictions, ``(B,)`` or ``(B, K)``, target units."""
        pred = torch.addcmul(self.shift, self.linear(features), self.scale)
        return pred.squeeze(1) if self.n_outputs is None else pred

    def point(self, outputs: Tensor) -> Tensor:
        """Predictions, which are the outputs."""
        return outputs

    def std(self, outputs: Tensor) -> Tensor | None:  # noqa: ARG002  the protocol's signature
        """``None``: a point head has no standard deviation."""
        return None

    def predictive(self, outputs: Tensor) -> AnyPredictive | None:  # noqa: ARG002  the protocol's signature
        """``None``: a point head has no distribution."""
        return None

    def losses(self, loss: HeadLoss, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Sequence[Tensor]:
        """One loss, of the outputs for a loss on outputs, else of the predictions."""
        return [loss(outputs if loss.on_outputs else self.point(outputs), target, weight)]

    def forward(self, features: Tensor) -> Tensor:
        """Predictions in target units."""
        return self.point(self.outputs(features))


class Regressor(nn.Module):
    """An encoder and a head.

    Args:
        encoder: any module from inputs to features ``(B, n_features)``.
        n_features: number of features d.
        n_outputs: K for K-dimensional targets; ``None`` for scalar ones.

    Example:
        >>> model = Regressor(nn.Linear(3, 8), n_features=8).match_scale([10.0, 20.0, 60.0])
        >>> model(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, encoder: nn.Module, n_features: int, n_outputs: int | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.n_features = n_features
        self.head = PointHead(n_features, n_outputs)

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Scale the output to training labels; see :meth:`PointHead.match_scale`."""
        self.head.match_scale(y_train)
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Features ``(B, d)``."""
        features: Tensor = self.encoder(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Predictions in target units."""
        pred: Tensor = self.head(self.encode(x))
        return pred
