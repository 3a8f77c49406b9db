"""Likelihood of a mixture density head, with the squared error of its mean."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tailwise._checks import InputError, not_negative, positive, whole
from tailwise._part import Part
from tailwise.labels.censoring import Censoring
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import weighted_mean

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
_ROOT_HALF = math.sqrt(0.5)
_LOWER_PRECISION = (torch.float16, torch.bfloat16)


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

    L = mean_i w_i [-sg(v_i)^β log Σ_c π_c N(y_i; μ_c, s_c²) + c (ŷ_i - y_i)² / Var(y)], v the predicted variance over
    that of the labels, without gradient (sg).

    The squared error keeps the mean accurate for rows far from all others, for which the likelihood alone would widen
    the scales instead of moving the means. The likelihood of each row is weighted by its predicted variance to the
    power ``beta``, without gradient: Seitzer et al., *On the Pitfalls of Heteroscedastic Uncertainty Estimation with
    Probabilistic Neural Networks* (ICLR 2022), propose 0.5 for one Gaussian.

    A label at a limit is censored: the true value lies there or beyond. Its likelihood is the mass beyond the limit
    (Tobin, *Estimation of Relationships for Limited Dependent Variables*, Econometrica 1958), and the squared error
    leaves it out.

    Args:
        spread: standard deviation of the training labels, target units.
        n_components: C, number of Gaussians; 1 is the heteroscedastic Gaussian.
        squared_error: coefficient of the squared error of the mean.
        beta: power of the predicted variance, from 0 to 1.
        censored_below: limit at or below which labels are censored, target units; for one target.
        censored_above: limit at or above which labels are censored, target units; for one target.

    Shape:
        ``outputs`` ``(B, C, 1 + 2 K)`` of a :class:`tailwise.heads.mixture.MixtureHead`, ``target`` ``(B,)`` or
        ``(B, K)``, ``weight`` ``(B,)``; for maps ``outputs`` ``(B, h, w, C, 3)`` of a
        :class:`tailwise.heads.dense.DenseMixtureHead`, ``target`` ``(B, h, w)`` with NaN where there is no label, and
        ``weight`` of the same shape.

    Raises:
        InputError: numbers out of range, shapes that do not belong together, limits with several targets.

    Example:
        >>> loss = MixtureLikelihood(1.0, n_components=1)
        >>> float(loss(torch.tensor([[[0.0, 3.0, 0.0]]]), torch.tensor([5.0])) - _HALF_LOG_TWO_PI)
        6.0
    """

    on_outputs = True

    def __init__(
        self,
        spread: float,
        *,
        n_components: int = 5,
        squared_error: float = 1.0,
        beta: float = 0.0,
        censored_below: float | None = None,
        censored_above: float | None = None,
    ) -> None:
        super().__init__()
        self.spread = positive(spread, "spread")
        self.n_components = whole(n_components, "n_components", least=1, most=100)
        self.squared_error = not_negative(squared_error, "squared_error")
        self.beta = not_negative(beta, "beta")
        if self.beta > 1:
            raise InputError(f"beta must be at most 1, got {beta!r}")
        given = censored_below is not None or censored_above is not None
        self.censoring = Censoring(censored_below, censored_above) if given else None

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
        side = None if self.censoring is None else _sides(y, self.censoring)
        if side is not None and outputs.dtype in _LOWER_PRECISION:  # the mass of a tail needs the digits
            outputs, y, side = outputs.float(), y.float(), side.float()
        rows: Tensor = _RowLoss.apply(outputs, y, side, self.spread, self.squared_error, self.beta)  # type: ignore[no-untyped-call]
        return rows


def _sides(y: Tensor, censoring: Censoring) -> Tensor:
    """Return 1 for labels ``(B, 1)`` censored above, -1 below and 0 for others, ``(B,)``.

    Raises:
        InputError: several targets.
    """
    if y.shape[1] > 1:
        raise InputError(f"censored labels are for one target, and there are {y.shape[1]}; leave the limits out")
    side = torch.zeros_like(y[:, 0])
    for limit, sign in ((censoring.below, -1), (censoring.above, 1)):
        if limit is not None:
            at = torch.full((), limit, dtype=y.dtype, device=y.device)  # the limit as the labels are rounded
            side = torch.where(sign * (y[:, 0] - at) >= 0, sign, side)
    return side


