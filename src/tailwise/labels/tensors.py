"""The one place where labels meet torch: bin indices of tensors."""

import torch
from torch import Tensor

from tailwise.labels.bins import Bins


def edge_bits(bins: Bins) -> Tensor:
    """``(n_bins - 1,)`` edges between the bins for :func:`bin_index`, to be kept as a buffer.

    They are the bits of float32 numbers held as integers, so that ``module.to(torch.bfloat16)`` leaves them exact.
    """
    return torch.from_numpy(bins.edges[1:-1].copy()).view(torch.int32)


def bin_index(target: Tensor, edges: Tensor) -> Tensor:
    """Bin of each label, same shape as ``target``, equal to :meth:`Bins.index` for every finite label.

    A NaN label (a pixel without a measurement) falls in the last bin; the caller masks it.
    """
    return torch.bucketize(target.float(), edges.view(torch.float32), right=True)
