"""Likelihood of a mixture density head, with the squared error of its mean."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tailwise._checks import InputError, not_negative, positive, whole
from tailwise._part import Part
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import weighted_mean

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def mixture_nll(outputs: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of labels under mixtures of diagonal Gaussians: - log sum_c w_c N(y; m_c, s_c^2).

    Args:
        outputs: ``(B, C, 1 + 2 K)``: log weight, K means and K log standard deviations of each component, target units.
        target: ``(B,)`` or ``(B, K)``.

    Returns:
        ``(B,)``.

    Raises:
        InputError: shapes that do not belong together.

    Example:
        >>> outputs = torch.tensor([[[0.0, 30.0, 0.0]]])
        >>> (mixture_nll(outputs, torch.tensor([32.0])) - _HALF_LOG_TWO_PI).tolist()
        [2.0]
    """
    y = labels_beside(outputs, target)
    k = y.shape[1]
    log_weights, means, log_scales = torch.split(outputs, [1, k, k], dim=2)
    z = (y.unsqueeze(1) - means) * torch.exp(-log_scales)
    log_density = -(0.5 * z.square() + log_scales + _HALF_LOG_TWO_PI).sum(2)
    return -torch.logsumexp(log_weights.squeeze(2) + log_density, dim=1)


def labels_beside(outputs: Tensor, target: Tensor) -> Tensor:
    """Labels ``(B, K)`` for the outputs ``(B, C, 1 + 2 K)`` of a mixture head.

    Raises:
        InputError: shapes that do not belong together.
    """
    y = target.unsqueeze(1) if target.ndim == 1 else target
    if outputs.ndim != 3 or y.ndim != 2 or outputs.shape[::2] != (len(y), 1 + 2 * y.shape[1]):
        raise InputError(
            f"a mixture head gives outputs (B, C, 1 + 2 K) for targets (B,) or (B, K), got {tuple(outputs.shape)} with "
            f"{tuple(target.shape)}"
        )
    return y


class MixtureLikelihood(Loss):
    """:func:`mixture_nll` plus the squared error of the mixture's mean, over the variance of the training labels.

    The squared error keeps the mean accurate for rows far from all others, for which the likelihood alone would widen
    the scales instead of moving the means. The likelihood of each row is weighted by its predicted variance to the
    power ``beta``, without gradient: Seitzer et al., *On the Pitfalls of Heteroscedastic Uncertainty Estimation with
    Probabilistic Neural Networks* (ICLR 2022), propose 0.5 for one Gaussian.

    Args:
        spread: standard deviation of the training labels, target units.
        n_components: C, number of Gaussians; 1 is the heteroscedastic Gaussian.
        squared_error: coefficient of the squared error of the mean.
        beta: power of the predicted variance, from 0 to 1.

    Shape:
        ``outputs`` ``(B, C, 1 + 2 K)`` of a :class:`tailwise.heads.mixture.MixtureHead`, ``target`` ``(B,)`` or
        ``(B, K)``, ``weight`` ``(B,)``; for maps ``outputs`` ``(B, h, w, C, 3)`` of a
        :class:`tailwise.heads.dense.DenseMixtureHead`, ``target`` ``(B, h, w)`` with NaN where there is no label, and
        ``weight`` of the same shape.

    Raises:
        InputError: numbers out of range, shapes that do not belong together.

    Example:
        >>> loss = MixtureLikelihood(1.0, n_components=1)
        >>> float(loss(torch.tensor([[[0.0, 3.0, 0.0]]]), torch.tensor([5.0])) - _HALF_LOG_TWO_PI)
        6.0
    """

    on_outputs = True

    def __init__(self, spread: float, *, n_components: int = 5, squared_error: float = 1.0, beta: float = 0.0) -> None:
        super().__init__()
        self.spread = positive(spread, "spread")
        self.n_components = whole(n_components, "n_components", least=1, most=100)
        self.squared_error = not_negative(squared_error, "squared_error")
        self.beta = not_negative(beta, "beta")
        if self.beta > 1:
            raise InputError(f"beta must be at most 1, got {beta!r}")

    @property
    def head(self) -> Mapping[str, Any]:
        """Shape of the matching head, for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "mixture", "n_components": self.n_components}

    def forward(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        if target.ndim > 2:
            if outputs.shape[:3] != target.shape:
                raise InputError(
                    f"outputs of maps must be (B, h, w, C, 3) for a target (B, h, w), got {tuple(outputs.shape)} with "
                    f"{tuple(target.shape)}"
                )
            pixels = self._rows(outputs.flatten(0, 2), torch.nan_to_num(target).flatten())
            return weighted_mean(pixels.view(target.shape), weight, target)
        rows = self._rows(outputs, target)
        return (rows if weight is None else weight * rows).mean()

    def _rows(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Loss of each row, ``(B,)``."""
        y = labels_beside(outputs, target)
        rows: Tensor = _RowLoss.apply(outputs, y, self.spread, self.squared_error, self.beta)  # type: ignore[no-untyped-call]
        return rows


