"""RankSim: neighbours have the same ranks in label space and in feature space."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from tailwise._checks import one_of, positive
from tailwise._part import Part
from tailwise.distributed import gather_all
from tailwise.labels.kernels import COMPATS, Compat
from tailwise.regularizers.blocks import cosines
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance, check_batch, label_gaps

Total = Literal["sum", "mean"]


def ranksim_loss(
    features: Tensor,
    target: Tensor,
    pred: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    interpolation: float = 2.0,
    total: Total = "sum",
    label_distance: LabelDistance = "l1",
    compat: Compat = "paper",
) -> Tensor:
    """Mean squared difference between the ranks of labels and of features around each anchor.

    Gong, Mori and Tung, *RankSim* (ICML 2022): one sample is drawn for each label in the batch, which gives M. With
    S^y_ij = -|y_i - y_j| and S^z_ij the cosine of features, L = Σ_{i∈M} mean_j (rk(S^y_i)_j - rk(S^z_i)_j)², with
    descending ranks divided by |M|, the anchor included. Ranks are differentiated as a black box (Vlastelica et al.,
    2020).

    Args:
        features: ``(B, d)``.
        target: ``(B,)`` or ``(B, K)``.
        pred: not used.
        weight: not used.
        interpolation: λ of the black-box gradient.
        total: ``"sum"`` over anchors as in the paper, or ``"mean"``, which does not grow with the batch.
        label_distance: ``"l1"`` or ``"l2"`` over the K dimensions of a label.
        compat: ``"paper"`` or ``"reference"``.

    Raises:
        InputError: shapes that do not belong together.

    Note:
        Labels at the same distance (28 and 32 around 30) get the mean of their ranks, because their order is arbitrary.
        ``compat="reference"`` ranks the later one better, like the authors' text code, and takes the first sample of
        each label instead of a random one (``tests/test_golden_ranksim.py``).

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
        >>> float(ranksim_loss(z, torch.tensor([1.0, 2.0, 9.0])))
        0.0
    """
    features = features.flatten(1)
    target = check_batch(features, target)
    gaps = label_gaps(target, label_distance)
    chosen = _one_of_each(gaps, random=compat == "paper")
    pairs = chosen.unsqueeze(0) & chosen.unsqueeze(1)
    m = chosen.sum()
    wide = features if features.dtype == torch.float64 else features.float()
    cosine = cosines(wide).masked_fill(~chosen, -torch.inf)
    likeness = (-gaps).to(cosine.dtype).masked_fill(~chosen, -torch.inf)
    label_ranks = (_later_first if compat == "reference" else _shared_ranks)(likeness) / m
    feature_ranks = _BlackBoxRanks.apply(cosine, m, interpolation)  # type: ignore[no-untyped-call]
    square = torch.where(pairs, label_ranks - feature_ranks, 0.0).square()
    loss = square.sum() / m
    return (loss / m if total == "mean" else loss).to(features.dtype)


class RankSim(nn.Module):
    """RankSim, ranks of neighbours by features as by labels: :func:`ranksim_loss` as a module.

    L = Σ_{i∈M} mean_j (rk(S^y_i)_j - rk(S^z_i)_j)², M one sample of each label, S^y minus the distances of labels, S^z
    the cosines of features, rk their ranks over the number of samples; Gong et al. (ICML 2022).

    Args:
        interpolation: λ, above 0 (the authors: 2).
        total: ``"sum"`` or ``"mean"``.
        label_distance: ``"l1"`` or ``"l2"``.
        compat: ``"paper"`` or ``"reference"``.
        global_batch: in a data-parallel loop, compute the term over the rows of all processes, whose generators must be
            seeded alike (see :func:`tailwise.distributed.gather_rows`).

    Shape:
        ``features`` ``(B, d)`` or ``(B, V, d)`` for V views, ``target`` ``(B,)`` or ``(B, K)``, ``pred`` as ``target``,
        ``weight`` ``(B,)``; a scalar.
    """

    def __init__(
        self,
        *,
        interpolation: float = 2.0,
        total: Total = "sum",
        label_distance: LabelDistance = "l1",
        compat: Compat = "paper",
        global_batch: bool = False,
    ) -> None:
        super().__init__()
        self.global_batch = global_batch
        self.interpolation = positive(interpolation, "interpolation")
        one_of(total, "total", ("sum", "mean"))
        one_of(label_distance, "label_distance", LABEL_DISTANCES)
        one_of(compat, "compat", COMPATS)
        self.total: Total = total
        self.label_distance: LabelDistance = label_distance
        self.compat: Compat = compat

    def forward(self, features: Tensor, target: Tensor, pred: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the RankSim loss of a batch."""
        if self.global_batch:
            features, target, pred, weight = gather_all(features, target, pred, weight)
        return ranksim_loss(
            features,
            target,
            pred,
            weight,
            interpolation=self.interpolation,
            total=self.total,
            label_distance=self.label_distance,
            compat=self.compat,
        )


class _BlackBoxRanks(torch.autograd.Function):
    """Descending ranks of each row, divided by the number of chosen columns, with the black-box gradient."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, m: Tensor, interpolation: float) -> Tensor:
        ranks = _ranks(scores) / m
        ctx.save_for_backward(scores, ranks, m)
        ctx.interpolation = interpolation
        return ranks

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        scores, ranks, m = ctx.saved_tensors
        moved = _ranks(scores + ctx.interpolation * grad) / m
        return (moved - ranks) / (ctx.interpolation + 1e-8), None, None


def _ranks(scores: Tensor) -> Tensor:
    """Return ranks in each row, 1 for the largest; ties by position."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(1, scores.shape[1] + 1, dtype=scores.dtype, device=scores.device).expand_as(scores)
    return torch.empty_like(scores).scatter_(1, order, places)


def _later_first(scores: Tensor) -> Tensor:
    """Return descending ranks; the later of equal scores ranks first."""
    return _ranks(scores.flip(1)).flip(1)


def _shared_ranks(scores: Tensor) -> Tensor:
    """Return descending ranks; equal scores get their mean rank."""
    ascending = scores.neg().sort(dim=1).values
    before = torch.searchsorted(ascending, scores.neg())
    upto = torch.searchsorted(ascending, scores.neg(), right=True)
    return (before + upto + 1).to(scores.dtype) / 2


def _one_of_each(gaps: Tensor, *, random: bool) -> Tensor:
    """Return a ``(B,)`` mask that keeps one sample of each label, a random one or the first."""
    n = len(gaps)
    position = torch.arange(n, device=gaps.device)
    priority = torch.randperm(n, device=gaps.device) if random else n - position
    return ~((gaps == 0) & (priority.unsqueeze(0) > priority.unsqueeze(1))).any(1)


RANKSIM_PART = Part(
    name="ranksim",
    slot="regularizer",
    make=RankSim,
    summary="the ranking of neighbours in feature space follows that in label space",
    source="Gong et al., RankSim, ICML",
    year=2022,
    cost="O(B^2 (d + log B))",
    use="""\
from tailwise.regularizers.ranksim import RankSim
ranksim = RankSim(interpolation=2.0)
loss = (pred - y).abs().mean() + 100.0 * ranksim(features, y, pred)""",
    coef=0.2,
    targets=("scalar", "k"),
    hidden=frozenset({"global_batch"}),
)
