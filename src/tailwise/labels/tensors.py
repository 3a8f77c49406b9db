"""Bin indices and densities of labels in tensors; no other module of ``labels`` uses torch.

Edges and references are stored as the bits of float32 numbers in integer buffers, because ``module.to(torch.bfloat16)``
does not change these.
"""

import math
from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins

_ROWS_AT_ONCE = 1024


def float_bits(values: ArrayLike) -> Tensor:
    """Return the bits of float32 numbers as integers, for a buffer; ``view(torch.float32)`` gives the numbers."""
    return torch.from_numpy(np.array(values, dtype=np.float32)).view(torch.int32)


def step_labels(target: Tensor, *, infinite: bool = False) -> Tensor:
    """Return the labels of a training step as floating-point numbers; differences of unsigned ones would wrap round.

    NaN marks a pixel of a map without a label. Labels of rows must be finite; those on a GPU are not looked at, because
    the step would have to wait for it.

    Args:
        target: ``(B,)``, ``(B, K)`` or dense ``(B, H, W)``.
        infinite: whether infinite labels are allowed.

    Raises:
        InputError: labels of rows that are NaN or infinite.

    Example:
        >>> step_labels(torch.tensor([3, 5], dtype=torch.uint8)).dtype
        torch.float32
    """
    if not target.is_floating_point():
        return target.to(torch.get_default_dtype())
    if target.ndim < 3 and target.device.type == "cpu" and not torch.compiler.is_compiling():
        known = ~torch.isnan(target) if infinite else torch.isfinite(target)
        if not known.all():
            wrong = ~known if target.ndim < 2 else ~known.all(1)
            raise InputError(
                f"target has {int(wrong.sum())} labels that are NaN or infinite, the first at position "
                f"{int(wrong.int().argmax())}; drop or impute them first"
            )
    return target


def edge_bits(bins: Bins) -> Tensor:
    """Return the ``(n_bins - 1,)`` edges between the bins for :func:`bin_index`, as a buffer."""
    return float_bits(bins.edges[1:-1])


def bin_index(target: Tensor, edges: Tensor) -> Tensor:
    """Return the bin of each label, same shape as ``target``, equal to :meth:`Bins.index` for every finite label.

    A NaN label (a pixel without a measurement) falls in the last bin; the caller masks it.
    """
    return torch.bucketize(target.float(), edges.view(torch.float32), right=True)


class BinIndex(nn.Module):
    """Bin of each label, equal to ``bins.index``.

    Args:
        bins: bins of the target, or a grid of bins.

    Shape:
        ``target`` of any shape to indices of the same; for a grid ``(..., K)`` to ``(...)``.

    Example:
        >>> BinIndex(Bins.from_edges([0, 10, 20]))(torch.tensor([3.0, 12.0])).tolist()
        [0, 1]
    """

    def __init__(self, bins: Bins | BinGrid) -> None:
        super().__init__()
        self.shape = bins.shape if isinstance(bins, BinGrid) else None
        for j, axis in enumerate(bins.axes if isinstance(bins, BinGrid) else (bins,)):
            self.register_buffer(f"edges{j}", edge_bits(axis))

    def forward(self, target: Tensor) -> Tensor:
        """Return the index of the bin, or of the cell, of each label."""
        if self.shape is None:
            return bin_index(target, self.get_buffer("edges0"))
        if target.ndim < 1 or target.shape[-1] != len(self.shape):
            k = len(self.shape)
            raise InputError(f"labels of a grid of {k} dimensions have shape (..., {k}), got {tuple(target.shape)}")
        flat = torch.zeros(target.shape[:-1], dtype=torch.int64, device=target.device)
        for j, n_bins in enumerate(self.shape):
            flat = flat * n_bins + bin_index(target[..., j].contiguous(), self.get_buffer(f"edges{j}"))
        return flat


