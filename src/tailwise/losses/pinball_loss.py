"""Pinball loss of a quantile head."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tailwise._checks import InputError, quantile_levels
from tailwise._part import Part
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import weighted_mean


def pinball_loss(quantiles: Tensor, target: Tensor, levels: Tensor) -> Tensor:
    """Pinball loss of quantiles, mean over the levels q: max(q (y - ŷ_q), (q - 1) (y - ŷ_q)).

    Koenker and Bassett, *Regression Quantiles* (Econometrica 1978). With many levels it is half the continuous ranked
    probability score.

    Args:
        quantiles: ``(B, Q)``, target units.
        target: ``(B,)``.
        levels: ``(Q,)``.

    Returns:
        ``(B,)``, target units.

    Raises:
        InputError: shapes that do not belong together.

    Example:
        >>> pinball_loss(torch.tensor([[20.0, 30.0]]), torch.tensor([25.0]), torch.tensor([0.25, 0.75])).tolist()
        [1.25]
    """
    if target.ndim != 1 or quantiles.shape != (len(target), len(levels)):
        raise InputError(
            f"quantiles of {len(levels)} levels have shape (B, {len(levels)}) for a scalar target (B,), got "
            f"{tuple(quantiles.shape)} with {tuple(target.shape)}"
        )
    error = target.unsqueeze(1) - quantiles
    return torch.maximum(levels * error, (levels - 1) * error).mean(1)


class Pinball(Loss):
    """Quantile loss of several levels: :func:`pinball_loss` as a module.

    L = 1/Q Σ_q max(q (y - ŷ_q), (q - 1) (y - ŷ_q)), target units; Koenker and Bassett (1978).

    Args:
        levels: Q levels between 0 and 1, increasing; 0.05, 0.1, ..., 0.95 if not given.

    Shape:
        ``outputs`` ``(B, Q)`` of a :class:`tailwise.heads.quantile.QuantileHead`, ``target`` and ``weight`` ``(B,)``.

    Raises:
        InputError: levels that do not increase, or outside (0, 1); shapes that do not belong together.

    Example:
        >>> from tailwise.heads.attach import head_from
        >>> loss = Pinball(levels=[0.1, 0.5, 0.9])
        >>> head = head_from(8, loss.head).match_scale([10.0, 20.0, 60.0])
        >>> loss(head.outputs(torch.zeros(5, 8)), torch.full((5,), 30.0)).shape
        torch.Size([])
    """

    degree = 1
    on_outputs = True
    level: Tensor

    def __init__(self, *, levels: Sequence[float] | None = None) -> None:
        super().__init__()
        self.levels = quantile_levels((np.arange(1, 20) / 20).tolist() if levels is None else levels)
        self.register_buffer("level", torch.tensor(self.levels), persistent=False)

    @property
    def head(self) -> dict[str, Any]:
        """Shape of the matching head, for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "quantile", "levels": list(self.levels)}

    def forward(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        return weighted_mean(pinball_loss(outputs, target, self.level.to(outputs.dtype)), weight, target)

    def extra_repr(self) -> str:
        """Return the levels as text."""
        return f"levels={self.levels}"


PINBALL_PART = Part(
    name="pinball",
    slot="loss",
    make=Pinball,
    summary="quantile head: pinball loss of several quantiles, which do not cross",
    source="Koenker and Bassett, Regression Quantiles",
    year=1978,
    cost="O(B M)",
    use="""\
objective = compose("pinball", pinball={"levels": [0.1, 0.5, 0.9]}).build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has a new head
loss = sum(objective(x, y).values())""",
    targets=("scalar",),
    of_none={"levels": "0.05, 0.1, ..., 0.95"},
    deviates=True,
)
