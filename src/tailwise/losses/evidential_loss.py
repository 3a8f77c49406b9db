"""Evidential regression: the loss of a normal-inverse-gamma distribution, and its parameters from pseudo-counts."""

import math

import torch
from torch import Tensor

from tailwise._checks import InputError
from tailwise.losses.reduce import weighted_mean

_PRIOR_ALPHA = 0.3


def evidential_loss(
    outputs: Tensor, target: Tensor, weight: Tensor | None = None, *, coef: Tensor | float = 0.01
) -> Tensor:
    """Negative log-likelihood under a normal-inverse-gamma distribution, plus a penalty on evidence for errors.

    Wang and Wang, *Variational Imbalanced Regression* (NeurIPS 2023): with Ω = 2β(1 + ν),

        ½ log(π/ν) - α log Ω + (α + ½) log(ν(y - γ)² + Ω) + log Γ(α) - log Γ(α + ½) + coef |y - γ| (2ν + α)

    Args:
        outputs: ``(B, 4)``, columns γ (target units), ν and α (no unit), β (squared units); the last three above 0.
        target: ``(B,)``.
        weight: ``(B,)``.
        coef: coefficient of the evidence term, in 1 / target units.

    Raises:
        InputError: shapes that do not belong together.

    Note:
        A change of the target's unit adds a constant to the likelihood but scales the evidence term, in the authors'
        code too. Divide ``coef`` by the standard deviation of the labels for gradients that do not depend on the unit.

    Example:
        >>> outputs = torch.tensor([[30.0, 5.0, 3.0, 4.0]])
        >>> bool(evidential_loss(outputs, torch.tensor([30.0])) < evidential_loss(outputs, torch.tensor([40.0])))
        True
    """
    if target.ndim != 1 or outputs.shape != (len(target), 4):
        raise InputError(
            f"an evidential loss takes outputs (B, 4) with a target (B,), got {tuple(outputs.shape)} with "
            f"{tuple(target.shape)}"
        )
    if outputs.dtype in (torch.float16, torch.bfloat16):  # the difference of log-gammas needs more digits
        outputs = outputs.float()
    gamma, nu, alpha, beta = outputs.unbind(1)
    error = target - gamma
    omega = 2 * beta * (1 + nu)
    nll = (math.log(math.pi) - nu.log()) / 2 - alpha * omega.log()
    nll = nll + (alpha + 0.5) * (nu * error.square() + omega).log() + alpha.lgamma() - (alpha + 0.5).lgamma()
    return weighted_mean(nll + coef * error.abs() * (2 * nu + alpha), weight, target)


def posterior(mean: Tensor, evidence: Tensor, beta: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the parameters γ, ν, α, β of a normal-inverse-gamma distribution, from pseudo-counts.

    γ = x̄, ν = n w, α = 0.3 + n w / 2, and β: n w observations of mean x̄, over a prior with α = 0.3 and no other
    information. In training w is the weight of the label, so re-weighting acts on the evidence and not on the loss; for
    a prediction it is 1. Wang and Wang, *Variational Imbalanced Regression* (NeurIPS 2023).

    Args:
        mean: x̄, ``(B,)``, target units.
        evidence: n, ``(B,)``, number of observations, above 0.
        beta: β, ``(B,)``, squared target units, above 0.
        weight: w, ``(B,)``, above 0; 1 if not given.

    Returns:
        ``(B, 4)`` as :func:`evidential_loss` takes them.

    Raises:
        InputError: shapes other than ``(B,)``.

    Example:
        >>> x, n, beta, w = torch.tensor([[30.0], [4.0], [2.0], [0.5]])
        >>> posterior(x, n, beta, weight=w)
        tensor([[30.0000,  2.0000,  1.3000,  2.0000]])
    """
    given = {"mean": mean, "evidence": evidence, "beta": beta}
    given |= {} if weight is None else {"weight": weight}
    if mean.ndim != 1 or any(values.shape != mean.shape for values in given.values()):
        shapes = ", ".join(f"{name} {tuple(values.shape)}" for name, values in given.items())
        raise InputError(f"a posterior takes one value per row of each parameter, (B,), got {shapes}")
    nu = evidence if weight is None else evidence * weight
    return torch.stack((mean, nu, _PRIOR_ALPHA + nu / 2, beta), dim=1)
