"""The protocol of heads, and an adapter for plain modules such as ``nn.Linear``."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.distributions.vector_predictive import AnyPredictive


class HeadLoss(Protocol):
    """A loss as a head calls it; see :class:`tailwise.losses.loss.Loss`."""

    @property
    def on_outputs(self) -> bool:
        """Whether the loss takes all outputs of a head in place of its prediction."""

    def __call__(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, /) -> Tensor:
        """The loss of a batch, a scalar."""


@runtime_checkable
class Head(Protocol):
    """Features to outputs, and outputs to predictions in target units; ``head(features)`` does both.

    The first dimension of features, outputs and predictions is the batch.
    """

    @property
    def shape(self) -> Mapping[str, Any]:
        """JSON description from which :func:`tailwise.heads.attach.head_from` builds an untrained head."""

    def outputs(self, features: Tensor, /) -> Tensor:
        """All outputs for a batch of features."""

    def point(self, outputs: Tensor, /) -> Tensor:
        """Predictions, in the shape of the target; this is the ``pred`` of regularizers."""

    def std(self, outputs: Tensor, /) -> Tensor | None:
        """Standard deviations in target units, in the shape of the target; ``None`` from a head without them."""

    def predictive(self, outputs: Tensor, /) -> AnyPredictive | None:
        """Distributions of the labels of the rows, joint ones of K targets; ``None`` from a head without them.

        Where :meth:`point` and :meth:`std` are given they are the distributions' mean and standard deviation.
        """

    def losses(self, loss: HeadLoss, outputs: Tensor, target: Tensor, weight: Tensor | None, /) -> Sequence[Tensor]:
        """The loss of each member of an ensemble, whose mean is to be minimised; one loss from any other head."""

    def reset(self) -> None:
        """Draw new weights and keep the scale of the target."""

    def match_scale(self, y_train: ArrayLike, /) -> Any:
        """Take shift and scale from training labels; return the head."""

    def __call__(self, features: Tensor, /) -> Tensor:
        """Predictions, ``point(outputs(features))``."""


class AdaptedHead:
    """A module that lacks methods of :class:`Head`, such as ``nn.Linear`` or a head of a user's own.

    Its predictions are its outputs, unless it has ``outputs`` and ``point``. It holds the module and no state.

    Args:
        module: features to predictions.
    """

    shape: Mapping[str, Any] = {}

    def __init__(self, module: nn.Module) -> None:
        self.module: Any = module
        self.plain = not (hasattr(module, "outputs") and hasattr(module, "point"))

    def outputs(self, features: Tensor) -> Tensor:
        """Outputs of the module, else its predictions."""
        outputs: Tensor = self.module(features) if self.plain else self.module.outputs(features)
        return outputs

    def point(self, outputs: Tensor) -> Tensor:
        """Predictions."""
        pred: Tensor = outputs if self.plain else self.module.point(outputs)
        return pred

    def std(self, outputs: Tensor) -> Tensor | None:
        """Standard deviations, if the module has outputs and ``std``."""
        if self.plain or not hasattr(self.module, "std"):
            return None
        std: Tensor = self.module.std(outputs)
        return std

    def predictive(self, outputs: Tensor) -> AnyPredictive | None:
        """Distributions of the labels, if the module has outputs and ``predictive``."""
        if self.plain or not hasattr(self.module, "predictive"):
            return None
        predictive: AnyPredictive | None = self.module.predictive(outputs)
        return predictive

    def losses(self, loss: HeadLoss, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Sequence[Tensor]:
        """One loss.

        Raises:
            InputError: a loss on outputs, which a plain module does not have.
        """
        if loss.on_outputs and self.plain:
            raise InputError(
                f"the loss {loss!r} takes all outputs of a head, but model.head is {type(self.module).__name__}, which "
                "has predictions alone; give it outputs(features) and point(outputs)"
            )
        return [loss(outputs if loss.on_outputs else self.point(outputs), target, weight)]

    def reset(self) -> None:
        """Draw new weights.

        Raises:
            InputError: a module without ``reset``.
        """
        if not hasattr(self.module, "reset"):
            raise InputError("a stage that trains the head needs model.head.reset() to draw new weights")
        self.module.reset()

    def match_scale(self, y_train: ArrayLike) -> "AdaptedHead":
        """Scale the module to training labels, if it has ``match_scale``."""
        if hasattr(self.module, "match_scale"):
            self.module.match_scale(y_train)
        return self

    def __call__(self, features: Tensor) -> Tensor:
        """Predictions."""
        pred: Tensor = self.module(features)
        return pred


def as_array(outputs: Tensor) -> NDArray[np.float64]:
    """Outputs of a head as a NumPy array in float64, on the CPU and without gradient."""
    return np.asarray(outputs.detach().cpu().double().numpy(), dtype=np.float64)


def as_head(module: nn.Module) -> Head:
    """Return a module that follows the protocol as it is, any other one adapted.

    Example:
        >>> as_head(nn.Linear(8, 1)).std(Tensor([0.0])) is None
        True
    """
    return module if isinstance(module, Head) else AdaptedHead(module)
