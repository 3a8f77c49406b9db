"""Base class of losses, with the properties that a training step needs besides the value."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Loss(nn.Module):
    """Loss ``l(pred, target, weight=None) -> scalar``, with default properties.

    Attributes:
        degree: power of the target's unit in the loss: 1 for absolute errors, 2 for squared errors, 0 for likelihoods.
        on_outputs: whether the loss takes all outputs of the model's head in place of the prediction.
        balances: whether the loss corrects for the label distribution: ``rrt`` then uses it in the second stage only,
            and additional re-weighting causes a warning.
        by_output: whether the loss is a mean over the outputs of K targets and takes a weight of each, ``(B, K)``.
    """

    degree: int = 0
    on_outputs: bool = False
    balances: bool = False
    by_output: bool = False

    def __init__(self) -> None:
        super().__init__()

    @property
    def head(self) -> Mapping[str, Any] | None:
        """Shape of the head that the loss needs, for :func:`tailwise.heads.attach.head_from`; ``None`` for any head."""
        return None


class AdaptedLoss:
    """User-defined loss that does not extend :class:`Loss`; properties that it does not define have the defaults.

    Args:
        module: ``l(pred, target, weight=None) -> scalar``.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.degree = int(getattr(module, "degree", Loss.degree))
        self.on_outputs = bool(getattr(module, "on_outputs", Loss.on_outputs))
        self.balances = bool(getattr(module, "balances", Loss.balances))
        self.by_output = bool(getattr(module, "by_output", Loss.by_output))
        self.head: Mapping[str, Any] | None = getattr(module, "head", None)

    def __call__(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        value: Tensor = self.module(pred, target, weight)
        return value

    def __repr__(self) -> str:
        return repr(self.module)


def as_loss(module: nn.Module) -> Loss | AdaptedLoss:
    """Return a :class:`Loss` unchanged, and wrap any other module in :class:`AdaptedLoss`.

    Example:
        >>> as_loss(nn.L1Loss()).degree
        0
    """
    return module if isinstance(module, Loss) else AdaptedLoss(module)
