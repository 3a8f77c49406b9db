"""Heads that give more than a number: members of an ensemble, Laplace heads, and a variational one."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from torch import Tensor, nn

from tailwise._checks import InputError, did_you_mean, whole
from tailwise.heads.point import Head

_WIDEST_LOG_SCALE = 5.0
_SOFTPLUS = 0.1
_LEAST_EVIDENCE = 2.0
_PRIOR_ALPHA = 0.3
_FLOOR = 1e-6  # of variances, whose root and logarithm are taken


class LaplaceHeads(Head):
    """Linear heads that each give the mean and the scale of a Laplace distribution; the surest of them predicts.

    Jiang et al., *Uncertainty Voting Ensemble for Imbalanced Deep Regression* (GCPR 2024).

    Args:
        n_features: number of features d.
        n_heads: M.

    Shape:
        ``(B, d)`` to predictions ``(B,)``.

    Raises:
        InputError: no heads.

    Note:
        b is the standard deviation of the training labels times exp(s), s clamped to (-5, 5); the authors clamp in the
        label's unit.

    Example:
        >>> heads = LaplaceHeads(8, n_heads=3).match_scale([10.0, 20.0, 60.0])
        >>> outputs = heads.outputs(torch.zeros(5, 8))
        >>> outputs.shape, heads.point(outputs).shape, heads.std(outputs).shape
        (torch.Size([5, 3, 2]), torch.Size([5]), torch.Size([5]))
    """

    def __init__(self, n_features: int, *, n_heads: int = 2) -> None:
        super().__init__(n_features)
        self.n_heads = whole(n_heads, "n_heads", least=1, most=100)
        self.linear = nn.Linear(n_features, 2 * self.n_heads)

    @property
    def shape(self) -> dict[str, Any]:
        """What :func:`head_from` needs beside the number of features."""
        return {"kind": "laplace", "n_heads": self.n_heads}

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, M, 2)``: of each head μ, and log b, both for b and μ in target units."""
        raw, log_scale = self.linear(features).unflatten(1, (self.n_heads, 2)).unbind(2)
        log_scale = log_scale.clamp(-_WIDEST_LOG_SCALE, _WIDEST_LOG_SCALE)
        return torch.stack((torch.addcmul(self.shift, raw, self.scale), log_scale + self.scale.log()), dim=2)

    def point(self, outputs: Tensor) -> Tensor:
        """μ of the head with the smallest b, ``(B,)``."""
        surest = outputs[..., 1].argmin(1, keepdim=True)
        return outputs[..., 0].gather(1, surest).squeeze(1)

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation √2 b of that head, ``(B,)``, target units."""
        return 2**0.5 * outputs[..., 1].amin(1).exp()

    def forward(self, features: Tensor) -> Tensor:
        """Predictions in the target's units."""
        return self.point(self.outputs(features))


class VariationalHead(Head):
    """Gaussian latent features, and an evidential output of a draw from them.

    Wang and Wang, *Variational Imbalanced Regression* (NeurIPS 2023): the output is a mean x̄, a number n of
    pseudo-observations and β, from which a normal-inverse-gamma distribution follows
    (``tailwise.losses.evidential.posterior``). A prediction takes the latent mean.

    Args:
        n_features: number of features.
        n_latent: number d of latent features; as many as features if not given.

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
        """What :func:`head_from` needs beside the number of features."""
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
        """``(B, 4)``: γ, ν, α, β at the latent mean, the evidence counted in full."""
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

    def forward(self, features: Tensor) -> Tensor:
        """Predictions in the target's units."""
        return self.evidence(self.latent(features)[0])[0]


class EnsembleHead(Head):
    """A linear head for each member of an ensemble; the mean of the members predicts.

    In training each member has a loss of its own (:class:`tailwise.methods.objective.Objective` takes their mean):
    the loss of the mean would let members lean on each other (Gorishniy et al., *TabM*, ICLR 2025).

    Args:
        n_features: number of features of all members together, those of one after those of another.
        members: k.

    Shape:
        ``(B, n_features)`` to predictions ``(B,)``.

    Raises:
        InputError: features that cannot be shared out.

    Example:
        >>> head = EnsembleHead(8, members=4).match_scale([10.0, 20.0, 60.0])
        >>> head.members_of(torch.zeros(5, 8)).shape, head(torch.zeros(5, 8)).shape
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
        """What :func:`head_from` needs beside the number of features."""
        return {"kind": "ensemble", "members": self.members}

    def members_of(self, features: Tensor) -> Tensor:
        """Predictions of each member, ``(B, k)``, target units."""
        raw = self.linear(features.view(len(features), self.members, -1)).squeeze(2)
        return torch.addcmul(self.shift, raw, self.scale)

    def forward(self, features: Tensor) -> Tensor:
        """Predictions in the target's units."""
        return self.members_of(features).mean(1)


HEADS: dict[str, type[LaplaceHeads] | type[VariationalHead] | type[EnsembleHead]] = {
    "laplace": LaplaceHeads,
    "variational": VariationalHead,
    "ensemble": EnsembleHead,
}


def head_from(n_features: int, shape: Mapping[str, Any]) -> LaplaceHeads | VariationalHead | EnsembleHead:
    """A new head from the ``shape`` of another.

    Args:
        n_features: number of features.
        shape: the kind of head and its parameters.

    Raises:
        InputError: a kind that is not known.

    Example:
        >>> head_from(8, {"kind": "laplace", "n_heads": 3}).n_heads
        3
    """
    kind = str(shape.get("kind"))
    if kind not in HEADS:
        raise InputError(f"there is no head of kind {kind!r}{did_you_mean(kind, HEADS)}")
    return HEADS[kind](n_features, **{name: value for name, value in shape.items() if name != "kind"})
