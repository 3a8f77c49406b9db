"""The head of an ensemble that shares an encoder (TabM)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tailwise._checks import InputError, whole
from tailwise.heads.head import HeadLoss
from tailwise.heads.point import PointHead


class EnsembleHead(PointHead):
    """A linear head for each member of an ensemble; the prediction is the mean over members.

    In training the loss is the mean of the members' losses: a loss of the mean would let members compensate for each
    other's errors (Gorishniy et al., *TabM*, ICLR 2025).

    Args:
        n_features: number of features of all members together, member after member.
        members: k.

    Shape:
        ``(B, n_features)`` to predictions ``(B,)``.

    Raises:
        InputError: a number of features that is no multiple of the number of members.

    Example:
        >>> head = EnsembleHead(8, members=4).match_scale([10.0, 20.0, 60.0])
        >>> head.outputs(torch.zeros(5, 8)).shape, head(torch.zeros(5, 8)).shape
        (torch.Size([5, 4]), torch.Size([5]))
    """

    def __init__(self, n_features: int, *, members: int) -> None:
        super().__init__(n_features)
        import tabm

        self.members = whole(members, "members", least=1)
        if n_features % self.members:
            raise InputError(f"{n_features} features cannot be shared out to {members} members; use a multiple")
        self.linear = tabm.LinearEnsemble(n_features // self.members, 1, k=self.members)

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "ensemble", "members": self.members}

    def outputs(self, features: Tensor) -> Tensor:
        """Predictions of each member, ``(B, k)``, target units."""
        raw = self.linear(features.view(features.shape[0], self.members, -1)).squeeze(2)
        return torch.addcmul(self.shift, raw, self.scale)

    def point(self, outputs: Tensor) -> Tensor:
        """Mean over members, ``(B,)``."""
        return outputs.mean(1)

    def losses(self, loss: HeadLoss, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Sequence[Tensor]:
        """The loss of each member, or of all outputs together for a loss on outputs."""
        predictions = (outputs,) if loss.on_outputs else outputs.unbind(1)
        return [loss(pred, target, weight) for pred in predictions]
