"""The variational, evidential head of variational imbalanced regression."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from numpy.typing import NDArray
from scipy.special import expit, gammainc, gammaincinv
from torch import Tensor, nn

from tailwise._checks import whole
from tailwise.distributions.mixtures import Mixture
from tailwise.heads.head import as_array
from tailwise.heads.point import PointHead

_SOFTPLUS = 0.1
_LEAST_EVIDENCE = 2.0
_PRIOR_ALPHA = 0.3
_N_GAUSSIANS = 8
_LOGITS_OF_CUTS = -3.75, 2.0  # of the probabilities at which the distribution of the precision is cut
_FLOOR = 1e-6  # of variances, whose root and logarithm are taken


class VariationalHead(PointHead):
    """Gaussian latent features, and evidential outputs of a draw from them.

    Wang and Wang, *Variational Imbalanced Regression* (NeurIPS 2023): the outputs are a mean x̄, a number n of
    pseudo-observations and β, from which a normal-inverse-gamma distribution follows
    (``tailwise.losses.evidential_loss.posterior``). A prediction takes the latent mean.

    Args:
        n_features: number of features.
        n_latent: number d of latent features; ``n_features`` if not given.

    Shape:
        ``(B, n_features)`` to predictions ``(B,)``.

    Raises:
        InputError: no latent features.

    Note:
        The authors' encoder itself gives the mean and variance of each channel; here a linear layer follows any
        encoder. Latent variances and β (before scaling) have 1e-6 added: softplus alone may underflow to 0.

    Example:
        >>> head = VariationalHead(8, n_latent=4).match_scale([10.0, 20.0, 60.0])
        >>> mean, variance = head.latent(torch.zeros(5, 8))
        >>> [values.shape for values in head.evidence(mean + variance.sqrt() * torch.randn_like(mean))]
        [torch.Size([5]), torch.Size([5]), torch.Size([5])]
    """

    def __init__(self, n_features: int, *, n_latent: int | None = None) -> None:
        super().__init__(n_features)
        self.n_latent = None if n_latent is None else whole(n_latent, "n_latent", least=1)
        d = self.n_latent or n_features
        self.gaussian = nn.Linear(n_features, 2 * d)
        self.linear = nn.Linear(d, 3)

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "variational"} | ({} if self.n_latent is None else {"n_latent": self.n_latent})

    def reset(self) -> None:
        """Draw new weights; shift and scale stay."""
        self.gaussian.reset_parameters()
        super().reset()

    def latent(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the latent features, ``(B, d)`` each."""
        mean, raw = self.gaussian(features).chunk(2, dim=1)
        return mean, F.softplus(raw) + _FLOOR

    def evidence(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x̄ (target units), n > 2 (no unit) and β (squared target units) of latent features, ``(B,)`` each."""
        raw, n, beta = self.linear(z).unbind(1)
        n, beta = (F.softplus(values, beta=_SOFTPLUS) for values in (n, beta))
        return (
            torch.addcmul(self.shift, raw, self.scale),
            n + _LEAST_EVIDENCE,
            (beta + _FLOOR) * self.scale.square(),
        )

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, 4)``: γ, ν, α, β at the latent mean, with label weights of 1."""
        mean, n, beta = self.evidence(self.latent(features)[0])
        return torch.stack((mean, n, _PRIOR_ALPHA + n / 2, beta), dim=1)

    def point(self, outputs: Tensor) -> Tensor:
        """γ, ``(B,)``."""
        return outputs[:, 0]

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation of the predictive distribution, ``(B,)``, target units.

        The root of E[σ²] + Var[μ] = β / (α - 1) + β / (ν (α - 1)), finite since n >= 2 makes α at least 1.3.
        """
        _, nu, alpha, beta = outputs.unbind(1)
        return (beta / (alpha - 1) * (1 + 1 / nu)).sqrt()

    def predictive(self, outputs: Tensor) -> Mixture:
        """The predictive distributions of B rows, as :func:`student_mixture`."""
        return student_mixture(*as_array(outputs).T)


def student_mixture(
    gamma: NDArray[np.float64], nu: NDArray[np.float64], alpha: NDArray[np.float64], beta: NDArray[np.float64]
) -> Mixture:
    """Return predictive distributions of normal-inverse-gamma distributions as mixtures of 8 Gaussians.

    They are Student's t with 2 α degrees of freedom, at γ with the scale √(β (1 + ν) / (ν α)): Gaussians of variance
    σ² (1 + 1/ν) where 1/σ² has a gamma distribution (α, rate β). The gamma distribution is cut at fixed probabilities,
    and each interval has one Gaussian with the mean variance within it: mean and standard deviation are exact, and for
    α of 1.3 or more the distribution function has an error of at most 0.0025.

    Args:
        gamma: γ, ``(n,)``, target units.
        nu: ν, ``(n,)``, above 0.
        alpha: α, ``(n,)``, above 1.
        beta: β, ``(n,)``, squared target units, above 0.

    Example:
        >>> student_mixture(*np.array([[30.0], [5.0], [3.0], [4.0]])).std().round(6).tolist()
        [1.549193]
    """
    levels = np.concatenate([[0.0], expit(np.linspace(*_LOGITS_OF_CUTS, _N_GAUSSIANS - 1)), [1.0]])
    cuts = gammaincinv(alpha[:, None], levels)
    # E[1/g; g in an interval] of g ~ Gamma(α, 1) is the mass of Gamma(α - 1, 1) there, over α - 1.
    weights = np.diff(levels)
    ratio = np.diff(gammainc(alpha[:, None] - 1, cuts), axis=1) / weights
    scales = np.sqrt((beta / (alpha - 1) * (1 + 1 / nu))[:, None] * ratio)
    return Mixture(np.broadcast_to(weights, scales.shape), np.broadcast_to(gamma[:, None], scales.shape), scales)
