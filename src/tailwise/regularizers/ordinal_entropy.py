"""Ordinal entropy: class centres spread in proportion to label distance, features pulled to their centre."""

import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from torch import Tensor, nn

from tailwise._checks import InputError, not_negative, one_of, whole
from tailwise._part import Part
from tailwise.labels.kernels import COMPATS, Compat
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance, check_batch, label_gaps, unit


def ordinal_entropy_loss(
    features: Tensor,
    target: Tensor,
    pred: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    diversity: float = 1.0,
    tightness: float = 1.0,
    label_distance: LabelDistance = "l1",
    stride: int = 4,
    compat: Compat = "paper",
) -> Tensor:
    """Push apart centres of different labels in proportion to label distance; pull features to their centre.

    Zhang et al., *Ordinal Entropy* (ICLR 2023). Samples of equal label form a class c; the mean of their features,
    normalised to length 1, is its centre z_c:

        L = -λ_d mean_{c<c'} w_cc' ‖z_c - z_c'‖₂ + λ_t mean_i ‖z_i - z_c(i)‖₂,    w_cc' = (|y_c - y_c'| - min) / max

    with z_i normalised, min and max over the pairs of classes, and the second mean over samples that differ from their
    centre. 0 with zero gradients for a batch of a single label. Time O(N² d), memory O(N² + N d) for N samples.

    Args:
        features: ``(B, d)``, or ``(B, d, H, W)`` for dense targets.
        target: ``(B,)``, ``(B, K)``, or dense ``(B, H', W')``, resized to the features by nearest neighbour. NaN pixels
            are left out; the term is computed for each map and averaged over maps.
        pred: not used.
        weight: not used.
        diversity: λ_d.
        tightness: λ_t.
        label_distance: ``"l1"`` or ``"l2"`` over the K dimensions of a label.
        stride: only every ``stride``-th row and column of dense maps is used, because all pairs of pixels are compared.
        compat: ``"paper"`` or ``"reference"``.

    Raises:
        InputError: shapes that do not belong together.

    Note:
        ``compat="reference"`` is the authors' code for tables, where each sample is a separate class, so equal labels
        are not merged and the tightness is 0; dense maps are the same in both. In their code a batch of a single label
        is an error, and a batch without equal labels gives NaN; here they give 0 and the diversity alone
        (``tests/test_golden_ordinal_entropy.py``).

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> round(float(ordinal_entropy_loss(z, torch.tensor([0.0, 0.0, 1.0, 4.0]))), 4)
        -0.7357
    """
    target = target.to(torch.promote_types(target.dtype, torch.float32))
    if target.ndim == 3:
        rows, labels = _pixels(features, target, stride)
        known = ~torch.isnan(labels)
        gaps = (labels.unsqueeze(1) - labels.unsqueeze(2)).abs()
    else:
        target = check_batch(features, target)
        rows, gaps = features.unsqueeze(0), label_gaps(target, label_distance).unsqueeze(0)
        known = torch.ones(gaps.shape[:2], dtype=torch.bool, device=gaps.device)
    if rows.dtype in (torch.float16, torch.bfloat16):  # torch has no pairwise distances in half precision
        rows = rows.float()
    rows = torch.where(known.unsqueeze(2), rows, torch.zeros_like(rows))

    maps, n, d = rows.shape
    position = torch.arange(n, device=rows.device)
    if compat == "reference" and target.ndim < 3:
        first = position.expand(maps, n)
    else:
        same = (gaps == 0) & known.unsqueeze(1) & known.unsqueeze(2)
        first = same.to(torch.uint8).argmax(2)  # the first sample of a class represents it
    leads = known & (first == position)
    place = (first + n * torch.arange(maps, device=rows.device).unsqueeze(1)).flatten()
    sums = rows.new_zeros(maps * n, d).index_add(0, place, rows.reshape(-1, d))
    centres = unit(sums)

    pairs = (leads.unsqueeze(1) & leads.unsqueeze(2)).triu(1)
    nearest = gaps.masked_fill(~pairs, torch.inf).amin((1, 2), keepdim=True)
    farthest = gaps.masked_fill(~pairs, 0).amax((1, 2), keepdim=True)
    several = farthest > 0
    weights = (gaps - torch.where(several, nearest, 0)) / torch.where(several, farthest, 1)
    weights = torch.where(pairs, weights, 0).to(rows.dtype)
    by_map = centres.view(maps, n, d)
    spread = (weights * torch.cdist(by_map, by_map)).sum((1, 2)) / pairs.sum((1, 2)).clamp(min=1)

    z = unit(rows)
    square = (z - centres.index_select(0, place).view_as(z)).square().sum(2)
    apart = known & (square > (16 * torch.finfo(z.dtype).eps) ** 2)  # smaller distances are rounding errors
    distance = torch.where(apart, torch.where(apart, square, 1).sqrt(), 0)
    looseness = distance.sum(1) / apart.sum(1).clamp(min=1)

    return torch.where(several.flatten(), tightness * looseness - diversity * spread, 0).mean()


