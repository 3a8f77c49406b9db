"""The head of losses for labels of at least 0: it predicts the logarithm of the mean."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tailwise._checks import InputError
from tailwise.heads.point import PointHead

_FARTHEST = 50.0


class LogLinkHead(PointHead):
    """Linear layer whose output is the logarithm of the prediction.

    Args:
        n_features: number of features d.

    Shape:
        ``(B, d)`` to predictions ``(B,)``, above 0.

    Example:
        >>> import torch
        >>> LogLinkHead(8).match_scale([0.0, 3.0])(torch.zeros(5, 8)).shape
        torch.Size([5])
    """

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "log-link"}

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Start from the logarithm of the mean of training labels, ``(n,)``, of at least 0 and not all 0."""
        y = np.asarray(y_train, dtype=np.float64)
        if y.ndim != 1 or not np.isfinite(y).all() or y.min() < 0 or not y.any():
            raise InputError("a head with a log link needs labels (n,) of at least 0, not all 0; use another loss")
        self.shift.fill_(float(np.log(y.mean())))
        self.scale.fill_(1.0)
        return self

    def point(self, outputs: Tensor) -> Tensor:
        """Predictions ``(B,)``, target units."""
        return outputs.clamp(-_FARTHEST, _FARTHEST).exp()
