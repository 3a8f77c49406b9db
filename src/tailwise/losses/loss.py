"""Base of losses: what a training step asks of a loss beside its value."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Loss(nn.Module):
    """A loss ``l(pred, target, weight=None) -> scalar``, with the defaults of what a training step asks of it.

    Attributes:
        degree: power of the target's unit in the loss: 1 for absolute errors, 2 for squared ones, 0 for likelihoods.
        on_outputs: whether it takes all outputs of the model's head in place of the prediction.
        balances: whether it corrects for the label distribution itself: ``rrt`` then uses it in the second stage only,
            and a re-weighting beside it is warned of.
    """

    degree: int = 0
    on_outputs: bool = False
    balances: bool = False

    @property
    def head(self) -> Mapping[str, Any] | None:
        """Shape of the head it needs (:func:`tailwise.heads.attach.head_from`); ``None`` if any head will do."""
        return None


class AdaptedLoss:
    """A loss of a user's own that does not extend :class:`Loss`; it declares what it needs to, the rest is default.

    Args:
        module: ``l(pred, target, weight=None) -> scalar``.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.degree = int(getattr(module, "degree", Loss.degree))
        self.on_outputs = bool(getattr(module, "on_outputs", Loss.on_outputs))
        self.balances = bool(getattr(module, "balances", Loss.balances))
        self.head: Mapping[str, Any] | None = getattr(module, "head", None)

    def __call__(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The loss of a batch."""
        value: Tensor = self.module(pred, target, weight)
        return value

    def __repr__(self) -> str:
        return repr(self.module)


def as_loss(module: nn.Module) -> Loss | AdaptedLoss:
    """Return a :class:`Loss` as it is, any other module adapted.

    Example:
        >>> as_loss(nn.L1Loss()).degree
        0
    """
    return module if isinstance(module, Loss) else AdaptedLoss(module)
