"""A network without an encoder and a head of its own, for parts that need its predictions alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from tailwise._checks import InputError

if TYPE_CHECKING:
    from tailwise.methods.stages import Stage

_OF_FEATURES = ("smoother", "regularizer", "objective", "stage")
_WAY_OUT = "give the model encode(x) and head(features), such as tailwise.Regressor(encoder, n_features=...)"


class WholeNetwork(nn.Module):
    """A network from inputs to predictions in the place of one with an encoder and a head.

    Its features are the predictions, and its head leaves them as they are.

    Args:
        network: any module from inputs to predictions ``(B,)``, ``(B, 1)`` or ``(B, K)``, target units.
        scalar: whether labels are ``(B,)``; predictions ``(B, 1)`` then come as ``(B,)``.

    Shape:
        Inputs to ``(B,)`` or ``(B, K)``.

    Example:
        >>> import torch
        >>> WholeNetwork(nn.Sequential(nn.Linear(3, 1)), scalar=True)(torch.zeros(2, 3)).shape
        torch.Size([2])
    """

    def __init__(self, network: nn.Module, *, scalar: bool) -> None:
        super().__init__()
        self.network, self.head, self.scalar = network, nn.Identity(), scalar

    def encode(self, x: Any) -> Tensor:
        """Return the predictions."""
        pred: Tensor = self.network(x)
        return pred[:, 0] if self.scalar and pred.ndim == 2 and pred.shape[1] == 1 else pred

    def forward(self, x: Any) -> Tensor:
        """Return the predictions."""
        return self.encode(x)


def check_needs_predictions_alone(stages: "Sequence[Stage]", model: nn.Module) -> None:
    """Raise for a method that needs features of a network without an encoder and a head.

    Raises:
        InputError: a part that smooths, regularizes or mixes features, or trains encoder and head apart.
    """
    for stage in stages:
        named = [filling.name for filling in stage.fillings if filling.part.slot in _OF_FEATURES]
        named += [name for name in ("smoother", "regularizers") if stage.objects.get(name)]
        mixing = [f.name for f in stage.fillings if f.name == "cmixup" and _mixes_features(f.params)]
        for name in (*named, *mixing):
            raise _without_features(name, model)
    if len(stages) > 1:
        raise _without_features("a method of two stages", model)


def check_takes_any_head(loss: str, model: nn.Module) -> None:
    """Raise for a loss that needs a head of its own, of a network without one.

    Raises:
        InputError: a network that is used as a whole.
    """
    if isinstance(model, WholeNetwork):
        raise _without_features(loss, model.network)


def _mixes_features(params: Any) -> bool:
    from tailwise.augment.cmixup import CMIXUP_PART

    return bool(params.get("mix", CMIXUP_PART.parameters()["mix"]) == "features")


def _without_features(name: str, model: nn.Module) -> InputError:
    return InputError(f"{name} needs features, and {type(model).__name__} has no encode and head; {_WAY_OUT}")
