"""The protocols of the slots of a training step."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


@runtime_checkable
class Smoother(Protocol):
    """``s(features, target) -> features`` in the step, ``end_epoch()`` after each epoch."""

    def __call__(self, features: "Tensor", target: "Tensor", /) -> "Tensor":
        """Smoothed features."""

    def end_epoch(self) -> None:
        """Update statistics that change once an epoch."""


@runtime_checkable
class EndsEpochs(Protocol):
    """A piece of any slot with statistics that change once an epoch."""

    def end_epoch(self) -> None:
        """Update the statistics."""


@runtime_checkable
class OwnRates(Protocol):
    """A module that declares learning rates for some of its parameters, outside the schedule."""

    def learning_rates(self) -> dict[str, float]:
        """Learning rate of parameters by name."""

    def get_parameter(self, target: str) -> "nn.Parameter":
        """A parameter by name, as any ``nn.Module`` has it."""
