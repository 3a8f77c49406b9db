"""Batches of training rows: the protocol of the loop, and batches of tensors in memory."""

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from tailwise._checks import InputError
from tailwise.distributed import piece


class BatchSource(Protocol):
    """Shuffled batches of training rows, shared by all processes."""

    @property
    def batch_size(self) -> int:
        """Maximum number of rows of a batch, over all processes."""

    def to(self, device: torch.device, /) -> "BatchSource":
        """Return the same batches on another device."""

    def __len__(self) -> int:
        """Number of batches of an epoch."""

    def pieces(self) -> Iterator[tuple[int, Any, Tensor]]:
        """Yield the number of rows of each batch over all processes, and inputs and targets of this process's rows."""


class Batches:
    """Shuffled batches ``(x, y)`` fetched by index from tensors on one device, never row by row.

    The order follows torch's global generator, so one seed an epoch fixes it. Each of several processes gets its piece
    of every batch; their generators must have the same seed.

    Args:
        x: ``(n, ...)`` inputs.
        y: ``(n, ...)`` targets.
        batch_size: rows a batch, of all processes together.
        weight: ``(n,)`` how often a row is drawn relative to others, with replacement; each once if not given.

    Raises:
        InputError: tensors of different length, or a batch size below 1.

    Example:
        >>> [len(y) for x, y in Batches(torch.zeros(5, 2), torch.zeros(5), batch_size=2)]
        [2, 2, 1]
    """

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: int, weight: Tensor | None = None) -> None:
        if len(x) != len(y) or len(x) == 0:
            raise InputError(f"x and y must have the same number of rows, above 0; got {len(x)} and {len(y)}")
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size!r}")
        self.x, self.y, self.batch_size, self.weight = x, y, batch_size, weight

    def to(self, device: torch.device) -> "Batches":
        """Return the same batches on another device."""
        return Batches(self.x.to(device), self.y.to(device), batch_size=self.batch_size, weight=self.weight)

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((x, y) for _, x, y in self.pieces())

    def pieces(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield the number of rows of each batch over all processes, and inputs and targets of this process's rows."""
        n = len(self.x)
        order = drawn_order(n, self.weight).to(self.x.device)
        for batch in torch.split(order, self.batch_size):
            index = batch[piece(len(batch))]
            yield len(batch), self.x.index_select(0, index), self.y.index_select(0, index)


def drawn_order(n: int, weight: Tensor | None) -> Tensor:
    """Return the rows of an epoch, ``(n,)``: each once, or drawn with replacement in proportion to ``(n,)`` weights."""
    return torch.randperm(n) if weight is None else torch.multinomial(weight, n, replacement=True)
