"""What a method builds: a module from a batch to the named terms of the loss."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

Inputs = Tensor | Mapping[str, Tensor]
"""Inputs of a network: a tensor with a row a sample, or such tensors by name."""


class TrainingStep(nn.Module):
    """A module whose ``forward(x, y)`` returns the named terms of the loss, whose sum is to be minimised.

    Attributes:
        model: the network, which is what remains after training.
        global_batch: see :class:`tailwise.methods.objective.Objective`.
    """

    model: Any
    global_batch: bool

    if TYPE_CHECKING:

        def __call__(self, x: Inputs, y: Tensor) -> dict[str, Tensor]:
            """Return the named terms of the loss."""

    def trained_parameters(self) -> list[nn.Parameter]:
        """Parameters for the optimiser: all."""
        return list(self.parameters())

    def end_epoch(self) -> None:
        """Update statistics that change once an epoch, if there are any."""
