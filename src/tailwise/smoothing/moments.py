"""Count, mean and squared deviations of features by bin, accumulated batch by batch."""

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from tailwise.distributed import sum_over_processes

_STATE = ("count", "mean", "m2")
_SINGLE = 4
_PRODUCTS_AT_ONCE = 2**24
_DEVIATIONS_AT_ONCE = 2**18  # fits into the cache of a CPU
_ROWS_AT_ONCE = 8192


class BinMoments(nn.Module):
    """Streamed statistics of features by bin: a few thousand rows at a time, merged as by Chan, Golub and LeVeque.

    Sums are sums of deviations from the current mean, so float32 is safe for any number of rows and any offset. They
    are in the ``state_dict`` but deliberately not buffers: in data-parallel training each process accumulates the
    statistics of different samples, and wrappers overwrite buffers by those of the first process.

    Args:
        n_bins: number of bins.
        n_features: number of channels d.
        full: accumulate products of all pairs of channels, ``(n_bins, d, d)``, instead of squares, ``(n_bins, d)``.

    Example:
        >>> moments = BinMoments(2, 1)
        >>> moments.add(torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([0, 0, 1]))
        >>> moments.mean.squeeze(1).tolist(), moments.m2.squeeze(1).tolist()
        ([2.0, 9.0], [2.0, 0.0])
    """

    count: Tensor
    mean: Tensor
    m2: Tensor

    def __init__(self, n_bins: int, n_features: int, *, full: bool = False) -> None:
        super().__init__()
        self.n_bins, self.n_features, self.full = n_bins, n_features, full
        self.reset(torch.zeros(()))

    def reset(self, like: Tensor) -> None:
        """Reset the statistics, with the type (at least float32) and the device of a tensor."""
        n, d = self.n_bins, self.n_features
        self.count = torch.zeros(n, 1, dtype=torch.int64, device=like.device)
        self.mean = torch.zeros(n, d, dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)
        self.m2 = self.mean.new_zeros((n, d, d) if self.full else (n, d))

    @torch.no_grad()
    def add(self, features: Tensor, index: Tensor) -> None:
        """Add a batch ``(B, d)`` with its bins ``(B,)``; rows with index ``n_bins`` are left out."""
        z = features.detach().to(self.mean.dtype)
        for rows, bins in zip(torch.split(z, _ROWS_AT_ONCE), torch.split(index, _ROWS_AT_ONCE), strict=True):
            if len(rows):
                self._add(rows, bins)

    def _add(self, z: Tensor, index: Tensor) -> None:
        """Add rows as deviations from the current mean; for a new bin, as deviations from one of its rows."""
        n = self.n_bins
        count = self.count.new_zeros(n + 1).index_add_(0, index, torch.ones_like(index))[:n].unsqueeze(1)
        origin = self._origin(z, index, count)
        sums = self.mean.new_zeros(n + 1, self.n_features)
        m2 = self.m2.new_zeros(n + 1, *self.m2.shape[1:])
        at_once = max(1, self._numbers_at_once() // m2[0].numel())
        for rows, bins in zip(torch.split(z, at_once), torch.split(index, at_once), strict=True):
            deviation = origin.index_select(0, bins)
            torch.sub(rows, deviation, out=deviation)
            sums.index_add_(0, bins, deviation)
            m2.index_add_(0, bins, self._products(deviation) if self.full else deviation.square_())
        sums, m2 = sums[:n], m2[:n]
        self.count = self.count + count
        mean_deviation = sums * self.count.clamp(min=1).to(sums.dtype).reciprocal()
        self.mean = origin[:n] + mean_deviation
        left, right = (sums.unsqueeze(-1), mean_deviation.unsqueeze(-2)) if self.full else (sums, mean_deviation)
        self.m2 = m2.add_(self.m2).addcmul_(left, right, value=-1)

    def _origin(self, z: Tensor, index: Tensor, count: Tensor) -> Tensor:
        """Return the mean of each bin, or one of its rows if it has none, or 0; a last row for indices ``n_bins``."""
        n = self.n_bins
        # A GPU would have to synchronize to know.
        if z.device.type == "cpu" and bool(self.count.all()) and int(index.max()) < n:
            return self.mean
        origin = self.mean.new_zeros(n + 1, self.n_features)
        one = index.new_zeros(n + 1).scatter_(0, index, torch.arange(len(index), device=index.device))
        first = z.index_select(0, one[:n]) * (count > 0)
        torch.where(self.count > 0, self.mean, first, out=origin[:n])
        return origin

    def _numbers_at_once(self) -> int:
        """Return how many deviations or products to hold at once."""
        return _PRODUCTS_AT_ONCE if self.full or self.mean.device.type != "cpu" else _DEVIATIONS_AT_ONCE

    @torch.no_grad()
    def merge_processes(self) -> None:
        """Merge the statistics of all processes; afterwards each process has those of all samples."""
        count = sum_over_processes(self.count.clone())
        local_count = self.count.to(self.mean.dtype)
        mean = sum_over_processes(self.mean * local_count) / count.clamp(min=1)
        self.m2 = sum_over_processes(self.m2 + self._products(self.mean - mean) * self.each(local_count))
        self.count, self.mean = count, mean

    def each(self, by_bin: Tensor) -> Tensor:
        """Reshape ``(n_bins, 1)`` to broadcast with ``m2``."""
        return by_bin.unsqueeze(-1) if self.full else by_bin

    def _products(self, deviation: Tensor) -> Tensor:
        """Return products of all pairs of channels, or squares."""
        return deviation.unsqueeze(-1) * deviation.unsqueeze(-2) if self.full else deviation.square()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the statistics with the module, but keep them out of half precision."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name in _STATE:
            before = getattr(self, name)
            after = fn(before)
            setattr(self, name, after if after.element_size() >= _SINGLE else before.to(after.device))
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:  # noqa: ARG002
        for name in _STATE:
            destination[prefix + name] = getattr(self, name)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,  # noqa: ARG002
        strict: bool,  # noqa: ARG002
        missing_keys: list[str],
        unexpected_keys: list[str],  # noqa: ARG002
        error_msgs: list[str],
    ) -> None:
        for name in _STATE:
            current, loaded = getattr(self, name), state_dict.get(prefix + name)
            if loaded is None:
                missing_keys.append(prefix + name)
            elif loaded.shape != current.shape:
                error_msgs.append(f"{prefix}{name} has shape {tuple(loaded.shape)}, expected {tuple(current.shape)}")
            else:
                setattr(self, name, loaded.detach().to(current.device).clone())
