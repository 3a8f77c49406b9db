"""Likelihood of a hurdle head: of being 0, and of the value of labels above 0."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tailwise._checks import InputError, not_negative, positive, whole
from tailwise._part import Part
from tailwise.heads.hurdle import hurdle_moments, hurdle_parts, log_beyond
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import weighted_mean

_HALF_LOG_TWO_PI = 0.9189385332046727


def hurdle_nll(outputs: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood: -log p0 of a label of 0, else -log(1 - p0) - log(sum w N(y) / sum w N(y > 0)).

    Args:
        outputs: ``(B, 1 + C, 3)`` of a :class:`tailwise.heads.hurdle.HurdleHead`.
        target: ``(B,)``, of at least 0.

    Returns:
        ``(B,)``.

    Raises:
        InputError: shapes that do not belong together.

    Example:
        >>> outputs = torch.tensor([[[-0.5, -0.9, 0.0], [0.0, 30.0, 0.0]]])
        >>> hurdle_nll(outputs, torch.tensor([0.0])).tolist()
        [0.5]
    """
    if outputs.ndim != 3 or target.shape != outputs.shape[:1] or outputs.shape[2] != 3:
        raise InputError(
            f"a hurdle head gives outputs (B, 1 + C, 3) for targets (B,), got {tuple(outputs.shape)} with "
            f"{tuple(target.shape)}"
        )
    chances, log_weights, means, log_scales = hurdle_parts(outputs)
    z = (target.unsqueeze(1) - means) * torch.exp(-log_scales)
    log_density = torch.logsumexp(log_weights - 0.5 * z.square() - log_scales - _HALF_LOG_TWO_PI, dim=1)
    above = chances[:, 1] + log_density - log_beyond(log_weights, means, log_scales)
    return -torch.where(target == 0, chances[:, 0], above)


class HurdleLikelihood(Loss):
    """Likelihood of a hurdle: :func:`hurdle_nll` plus the squared error of the mean, over the variance of the labels.

    L = mean_i w_i [-log π_i where y_i = 0, else -log(1 - π_i) - log p_i(y_i)] + c (ŷ_i - y_i)² / Var(y), π the chance
    of 0 and p the density above it; Cragg (1971).

    Args:
        spread: standard deviation of the training labels, target units.
        n_components: C, number of Gaussians.
        squared_error: coefficient of the squared error of the mean.

    Shape:
        ``outputs`` ``(B, 1 + C, 3)``, ``target`` and ``weight`` ``(B,)``.

    Raises:
        InputError: numbers out of range, shapes that do not belong together.

    Example:
        >>> HurdleLikelihood(1.0, n_components=2).head
        {'kind': 'hurdle', 'n_components': 2}
    """

    on_outputs = True

    def __init__(self, spread: float, *, n_components: int = 3, squared_error: float = 1.0) -> None:
        super().__init__()
        self.spread = positive(spread, "spread")
        self.n_components = whole(n_components, "n_components", least=1, most=100)
        self.squared_error = not_negative(squared_error, "squared_error")

    @property
    def head(self) -> Mapping[str, Any]:
        """Shape of the matching head, for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "hurdle", "n_components": self.n_components}

    def forward(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        rows = hurdle_nll(outputs, target)
        error = (hurdle_moments(outputs)[0] - target) / self.spread
        return weighted_mean(rows + self.squared_error * error.square(), weight, target)


HURDLE_PART = Part(
    name="hurdle",
    slot="loss",
    make=HurdleLikelihood,
    summary="hurdle head for targets with many zeros: the chance of 0, and C Gaussians cut off at 0 for the rest",
    source="Cragg, Some Statistical Models for Limited Dependent Variables",
    year=1971,
    remark="a mixture in place of one Gaussian, and the squared error of the mean, are tailwise's additions",
    cost="O(B C)",
    use="""\
objective = compose("hurdle", hurdle={"n_components": 3}).build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has a new head
loss = sum(objective(x, y).values())""",
    targets=("scalar",),
    needs=("spread",),
    most={"n_components": 100},
    deviates=True,
    least_label=0.0,
)