class _RowLoss(torch.autograd.Function):
    """Loss of each row, ``(B,)``, with the gradient in closed form: a tenth of the operations of a recorded one.

    With the responsibilities r_c = w_c N_c / sum w N, z = (y - m) / s and the mean M = sum w_c m_c, the gradients of
    the likelihood are -r_c, -r_c z_c / s_c and r_c (1 - z_c^2) for the log weight, mean and log scale of a component,
    and those of M are w_c m_c, w_c and 0.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, y: Tensor, spread: float, squared_error: float, beta: float) -> Tensor:
        k = y.shape[1]
        by_number = outputs.permute(2, 1, 0).contiguous()  # (1 + 2 K, C, B): sums over components are over rows of it
        log_weights, means, log_scales = by_number[0], by_number[1 : 1 + k], by_number[1 + k :]
        labels = y.T.unsqueeze(1)
        inverse = torch.exp(-log_scales)
        z = (labels - means) * inverse
        half_square = 0.5 * z.square()
        log_terms = log_weights - (half_square + log_scales).sum(0)
        log_sum = log_terms.logsumexp(0)
        likelihood = k * _HALF_LOG_TWO_PI - log_sum
        shares = log_weights.exp()
        mean = (shares * means).sum(1)
        scaled = (y.T - mean) / spread
        responsible = (log_terms - log_sum).exp_()
        if beta > 0:
            second = (shares * (means.square() + (2 * log_scales).exp())).sum(1)
            factor = ((second - mean.square()).mean(0) / spread**2).clamp_min(0) ** beta
            likelihood, responsible = likelihood * factor, responsible * factor
        pull = shares * (scaled * (-2 * squared_error / (spread * k))).unsqueeze(1)
        gradient = torch.empty_like(by_number)
        torch.sub((pull * means).sum(0), responsible, out=gradient[0])
        torch.sub(pull, responsible * z * inverse, out=gradient[1 : 1 + k])
        torch.mul(responsible, 1 - 2 * half_square, out=gradient[1 + k :])
        ctx.save_for_backward(gradient)
        return likelihood + squared_error * scaled.square().mean(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).permute(2, 1, 0), None, None, None, None


MIXTURE_PART = Part(
    name="mixture",
    slot="loss",
    make=MixtureLikelihood,
    summary="mixture density head: likelihood of C Gaussians, and the squared error of their mean",
    source="Bishop, Mixture Density Networks",
    year=1994,
    remark="the squared error of the mean is tailwise's addition",
    cost="O(B C)",
    use="""\
objective = compose("mixture", mixture={"n_components": 3}).build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has a new head
loss = sum(objective(x, y).values())""",
    targets=("scalar", "k", "dense"),
    needs=("spread",),
    most={"beta": 1.0, "n_components": 100},
    deviates=True,
)
