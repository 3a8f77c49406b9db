"""A head of its own for each member of an ensemble that shares an encoder (TabM)."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.distributions.pooling import mixture_of
from tailwise.distributions.predictive import Predictive
from tailwise.heads.head import HeadLoss
from tailwise.heads.point import PointHead


class MemberHeads(PointHead):
    """Heads of one shape, one a member of an ensemble; the distribution is the mixture of those of the members.

    Like :class:`tailwise.heads.ensemble.EnsembleHead` for heads with more outputs than a prediction, such as mixture
    heads: the prediction is the mean over members, and in training the loss is the mean of the members' losses.

    Args:
        heads: untrained heads of one shape, each for the features of one member.

    Shape:
        ``(B, k d)``, features of the members one after the other, to predictions ``(B,)``.

    Raises:
        InputError: no heads.

    Example:
        >>> from tailwise.heads.mixture import MixtureHead
        >>> head = MemberHeads([MixtureHead(2, n_components=3) for _ in range(4)]).match_scale([10.0, 20.0, 60.0])
        >>> outputs = head.outputs(torch.zeros(5, 8))
        >>> outputs.shape, head.point(outputs).shape, head.predictive(outputs).means.shape
        (torch.Size([5, 4, 3, 3]), torch.Size([5]), (5, 12))
    """

    def __init__(self, heads: Sequence[PointHead]) -> None:
        if not heads:
            raise InputError("heads is empty; an ensemble needs at least one member")
        super().__init__(sum(head.n_features for head in heads))
        del self.linear
        self.heads = nn.ModuleList(heads)

    @property
    def members(self) -> "list[PointHead]":
        """The heads of the members."""
        heads: Any = self.heads
        return list(heads)

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "members", "members": len(self.heads), "head": self.members[0].shape}

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Take shift and scale of every head from training labels ``(n,)``."""
        super().match_scale(y_train)
        for head in self.members:
            head.match_scale(y_train)
        return self

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        for head in self.members:
            head.reset()

    def outputs(self, features: Tensor) -> Tensor:
        """Outputs of each member, ``(B, k, ...)``."""
        parts = features.chunk(len(self.heads), dim=1)
        return torch.stack([head.outputs(part) for head, part in zip(self.members, parts, strict=True)], dim=1)

    def point(self, outputs: Tensor) -> Tensor:
        """Mean over members, ``(B,)``."""
        return self._points(outputs).mean(1)

    def std(self, outputs: Tensor) -> Tensor | None:
        """Standard deviation of the mixture of the members' distributions, ``(B,)``, target units."""
        stds = [head.std(part) for head, part in self._each(outputs)]
        known = [std for std in stds if std is not None]
        if len(known) < len(stds):
            return None
        points = self._points(outputs)
        return (torch.stack(known, dim=1).square() + (points - points.mean(1, keepdim=True)).square()).mean(1).sqrt()

    def predictive(self, outputs: Tensor) -> Predictive | None:
        """The mixtures of the members' distributions, of B rows; ``None`` if the members have none."""
        distributions = [head.predictive(part) for head, part in self._each(outputs)]
        known = [distribution for distribution in distributions if isinstance(distribution, Predictive)]
        return mixture_of(known) if len(known) == len(distributions) else None

    def losses(self, loss: HeadLoss, outputs: Tensor, target: Tensor, weight: Tensor | None) -> Sequence[Tensor]:
        """The loss of each member."""
        return [one for head, part in self._each(outputs) for one in head.losses(loss, part, target, weight)]

    def _each(self, outputs: Tensor) -> list[tuple[PointHead, Tensor]]:
        return list(zip(self.members, outputs.unbind(1), strict=True))

    def _points(self, outputs: Tensor) -> Tensor:
        return torch.stack([head.point(part) for head, part in self._each(outputs)], dim=1)
