"""C-Mixup: mix each sample with another sample of similar label."""

from typing import Literal

import torch
from torch import Tensor, nn

from tailwise._checks import InputError, one_of, positive
from tailwise._part import FromLabels, Part, Setting
from tailwise.distributed import own_rows, rows_in_reach
from tailwise.labels.tensors import step_labels

Mix = Literal["inputs", "features"]
MIXES = ("inputs", "features")

_ROWS_AT_ONCE = 256
_LEAST_ALPHA = 0.01  # below it, λ drawn in float32 is 1/2 where it should be 0 or 1


def cmixup_rates(labels: Tensor, others: Tensor | None = None, *, bandwidth: float) -> Tensor:
    """Return the probabilities of the partners of each label.

    Yao et al., *C-Mixup: Improving Generalization in Regression* (NeurIPS 2022): P(j | i) ∝ exp(-‖y_i - y_j‖² / 2σ²);
    a sample may be its own partner.

    Args:
        labels: ``(N,)`` or ``(N, K)``, target units.
        others: ``(M,)`` or ``(M, K)``; the labels themselves if not given.
        bandwidth: σ, target units.

    Returns:
        ``(N, M)``, rows that sum to 1.

    Example:
        >>> cmixup_rates(torch.tensor([0.0, 0.0, 100.0]), bandwidth=1.0)[0].tolist()
        [0.5, 0.5, 0.0]
    """
    others = labels if others is None else others
    gap = labels.unsqueeze(1) - others.unsqueeze(0)
    square = gap.square() if gap.ndim == 2 else gap.square().sum(-1)
    return torch.softmax(-square / (2 * bandwidth**2), dim=1)


def cmixup_partners(labels: Tensor, *, bandwidth: float) -> Tensor:
    """Draw the ``(N,)`` index of a partner for each label with the probabilities of :func:`cmixup_rates`.

    A few hundred rows are drawn at a time, so memory is linear in N.
    """
    drawn = [
        torch.multinomial(cmixup_rates(rows, labels, bandwidth=bandwidth), 1).squeeze(1)
        for rows in torch.split(labels.float(), _ROWS_AT_ONCE)
    ]
    return torch.cat(drawn)


class CMixup(nn.Module):
    """C-Mixup within the batch: λ s_i + (1 - λ) s_j of inputs or features and of labels, λ ~ Beta(α, α).

    Yao et al. (NeurIPS 2022); partners j are drawn with the probabilities of :func:`cmixup_rates`, and λ separately for
    every row. Acts only in training mode.

    x̃ = λ x_i + (1 - λ) x_j, ỹ = λ y_i + (1 - λ) y_j, P(j | i) ∝ exp(-‖y_i - y_j‖² / 2σ²).

    Args:
        bandwidth: σ, target units, above 0. The paper tunes it for each data set.
        alpha: α, at least 0.01 (the authors: 2, in one case 1.5).
        mix: ``"inputs"``, which must be floating-point tensors, or ``"features"``.

    Shape:
        ``inputs(x, y)`` and ``features(features, y)``: ``(B, ...)`` and ``(B,)`` or ``(B, K)``, and give the same.

    Raises:
        InputError: inputs that cannot be mixed, dense targets, parameters out of range, a number of labels other than
            that of rows, on the CPU also labels that are not finite.

    Example:
        >>> x, y = CMixup(bandwidth=2.0).inputs(torch.randn(8, 3), torch.arange(8.0))
        >>> x.shape, y.shape
        (torch.Size([8, 3]), torch.Size([8]))
    """

    def __init__(self, *, bandwidth: float = 1.0, alpha: float = 2.0, mix: Mix = "inputs") -> None:
        super().__init__()
        self.bandwidth = positive(bandwidth, "bandwidth")
        self.alpha = positive(alpha, "alpha", least=_LEAST_ALPHA)
        one_of(mix, "mix", MIXES)
        self.mix: Mix = mix

    def inputs(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mixed inputs and labels with ``mix="inputs"``, unchanged ones otherwise."""
        if self.mix != "inputs" or not self.training:
            return x, y
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            raise InputError("cmixup can only mix inputs that are one floating-point tensor; set cmixup.mix=features")
        return self._mixed(x, y)

    def features(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return mixed features and labels with ``mix="features"``, unchanged ones otherwise."""
        return self._mixed(features, y) if self.mix == "features" and self.training else (features, y)

    def _mixed(self, values: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mix values and labels with those of partners."""
        if y.ndim > 2:
            raise InputError(f"cmixup takes targets (B,) or (B, K), got {tuple(y.shape)}")
        if len(values) != len(y):
            raise InputError(f"cmixup mixes {len(values)} rows with {len(y)} labels; there must be one label a row")
        y = step_labels(y)
        beta = torch.distributions.Beta(self.alpha, self.alpha)
        fraction = own_rows(lambda n: beta.sample((n,)), len(y)).to(y.device)
        if values.requires_grad:  # features of other processes would get no gradient
            partner, others, labels = cmixup_partners(y, bandwidth=self.bandwidth), values, y
        else:
            others, labels = rows_in_reach(values), rows_in_reach(y)
            partner = own_rows(lambda _: cmixup_partners(labels, bandwidth=self.bandwidth), len(y))
        return _between(values, others[partner], fraction), _between(y, labels[partner], fraction)


def _between(values: Tensor, others: Tensor, fraction: Tensor) -> Tensor:
    """Return λ values + (1 - λ) others, with one λ per row."""
    factor = fraction.to(values.dtype).view(-1, *[1] * (values.ndim - 1))
    return factor * values + (1 - factor) * others


def _quarter_spread(setting: Setting) -> float:
    return setting.spread / 4


CMIXUP_PART = Part(
    name="cmixup",
    slot="augment",
    make=CMixup,
    summary="C-Mixup: mix each sample with one of the batch whose label is near",
    source="Yao et al., C-Mixup, NeurIPS",
    year=2022,
    cost="O(B^2) time, O(B) memory",
    use="""\
from tailwise.augment.cmixup import CMixup
x2, y2 = CMixup(bandwidth=2.0).inputs(x, y)
loss = (model(x2) - y2).abs().mean()""",
    from_labels={"bandwidth": FromLabels("a quarter of a standard deviation", _quarter_spread)},
    units={"bandwidth": "target"},
    targets=("scalar", "k"),
)
