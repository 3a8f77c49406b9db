"""Rank-N-Contrast: features ordered as their labels are."""

import torch
from torch import Tensor, nn

from tailwise._checks import one_of, positive
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance, flatten_views, label_gaps


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

    Zha et al., *Rank-N-Contrast* (NeurIPS 2023), with s_ij = -‖z_i - z_j‖₂ of features that are not normalised:

        L = -1/(n(n-1)) Σ_i Σ_{j≠i} log exp(s_ij/τ) / Σ_{k≠i: d(y_i, y_k) ≥ d(y_i, y_j)} exp(s_ik/τ)

    One sort and one reversed log-cumulative-sum-exp a row, labels at equal distance together: O(n² log n) time and
    O(n²) memory.

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
    n = len(features)
    if n < 2:
        return features.sum() * 0
    gaps = label_gaps(target, label_distance)
    itself = torch.eye(n, dtype=torch.bool, device=features.device)
    gaps = gaps.masked_fill(itself, -1.0)
    if features.dtype in (torch.float16, torch.bfloat16):  # no pairwise distances there
        features = features.float()
    closeness = (-torch.cdist(features, features) / temperature).masked_fill(itself, -torch.inf)
    ordered, order = gaps.sort(dim=1)
    # Sorted by distance, the anchor itself stands first; it is left out of every sum.
    sorted_closeness = closeness.gather(1, order)[:, 1:]
    ordered = ordered[:, 1:].contiguous()
    at_least_as_far = sorted_closeness.flip(1).logcumsumexp(1).flip(1)
    first_as_far = torch.searchsorted(ordered, ordered)
    return (at_least_as_far.gather(1, first_as_far) - sorted_closeness).mean()


class RankNContrast(nn.Module):
    """:func:`rnc_loss` as a module.

    Args:
        temperature: τ, above 0.
        label_distance: ``"l1"`` or ``"l2"``.
    """

    def __init__(self, *, temperature: float = 2.0, label_distance: LabelDistance = "l1") -> None:
        super().__init__()
        self.temperature = positive(temperature, "temperature")
        one_of(label_distance, "label_distance", LABEL_DISTANCES)
        self.label_distance: LabelDistance = label_distance

    def forward(self, features: Tensor, target: Tensor, pred: Tensor, weight: Tensor | None = None) -> Tensor:
        """Rank-N-Contrast of one batch."""
        return rnc_loss(
            features, target, pred, weight, temperature=self.temperature, label_distance=self.label_distance
        )