class OrdinalEntropy(nn.Module):
    """Ordinal entropy, features of labels apart and of one label together: :func:`ordinal_entropy_loss` as a module.

    L = -λ_d mean_{c≠c'} w_cc' ‖z_c - z_c'‖ + λ_t mean_i ‖z_i - z_c(i)‖, z_c the centre of the features of label c and
    w_cc' = (|y_c - y_c'| - min) / max over the pairs; Zhang et al. (ICLR 2023).

    Args:
        diversity: λ_d, at least 0.
        tightness: λ_t, at least 0.
        label_distance: ``"l1"`` or ``"l2"``.
        stride: step between the rows and columns of dense maps that are used (the authors: 4).
        compat: ``"paper"`` or ``"reference"``.

    Shape:
        ``features`` ``(B, d)`` or ``(B, V, d)`` for V views, ``(B, d, h, w)`` of maps, ``target`` ``(B,)``, ``(B, K)``
        or ``(B, H, W)``; predictions and weights are not used; a scalar.
    """

    def __init__(
        self,
        *,
        diversity: float = 1.0,
        tightness: float = 1.0,
        label_distance: LabelDistance = "l1",
        stride: int = 4,
        compat: Compat = "paper",
    ) -> None:
        super().__init__()
        self.diversity = not_negative(diversity, "diversity")
        self.tightness = not_negative(tightness, "tightness")
        self.stride = whole(stride, "stride", least=1)
        one_of(label_distance, "label_distance", LABEL_DISTANCES)
        one_of(compat, "compat", COMPATS)
        self.label_distance: LabelDistance = label_distance
        self.compat: Compat = compat

    def forward(self, features: Tensor, target: Tensor, pred: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the ordinal entropy of a batch."""
        return ordinal_entropy_loss(
            features,
            target,
            pred,
            weight,
            diversity=self.diversity,
            tightness=self.tightness,
            label_distance=self.label_distance,
            stride=self.stride,
            compat=self.compat,
        )

    def extra_repr(self) -> str:
        """Return the parameters as text."""
        return f"diversity={self.diversity:g}, tightness={self.tightness:g}, stride={self.stride}"


def _pixels(features: Tensor, target: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Return every ``stride``-th pixel of the maps, features ``(B, P, d)`` and labels ``(B, P)``."""
    if features.ndim != 4 or len(features) != len(target):
        raise InputError(
            f"features must be (B, d, H, W) with one map a target (B, H, W), got {tuple(features.shape)} "
            f"for target {tuple(target.shape)}"
        )
    if target.shape[1:] != features.shape[2:]:
        target = F.interpolate(target.unsqueeze(1), size=features.shape[2:], mode="nearest").squeeze(1)
    taken = features[..., ::stride, ::stride]
    return taken.flatten(2).transpose(1, 2), target[:, ::stride, ::stride].flatten(1)


ORDINAL_ENTROPY_PART = Part(
    name="ordinal_entropy",
    slot="regularizer",
    make=OrdinalEntropy,
    summary="ordinal entropy: features apart by the distance of their labels, together where labels are equal",
    source="Zhang et al., Improving Deep Regression with Ordinal Entropy, ICLR",
    year=2023,
    cost="O(B^2 d)",
    use="""\
from tailwise.regularizers.ordinal_entropy import OrdinalEntropy
entropy = OrdinalEntropy()
loss = (pred - y).abs().mean() + 0.5 * entropy(features, y, pred)""",
    coef=0.1,
)
