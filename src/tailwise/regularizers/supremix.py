"""SupReMix: supervised contrast with mixtures of features as hard negatives and hard positives."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tailwise._checks import InputError, positive
from tailwise._part import FromLabels, Part, Setting
from tailwise.regularizers.pairs import flatten_views, label_gaps, unit

_OUT = -1e30  # logit of a pair that does not count
_FEWEST_AT_ONCE = 4096


def supremix_loss(
    features: Tensor,
    target: Tensor,
    pred: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    temperature: float = 0.5,
    window: float = 5.0,
    bin_width: float = 1.0,
    mix: Tensor,
) -> Tensor:
    """Supervised contrastive loss of each sample with all others and with mixtures of them, weighted by label distance.

    Wu et al., *Mixup Your Own Pairs* (arXiv 2309.16633). With features z of length 1, each anchor i is compared with
    the other samples (those of equal label are positives) and with mixtures, which get no gradient:

    - hard negatives a z_i + (1 - a) z_k for y_k ≠ y_i, of label a y_i + (1 - a) y_k;
    - hard positives λ z_j + (1 - λ) z_k for all y_j < y_i < y_k within the window, λ = (y_k - y_i) / (y_k - y_j), whose
      label is y_i.

    L_i = -mean_{p positive} [s_ip/τ - log Σ_q w_iq exp(s_iq/τ)] over all q, with s_iq = z_i·z_q and
    w_iq = |y_i - y_q| / (width of a bin) + 1; L is the mean over anchors with a positive.

    Similarities to mixtures are mixtures of similarities, so no mixture is computed; hard positives are summed over
    B² at a time: O(B² d + P) time for P hard positives, O(B² + B d) memory.

    Args:
        features: ``(B, d)``, or ``(B, V, d)`` for V augmented views of each row (N = V B).
        target: ``(B,)``.
        pred: not used.
        weight: not used.
        temperature: τ.
        window: largest distance of the labels of a hard positive from the anchor's, target units.
        bin_width: label distance that adds 1 to a weight, target units.
        mix: a, ``(N, N)``, the fraction of anchor i in its mixture with k.

    Raises:
        InputError: shapes that do not belong together, labels that are not scalar.

    Note:
        The authors compute all mixtures of a batch, which takes O(B³ d) memory. Their weights have labels in years;
        dividing by the width of a bin makes them independent of the unit.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> round(float(supremix_loss(z, torch.tensor([1.0, 2.0, 3.0]), mix=torch.full((3, 3), 0.2))), 4)
        2.2183
    """
    features, target, _, _ = flatten_views(features, target, None, weight)
    if target.ndim != 1:
        raise InputError(f"supremix needs scalar labels (B,), got {tuple(target.shape)}")
    if len(target) < 2:
        return features.sum() * 0
    labels, order = target.detach().to(torch.promote_types(target.dtype, torch.float32)).sort()
    z = unit((features if features.dtype == torch.float64 else features.float())[order])
    mix = mix.to(z.dtype)[order][:, order]
    with torch.autocast(z.device.type, enabled=False):
        similarity, to_constants = z @ z.T, z @ z.detach().T
    gaps = label_gaps(labels).to(z.dtype) / bin_width
    apart = gaps > 0
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    samples = (similarity / temperature + gaps.log1p()).masked_fill(itself, _OUT)
    near = mix * to_constants.diagonal().unsqueeze(1) + (1 - mix) * to_constants
    negatives = (near / temperature + ((1 - mix) * gaps).log1p()).masked_fill(~apart, _OUT)
    log_sum, closeness, n_mixed = _HardPositives.apply(to_constants / temperature, labels, window)  # type: ignore[no-untyped-call]
    log_total = torch.cat([samples, negatives, log_sum.unsqueeze(1)], dim=1).logsumexp(1)
    same = ~apart & ~itself
    n_positive = same.sum(1) + n_mixed
    closeness = closeness + torch.where(same, similarity, 0).sum(1) / temperature
    has_positive = n_positive > 0
    rows = torch.where(has_positive, log_total - closeness / n_positive.clamp(min=1), 0)
    value: Tensor = rows.sum() / has_positive.sum().clamp(min=1)
    return value.to(features.dtype)


def _pairs_at_once(n: int) -> int:
    """Return the number of hard positives to compute at once, for n samples."""
    return max(n * n, _FEWEST_AT_ONCE)


class _HardPositives(torch.autograd.Function):
    """Log-sum-exp, sum and number of each anchor's logits to its hard positives, from logits of sorted labels."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, window: float) -> tuple[Tensor, Tensor, Tensor]:
        n = len(labels)
        # Samples below and above each label and within the window are two ranges.
        low, before = torch.searchsorted(labels, labels - window), torch.searchsorted(labels, labels)
        after = torch.searchsorted(labels, labels, right=True)
        n_above = torch.searchsorted(labels, labels + window, right=True) - after
        n_pairs = (before - low) * n_above
        ends = n_pairs.cumsum(0)
        largest = logits.masked_fill(torch.eye(n, dtype=torch.bool, device=logits.device), _OUT).amax(1)
        total, closeness = logits.new_zeros(n), logits.new_zeros(n)
        of_total, of_closeness = logits.new_zeros(n * n), logits.new_zeros(n * n)
        flat = logits.reshape(-1)
        at_once = _pairs_at_once(n)
        for start in range(0, int(ends[-1]), at_once):
            pair = torch.arange(start, min(start + at_once, int(ends[-1])), device=labels.device)
            anchor = torch.searchsorted(ends, pair, right=True)
            pair -= (ends - n_pairs)[anchor]
            j, k = low[anchor] + pair // n_above[anchor], after[anchor] + pair % n_above[anchor]
            fraction = ((labels[k] - labels[anchor]) / (labels[k] - labels[j])).to(logits.dtype)
            to_j, to_k = n * anchor + j, n * anchor + k
            logit = torch.lerp(flat[to_k], flat[to_j], fraction)
            odds = (logit - largest[anchor]).exp_()
            closeness.index_add_(0, anchor, logit)
            total.index_add_(0, anchor, odds)
            for cell, part in ((to_j, fraction), (to_k, 1 - fraction)):
                of_closeness.index_add_(0, cell, part)
                of_total.index_add_(0, cell, part * odds)
        some = total > 0
        total = torch.where(some, total, 1)
        ctx.save_for_backward(of_total.view(n, n).div_(total.unsqueeze(1)), of_closeness.view(n, n))
        ctx.mark_non_differentiable(n_pairs)
        return torch.where(some, largest + total.log(), _OUT), closeness, n_pairs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_log_sum: Tensor, of_closeness: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        in_log_sum, in_closeness = ctx.saved_tensors
        return torch.addcmul(of_log_sum.unsqueeze(1) * in_log_sum, of_closeness.unsqueeze(1), in_closeness), None, None