class FullPrecision(nn.Module):
    """Module with buffers that keep full precision, because half precision counts exactly only to 256 (bfloat16).

    It moves between devices like any other module; the buffers of its children are not affected.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        before = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, exact in before.items():
            moved = getattr(self, name)
            if moved.dtype in (torch.float16, torch.bfloat16):
                setattr(self, name, exact.to(moved.device))
        return self


class KernelDensity(nn.Module):
    """Logarithm of a Gaussian kernel density of K-dimensional labels, log 1/R Σ_r Π_j N(y_j; y_rj, h_j²).

    Args:
        references: ``(R, K)`` labels, target units.
        bandwidth: h, ``(K,)``, target units.

    Shape:
        ``labels`` ``(B, K)`` to ``(B,)``; memory B R K.
    """

    references: Tensor
    bandwidth: Tensor

    def __init__(self, references: ArrayLike, bandwidth: ArrayLike) -> None:
        super().__init__()
        self.register_buffer("references", float_bits(references))
        self.register_buffer("bandwidth", float_bits(bandwidth))
        self.k: int | None = self.references.shape[1]

    def forward(self, labels: Tensor) -> Tensor:
        """Return the log density at each label."""
        references, bandwidth = self.references.view(torch.float32), self.bandwidth.view(torch.float32)
        gap = (labels.float().unsqueeze(1) - references) / bandwidth
        n, k = references.shape
        constant = math.log(n) + k / 2 * math.log(2 * math.pi)
        return torch.logsumexp(-gap.square().sum(-1) / 2, dim=1) - bandwidth.log().sum() - constant


class NeighbourDensity(nn.Module):
    """Logarithm of a nearest-neighbour density, log k / (R r_k^K), up to a constant.

    r_k is the distance to the k-th nearest reference between labels divided by their standard deviation. If k or more
    references equal the label, r_k is 0; then their number replaces k, and half the smallest positive r_k of all
    references replaces r_k.

    Args:
        references: ``(R,)`` or ``(R, K)`` labels, target units.
        neighbours: k.

    Shape:
        ``labels`` to ``(B,)``, from ``(B,)`` in memory B k or from ``(B, K)`` in B R K.

    Raises:
        InputError: fewer references than neighbours.
    """

    references: Tensor
    scale: Tensor
    least: Tensor

    def __init__(self, references: NDArray[np.float64], *, neighbours: int) -> None:
        super().__init__()
        if neighbours > len(references):
            raise InputError(
                f"neighbours ({neighbours:,}) must be at most the number of labels, {len(references):,}; lower it"
            )
        self.neighbours = neighbours
        self.k: int | None = references.shape[1] if references.ndim == 2 else None
        spread = references.std(axis=0)
        self.register_buffer("references", float_bits(np.sort(references) if self.k is None else references))
        self.register_buffer("scale", float_bits(np.where(spread > 0, spread, 1.0)))
        radius = in_pieces(lambda rows: self._nearest(rows)[0], self.references.view(torch.float32))
        positive = radius[radius > 0]
        self.register_buffer("least", float_bits(positive.min().item() / 2 if len(positive) else 1.0))

    def _nearest(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance to the k-th nearest reference, and the number of references equal to the label."""
        references, scale = self.references.view(torch.float32), self.scale.view(torch.float32)
        labels = labels.float()
        if self.k is not None:
            gap = ((labels.unsqueeze(1) - references) / scale).square().sum(-1)
            radius = gap.topk(self.neighbours, dim=1, largest=False).values[:, -1].sqrt()
            return radius, (gap == 0).sum(1)
        # The k nearest of sorted references are contiguous: the closest of the k + 1 windows around the label.
        before = torch.searchsorted(references, labels)
        after = torch.searchsorted(references, labels, right=True)
        first = before.unsqueeze(-1) + torch.arange(-self.neighbours, 1, device=labels.device)
        first = first.clamp(0, len(references) - self.neighbours)
        y = labels.unsqueeze(-1)
        farthest = torch.maximum(y - references[first], references[first + self.neighbours - 1] - y)
        return farthest.min(-1).values / scale, after - before

    def forward(self, labels: Tensor) -> Tensor:
        """Return the log density at each label."""
        radius, equal = self._nearest(labels)
        tied = radius <= 0
        number = torch.where(tied, equal, self.neighbours).float()
        radius = torch.where(tied, self.least.view(torch.float32), radius)
        return number.log() - (self.k or 1) * radius.log() - math.log(len(self.references))


@torch.no_grad()
def in_pieces(density: Callable[[Tensor], Tensor], labels: Tensor) -> Tensor:
    """Return the densities of many labels, computed a thousand or so at a time to save memory."""
    starts = range(0, len(labels), _ROWS_AT_ONCE)
    return torch.cat([density(labels[start : start + _ROWS_AT_ONCE]) for start in starts])
