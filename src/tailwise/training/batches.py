"""Batches of training rows: what the loop asks of them, and batches of rows that are already tensors."""

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
        """Most rows of a batch, of all processes together."""

    def to(self, device: torch.device, /) -> "BatchSource":
        """The same batches on another device."""

    def __len__(self) -> int:
        """Number of batches of an epoch."""

    def pieces(self) -> Iterator[tuple[int, Any, Tensor]]:
        """Of each batch of all processes its number of rows, and inputs and targets of this process's piece."""


class Batches:
    """Shuffled batches ``(x, y)`` fetched by index from tensors on one device, never row by row.

    The order follows torch's global generator, so one seed an epoch fixes it. Of several processes each gets its piece
    of every batch; their generators must be seeded alike.

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
        """The same batches on another device."""
        return Batches(self.x.to(device), self.y.to(device), batch_size=self.batch_size, weight=self.weight)

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((x, y) for _, x, y in self.pieces())

    def pieces(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Of each batch of all processes its number of rows, and inputs and targets of this process's piece."""
        n = len(self.x)
        order = torch.randperm(n) if self.weight is None else torch.multinomial(self.weight, n, replacement=True)
        order = order.to(self.x.device)
        for batch in torch.split(order, self.batch_size):
            index = batch[piece(len(batch))]
            yield len(batch), self.x.index_select(0, index), self.y.index_select(0, index)