class SupReMix(nn.Module):
    """:func:`supremix_loss` as a module; draws the fractions of hard negatives from a beta distribution.

    Args:
        temperature: τ, above 0 (the authors: 0.5 for AgeDB, 0.3 for IMDB-WIKI, 0.1 for STS-B).
        window: largest distance of the labels of a hard positive from the anchor's, target units (the authors: 5 years,
            1 point of STS-B).
        bin_width: label distance that adds 1 to a weight, target units.
        alpha: first parameter of the beta distribution.
        beta: second parameter.
    """

    def __init__(
        self,
        *,
        temperature: float = 0.5,
        window: float = 5.0,
        bin_width: float = 1.0,
        alpha: float = 2.0,
        beta: float = 8.0,
    ) -> None:
        super().__init__()
        self.temperature, self.window = positive(temperature, "temperature"), positive(window, "window")
        self.bin_width = positive(bin_width, "bin_width")
        self.alpha, self.beta = positive(alpha, "alpha", least=0.01), positive(beta, "beta", least=0.01)

    def forward(self, features: Tensor, target: Tensor, pred: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the SupReMix loss of a batch."""
        n = len(features) * (features.shape[1] if features.ndim == 3 else 1)
        mix = torch.distributions.Beta(self.alpha, self.beta).sample((n, n)).to(features.device)
        loss = partial(supremix_loss, temperature=self.temperature, window=self.window, bin_width=self.bin_width)
        return loss(features, target, pred, weight, mix=mix)


def _bin_width(setting: Setting) -> float:
    return setting.bin_width


def _five_bins(setting: Setting) -> float:
    return 5 * setting.bin_width


SUPREMIX_PART = Part(
    name="supremix",
    slot="regularizer",
    make=SupReMix,
    summary="SupReMix: supervised contrast with mixtures as hard negatives and hard positives",
    source="Wu et al., Mixup Your Own Pairs, arXiv",
    year=2023,
    cost="O(B^2 d + P) time for P hard positives, at most B^3; O(B^2) memory",
    use="""\
from tailwise.regularizers.supremix import SupReMix
supremix = SupReMix(window=5.0)
loss = (pred - y).abs().mean() + 0.5 * supremix(features, y, pred)""",
    from_labels={"window": FromLabels("five bins", _five_bins), "bin_width": FromLabels("one bin", _bin_width)},
    units={"window": "target", "bin_width": "target"},
    coef=0.1,
    targets=("scalar",),
)
