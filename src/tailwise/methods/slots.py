"""The protocols of the slots of a training step."""

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


class Resampler(Protocol):
    """``fit_resample(X, y) -> X, y``: resampled training rows, before training."""

    def fit_resample(self, X: Any, y: Any, /) -> tuple[Any, Any]:
        """Resampled rows and labels."""


class Augment(Protocol):
    """Batch augmentation: inputs before the encoder, features after it, each with its labels."""

    def inputs(self, x: Any, y: "Tensor", /) -> tuple[Any, "Tensor"]:
        """Inputs and labels."""

    def features(self, features: "Tensor", y: "Tensor", /) -> tuple["Tensor", "Tensor"]:
        """Features and labels."""


class Weights(Protocol):
    """``w(target) -> (B,)``: the weight of each label in the loss."""

    def __call__(self, target: "Tensor", /) -> "Tensor":
        """Weights of labels."""


@runtime_checkable
class Smoother(Protocol):
    """``s(features, target) -> features`` in the step, ``end_epoch()`` after each epoch."""

    def __call__(self, features: "Tensor", target: "Tensor", /) -> "Tensor":
        """Smoothed features."""

    def end_epoch(self) -> None:
        """Update statistics that change once an epoch."""


class Regularizer(Protocol):
    """``r(features, target, pred, weight=None) -> scalar``."""

    def __call__(
        self, features: "Tensor", target: "Tensor", pred: "Tensor", weight: "Tensor | None" = None, /
    ) -> "Tensor":
        """The term of a batch."""


class Model(Protocol):
    """Network as a method needs it: an encoder of inputs, and a head (:class:`tailwise.heads.head.Head`)."""

    head: Any

    def encode(self, x: Any, /) -> "Tensor":
        """Features ``(B, d)``."""


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
