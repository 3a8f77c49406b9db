"""The protocols of the slots of a training step."""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@runtime_checkable
class OwnFactor(Protocol):
    """A module whose learning rate is that of the others times a factor, such as a pretrained encoder."""

    lr_factor: float

    def parameters(self) -> "Iterator[nn.Parameter]":
        """Return its parameters."""


@runtime_checkable
class PartlyTrained(Protocol):
    """An objective that trains some of its parameters."""

    def trained_parameters(self) -> "list[nn.Parameter]":
        """Return the parameters for the optimiser."""


@runtime_checkable
class Gathering(Protocol):
    """A module that gathers running statistics of the batches it sees, while ``gathers``."""

    gathers: bool


class Resamples(Protocol):
    """A resampler of training rows, of :mod:`tailwise.sampling` or one's own."""

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return resampled rows and their targets, of the kind given."""
