"""The slots of a training step and what fills each: the contracts every piece keeps."""

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

Slot = Literal[
    "augment",
    "weights",
    "density",
    "smoother",
    "loss",
    "regularizer",
    "objective",
    "optimizer",
    "stage",
    "resample",
    "correction",
]


class Resampler(Protocol):
    """``fit_resample(X, y) -> X, y``: other training rows, before training."""

    def fit_resample(self, X: Any, y: Any, /) -> tuple[Any, Any]:
        """Resampled rows and labels."""


class Augment(Protocol):
    """What becomes of a batch in training: inputs before the encoder, features after it, each with its labels."""

    def inputs(self, x: Any, y: "Tensor", /) -> tuple[Any, "Tensor"]:
        """Inputs and labels."""

    def features(self, features: "Tensor", y: "Tensor", /) -> tuple["Tensor", "Tensor"]:
        """Features and labels."""


class Weights(Protocol):
    """``w(target) -> (B,)``: how much each label counts."""

    def __call__(self, target: "Tensor", /) -> "Tensor":
        """Weights of labels."""


@runtime_checkable
class Smoother(Protocol):
    """``s(features, target) -> features`` in the step, ``end_epoch()`` after each epoch."""

    def __call__(self, features: "Tensor", target: "Tensor", /) -> "Tensor":
        """Smoothed features."""

    def end_epoch(self) -> None:
        """Update what is learnt once an epoch."""


class Loss(Protocol):
    """``l(pred, target, weight=None) -> scalar``; one with ``on_outputs`` takes ``model.head.outputs`` for ``pred``.

    One that itself corrects for the label distribution has ``balances`` True: RRT uses it in the second stage only, and
    a re-weighting beside it is warned of.
    """

    def __call__(self, pred: "Tensor", target: "Tensor", weight: "Tensor | None" = None, /) -> "Tensor":
        """The loss of a batch."""


class Regularizer(Protocol):
    """``r(features, target, pred, weight=None) -> scalar``."""

    def __call__(
        self, features: "Tensor", target: "Tensor", pred: "Tensor", weight: "Tensor | None" = None, /
    ) -> "Tensor":
        """The term of a batch."""


class Model(Protocol):
    """What a method needs of a network: features, then predictions."""

    head: Any

    def encode(self, x: Any, /) -> "Tensor":
        """Features ``(B, d)``."""