class _RowLoss(torch.autograd.Function):
    """Loss of each row, ``(B,)``, with the gradient in closed form: a tenth of the operations of a recorded one.

    With the responsibilities r_c = w_c N_c / sum w N, z = (y - m) / s and the mean M = sum w_c m_c, the gradients of
    the likelihood are -r_c, -r_c z_c / s_c and r_c (1 - z_c^2) for the log weight, mean and log scale of a component,
    and those of M are w_c m_c, w_c and 0.

    For a row censored on a side u = 1 or -1 the mass S(u z) of a Gaussian beyond the limit takes the place of N, and
    with its hazard h = N / S the gradients are -r_c, -r_c u h_c / s_c and -r_c u h_c z_c; M has no squared error.
    """

    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, y: Tensor, side: Tensor | None, spread: float, squared_error: float, beta: float
    ) -> Tensor:
        k = y.shape[1]
        by_number = outputs.permute(2, 1, 0).contiguous()  # (1 + 2 K, C, B): sums over components are over rows of it
        log_weights, means, log_scales = by_number[0], by_number[1 : 1 + k], by_number[1 + k :]
        labels = y.T.unsqueeze(1)
        inverse = torch.exp(-log_scales)
        z = (labels - means) * inverse
        square = z.square()
        push, widen = z, 1 - square
        log_terms = log_weights - (0.5 * square + log_scales).sum(0)
        constant: float | Tensor = k * _HALF_LOG_TWO_PI
        if side is not None:
            push, widen, log_terms, constant = _censored(side, z, log_terms, log_weights)
        log_sum = log_terms.logsumexp(0)
        likelihood = constant - log_sum
        shares = log_weights.exp()
        mean = (shares * means).sum(1)
        responsible = (log_terms - log_sum).exp_()
        error = y.T - mean
        scaled = (error if side is None else torch.where(side == 0, error, 0)) / spread
        if beta > 0:
            second = (shares * (means.square() + (2 * log_scales).exp())).sum(1)
            factor = ((second - mean.square()).mean(0) / spread**2).clamp_min(0) ** beta
            likelihood, responsible = likelihood * factor, responsible * factor
        pull = shares * (scaled * (-2 * squared_error / (spread * k))).unsqueeze(1)
        gradient = torch.empty_like(by_number)
        torch.sub((pull * means).sum(0), responsible, out=gradient[0])
        torch.sub(pull, responsible * push * inverse, out=gradient[1 : 1 + k])
        torch.mul(responsible, widen, out=gradient[1 + k :])
        ctx.save_for_backward(gradient)
        return likelihood + squared_error * scaled.square().mean(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).permute(2, 1, 0), None, None, None, None, None


def _censored(side: Tensor, z: Tensor, log_terms: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what :class:`_RowLoss` needs of rows of which some are censored.

    Args:
        side: ``(B,)`` 1 for rows censored above, -1 below, 0 for others.
        z: ``(1, C, B)`` standardized labels.
        log_terms: ``(C, B)`` log weight plus log density, without its constant.
        log_weights: ``(C, B)``.

    Returns:
        Minus the derivatives of the log terms by the standardized mean, and by the log scale, ``(1, C, B)``; log terms
        ``(C, B)``; constant of the likelihood ``(B,)``.
    """
    inside, beyond = side == 0, side * z
    hazard = math.sqrt(2 / math.pi) / torch.special.erfcx(beyond * _ROOT_HALF)
    push = torch.where(inside, z, side * hazard)
    measured = inside.to(z.dtype)
    widen = measured - push * z
    log_terms = torch.where(inside, log_terms, log_weights + torch.special.log_ndtr(-beyond).squeeze(0))
    return push, widen, log_terms, _HALF_LOG_TWO_PI * measured


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
    hidden=frozenset({"censored_below", "censored_above"}),  # an experiment's, whose errors know them too
    most={"beta": 1.0, "n_components": 100},
    deviates=True,
)
