"""Two views: every training sample twice, with independent augmentations."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tailwise._checks import InputError, not_negative
from tailwise._part import Part
from tailwise.distributed import own_rows, rows_in_reach


class NoAugment(nn.Module):
    """Null object of the augment slot: batches stay unchanged."""

    def inputs(self, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        """Return inputs and labels unchanged."""
        return x, y

    def features(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and labels unchanged."""
        return features, y


class Corrupt(nn.Module):
    """Replace some values of each row by those of another row of the batch, an augmentation for tables.

    Bahri et al., *SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption* (ICLR 2022), with
    replacements drawn from the same column of the batch.

    Args:
        fraction: fraction of values that are replaced, at least 0 and below 1.

    Example:
        >>> Corrupt(0.0)(torch.ones(4, 2)).shape
        torch.Size([4, 2])
    """

    def __init__(self, fraction: float = 0.2) -> None:
        super().__init__()
        if not_negative(fraction, "corrupt") >= 1:
            raise InputError(f"corrupt, the fraction of corrupted values, must be below 1, got {fraction!r}")
        self.fraction = float(fraction)

    def forward(self, x: Tensor) -> Tensor:
        """Return corrupted rows ``(B, p)``."""
        if x.ndim != 2 or not x.is_floating_point():
            raise InputError(
                f"corruption is made for rows of a table (B, p), got {tuple(x.shape)} of {x.dtype}; "
                "pass another augmentation, TwoViews(view=...)"
            )
        donors = rows_in_reach(x)
        other = own_rows(lambda n: donors.index_select(0, torch.randperm(n, device=x.device)), len(x))
        replaced = own_rows(lambda n: x.new_empty(n, x.shape[1]).uniform_(), len(x)) < self.fraction
        return torch.where(replaced, other, x)


class TwoViews(nn.Module):
    """Two augmented views of every sample in one batch of 2B, as in the definitions of ConR and Rank-N-Contrast.

    (x_i, y_i) ↦ (x_i⁽¹⁾, y_i), (x_i⁽²⁾, y_i), with x⁽¹⁾ and x⁽²⁾ two random augmentations; of tables that of
    Bahri et al. (SCARF, ICLR 2022).

    Keramati et al. (ConR, ICLR 2024) and Zha et al. (Rank-N-Contrast, NeurIPS 2023) contrast 2N samples. Labels,
    weights and loss count each view. Acts only in training mode. Images, texts and signals are only repeated; their
    encoders augment each copy independently, by crops or by dropout.

    Args:
        view: random augmentation of inputs ``x -> x``, called once per view; by default corrupted rows of a table.
        corrupt: fraction of values that the default augmentation replaces.

    Shape:
        ``inputs(x, y)``: ``(B, ...)`` and ``(B,)`` or ``(B, K)`` to ``(2B, ...)`` and ``(2B,)`` or ``(2B, K)``.

    Example:
        >>> x, y = TwoViews(corrupt=0.1).inputs(torch.randn(8, 3), torch.arange(8.0))
        >>> x.shape, y.shape
        (torch.Size([16, 3]), torch.Size([16]))
    """

    def __init__(self, *, view: nn.Module | None = None, corrupt: float = 0.2) -> None:
        super().__init__()
        self.view = Corrupt(corrupt) if view is None else view

    def inputs(self, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        """Return both views of each sample side by side, with their labels."""
        if not self.training:
            return x, y
        twice = y.repeat_interleave(2, dim=0)
        if not isinstance(x, Mapping):
            return self._views(x), twice
        return {k: self._views(v) if k == "table" else v.repeat_interleave(2, dim=0) for k, v in x.items()}, twice

    def _views(self, x: Tensor) -> Tensor:
        return torch.stack([self.view(x), self.view(x)], dim=1).flatten(0, 1)

    def features(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and labels unchanged."""
        return features, y


TWOVIEWS_PART = Part(
    name="twoviews",
    slot="augment",
    make=TwoViews,
    summary="two augmented views of every sample; a table row is augmented by values of other rows",
    source="Bahri et al., SCARF, ICLR",
    year=2022,
    cost="the network twice",
    use="""\
from tailwise.augment.views import TwoViews
x2, y2 = TwoViews(corrupt=0.1).inputs(x, y)
loss = (model(x2) - y2).abs().mean()""",
    units={"corrupt": "fraction of values"},
    hidden=frozenset({"view"}),
    remark="the augmentation of tables",
)
