"""Rank-N-Contrast: features ordered like their labels."""

from typing import Any

import torch
from torch import Tensor, nn

from tailwise._checks import one_of, positive
from tailwise._part import Part
from tailwise.distributed import gather_all
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance, flatten_views, label_gaps

PAIRS_AT_ONCE = 2**20
_PAIRS_ON_DEVICE = 2**25


def rnc_loss(
    features: Tensor,
    target: Tensor,
    pred: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    temperature: float = 2.0,
    label_distance: LabelDistance = "l1",
) -> Tensor:
    """Contrast each pair with all samples whose labels are at least as far from the anchor.

    Zha et al., *Rank-N-Contrast* (NeurIPS 2023), with s_ij = -‖z_i - z_j‖₂ of unnormalised features:

        L = -1/(n(n-1)) Σ_i Σ_{j≠i} log exp(s_ij/τ) / Σ_{k≠i: d(y_i, y_k) ≥ d(y_i, y_j)} exp(s_ik/τ)

    One sort and one reversed log-cumulative-sum-exp per row, with ties in label distance treated together, a block of
    rows at a time: O(n² log n) time and O(n d) memory.

    Args:
        features: ``(B, d)``, or ``(B, V, d)`` for V augmented views of each row (n = V B).
        target: ``(B,)`` or ``(B, K)``.
        pred: not used.
        weight: not used.
        temperature: τ.
        label_distance: ``"l1"`` or ``"l2"`` over the K dimensions of a label.

    Returns:
        A scalar; 0 for fewer than two samples.

    Raises:
        InputError: shapes that do not belong together.

    Example:
        >>> round(float(rnc_loss(torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([0.0, 1.0, 9.0]))), 4)
        0.087
    """
    features, target, _, _ = flatten_views(features, target, None, weight)
    if len(features) < 2:
        return features.sum() * 0
    z = features if features.dtype == torch.float64 else features.float()
    value: Tensor = _RankNContrast.apply(z, target, temperature, label_distance, torch.is_grad_enabled())  # type: ignore[no-untyped-call]
    return value.to(features.dtype)


class _RankNContrast(torch.autograd.Function):
    """Mean over pairs, a block of anchors at a time; the forward pass also adds up the gradient block by block.

    With anchors i and their pairs in order of label distance, the logits have the gradient
    exp(s_ik/τ) Σ_{j: d_ij ≤ d_ik} 1 / (sum of exponentials of pair ij) - 1, a cumulative sum from the near end.
    """

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, labels: Tensor, temperature: float, label_distance: LabelDistance, wanted: bool
    ) -> Tensor:
        n = len(z)
        z = z - z.mean(0)  # distances are computed by products, which are inexact far from 0
        value = z.new_zeros(())
        gradient = torch.zeros_like(z) if wanted else None
        block = max(1, (PAIRS_AT_ONCE if z.device.type == "cpu" else _PAIRS_ON_DEVICE) // n)
        for start in range(0, n, block):
            rows = slice(start, min(start + block, n))
            anchors = torch.arange(rows.start, rows.stop, device=z.device).unsqueeze(1)
            gaps = label_gaps(labels[rows], label_distance, labels).scatter_(1, anchors, -1.0)
            # Sorted by distance, the anchor is first; it is left out of every sum.
            ordered, order = gaps.sort(dim=1)
            ordered, order = ordered[:, 1:].contiguous(), order[:, 1:]
            distance = torch.cdist(z[rows], z)
            logits = distance.gather(1, order).div_(-temperature)
            first_as_far = torch.searchsorted(ordered, ordered)
            log_sums = logits.flip(1).logcumsumexp(1).flip(1).gather(1, first_as_far)
            value += (log_sums - logits).sum()
            if gradient is None:
                continue
            last_as_near = torch.searchsorted(ordered, ordered, right=True).sub_(1)
            of_logit = log_sums.neg_().logcumsumexp(1).gather(1, last_as_near).add_(logits).exp_().sub_(1.0)
            # ds/dz_i = -(z_i - z_k) / (τ s); equal features get no gradient.
            pull = torch.zeros_like(distance).scatter_(1, order, of_logit)
            pull = torch.where(distance > 0, pull.div_(distance), 0.0)
            gradient[rows].addmm_(pull, z).addcmul_(z[rows], pull.sum(1, keepdim=True), value=-1)
            gradient.addmm_(pull.T, z[rows]).addcmul_(z, pull.sum(0).unsqueeze(1), value=-1)
        pairs = n * (n - 1)
        ctx.save_for_backward(gradient)
        ctx.scale = 1 / (temperature * pairs)
        return value / pairs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * (grad * ctx.scale), None, None, None, None


class RankNContrast(nn.Module):
    """Rank-N-Contrast: :func:`rnc_loss` as a module.

    L = -1/(B (B - 1)) Σ_i Σ_{j≠i} log [exp(s_ij / τ) / Σ_{k≠i, d(y_i, y_k) ≥ d(y_i, y_j)} exp(s_ik / τ)] with
    s_ij = -‖z_i - z_j‖; Zha et al. (NeurIPS 2023).

    Args:
        temperature: τ, above 0.
        label_distance: ``"l1"`` or ``"l2"``.
        global_batch: in a data-parallel loop, compute the term over the rows of all processes (see
            :func:`tailwise.distributed.gather_rows`).

    Shape:
        ``features`` ``(B, d)`` or ``(B, V, d)`` for V views, ``target`` ``(B,)`` or ``(B, K)``, ``pred`` as ``target``,
        ``weight`` ``(B,)``; a scalar.
    """

    def __init__(
        self, *, temperature: float = 2.0, label_distance: LabelDistance = "l1", global_batch: bool = False
    ) -> None:
        super().__init__()
        self.global_batch = global_batch
        self.temperature = positive(temperature, "temperature")
        one_of(label_distance, "label_distance", LABEL_DISTANCES)
        self.label_distance: LabelDistance = label_distance

    def forward(self, features: Tensor, target: Tensor, pred: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the Rank-N-Contrast loss of a batch."""
        if self.global_batch:
            features, target, pred, weight = gather_all(features, target, pred, weight)
        return rnc_loss(
            features, target, pred, weight, temperature=self.temperature, label_distance=self.label_distance
        )


RNC_PART = Part(
    name="rnc",
    slot="regularizer",
    make=RankNContrast,
    summary="Rank-N-Contrast: features ordered like their labels",
    source="Zha et al., Rank-N-Contrast, NeurIPS",
    year=2023,
    cost="O(B^2 (d + log B)) time, O(B d) memory",
    use="""\
from tailwise.regularizers.rank_n_contrast import RankNContrast
rnc = RankNContrast(temperature=2.0)
loss = (pred - y).abs().mean() + 0.5 * rnc(features, y, pred)""",
    coef=0.1,
    targets=("scalar", "k"),
    hidden=frozenset({"global_batch"}),
)
