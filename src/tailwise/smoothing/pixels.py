"""Affine maps of the features of pixels by bin, block by block, in the layout of maps."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tailwise.smoothing.moments import BinMoments

FEWEST_PIXELS = 1024
_PIXELS_AT_ONCE = 8192
_NUMBERS_AT_ONCE = 2**17  # fits into the cache of a CPU
_NUMBERS_ON_DEVICE = 2**26


def add_pixels(features: Tensor, index: Tensor, moments: BinMoments) -> None:
    """Add the pixels of maps ``(B, d, H, W)`` with bins ``(B, H, W)`` to statistics, without a copy of all maps."""
    for maps, bins in zip(features.detach().flatten(2), index.flatten(1), strict=True):
        for pixels, part in zip(maps.split(_PIXELS_AT_ONCE, dim=1), bins.split(_PIXELS_AT_ONCE), strict=True):
            moments.add(pixels.T, part)


def affine_pixels(features: Tensor, index: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return scale z + shift of each pixel's bin, with a gradient for the features alone.

    Values of bins are gathered for a block of pixels at a time, forward and again backward, so memory is that of the
    result.

    Args:
        features: ``(B, d, H, W)``.
        index: ``(B, H, W)``.
        scale: ``(n, d)``.
        shift: ``(n, d)``.
    """
    smoothed: Tensor = _AffinePixels.apply(features, index.flatten(1), scale, shift)  # type: ignore[no-untyped-call]
    return smoothed


class _AffinePixels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, index: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        by_channel, added = scale.T.contiguous(), shift.T.contiguous()
        out = torch.empty(features.shape, dtype=features.dtype, device=features.device)
        for pixels, bins, result in _blocks(features, index, out):
            result.copy_(added.index_select(1, bins).addcmul_(pixels, by_channel.index_select(1, bins)))
        ctx.save_for_backward(index, by_channel)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        index, by_channel = ctx.saved_tensors
        of_features = torch.empty(gradient.shape, dtype=gradient.dtype, device=gradient.device)
        for pixels, bins, result in _blocks(gradient, index, of_features):
            result.copy_(by_channel.index_select(1, bins).mul_(pixels))
        return of_features, None, None, None


def _blocks(maps: Tensor, index: Tensor, out: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield blocks ``(d, P)`` of pixels, their bins ``(P,)`` and the same block of the contiguous result."""
    at_once = _NUMBERS_AT_ONCE if maps.device.type == "cpu" else _NUMBERS_ON_DEVICE
    size = max(1, at_once // maps.shape[1])
    for one, bins, result in zip(maps.flatten(2), index, out.flatten(2), strict=True):
        yield from zip(one.split(size, dim=1), bins.split(size), result.split(size, dim=1), strict=True)
