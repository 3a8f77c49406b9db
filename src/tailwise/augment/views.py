"""Two views: every training sample twice, each time augmented anew."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tailwise._checks import InputError, not_negative
from tailwise._part import Part
from tailwise.distributed import own_rows, rows_in_reach


class NoAugment(nn.Module):
    """The null object of the augment slot: the batch stays as it is."""

    def inputs(self, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        """Inputs and labels as they are."""
        return x, y

    def features(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Features and labels as they are."""
        return features, y


class Corrupt(nn.Module):
    """Replace some values of each row by those of another row of the batch: an augmentation for tables.

    Bahri et al., *SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption* (ICLR 2022), with the
    values of one column drawn from the batch.

    Args:
        share: of the values that are replaced, at least 0 and below 1.

    Example:
        >>> Corrupt(0.0)(torch.ones(4, 2)).shape
        torch.Size([4, 2])
    """

    def __init__(self, share: float = 0.2) -> None:
        super().__init__()
        if not_negative(share, "corrupt") >= 1:
            raise InputError(f"corrupt, the share of corrupted values, must be below 1, got {share!r}")
        self.share = float(share)

    def forward(self, x: Tensor) -> Tensor:
        """Corrupted rows ``(B, p)``."""
        if x.ndim != 2 or not x.is_floating_point():
            raise InputError(
                f"corruption is made for rows of a table (B, p), got {tuple(x.shape)} of {x.dtype}; "
                "pass TwoViews(view=...) with an augmentation of your own"
            )
        donors = rows_in_reach(x)
        other = own_rows(lambda n: donors.index_select(0, torch.randperm(n, device=x.device)), len(x))
        replaced = own_rows(lambda n: x.new_empty(n, x.shape[1]).uniform_(), len(x)) < self.share
        return torch.where(replaced, other, x)


class TwoViews(nn.Module):
    """Two augmented views of every sample in one batch of 2B, as ConR and Rank-N-Contrast are defined on.

    Keramati et al. (ConR, ICLR 2024) and Zha et al. (Rank-N-Contrast, NeurIPS 2023) contrast 2N samples. Labels,
    weights and loss follow: each view counts. Acts in training mode only. Of images, texts and signals both views are
    the sample itself, which their encoders augment anew each time, by crops or by dropout.

    Args:
        view: augmentation of inputs ``x -> x``, drawn anew at each call; corrupted rows of a table by default.
        corrupt: share of the values the default replaces.

    Example:
        >>> x, y = TwoViews(corrupt=0.1).inputs(torch.randn(8, 3), torch.arange(8.0))
        >>> x.shape, y.shape
        (torch.Size([16, 3]), torch.Size([16]))
    """

    def __init__(self, *, view: nn.Module | None = None, corrupt: float = 0.2) -> None:
        super().__init__()
        self.view = Corrupt(corrupt) if view is None else view

    def inputs(self, x: Any, y: Tensor) -> tuple[Any, Tensor]:
        """Both views of each sample side by side, with their labels."""
        if not self.training:
            return x, y
        twice = y.repeat_interleave(2, dim=0)
        if not isinstance(x, Mapping):
            return self._views(x), twice
        return {k: self._views(v) if k == "table" else v.repeat_interleave(2, dim=0) for k, v in x.items()}, twice

    def _views(self, x: Tensor) -> Tensor:
        return torch.stack([self.view(x), self.view(x)], dim=1).flatten(0, 1)

    def features(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Features and labels as they are."""
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
