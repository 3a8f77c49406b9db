"""Several processes that train one model: the global batch, and sums over all of them.

Everything here is the identity where ``torch.distributed`` is not running. Process r of W holds the r-th piece of each
global batch, as :func:`torch.tensor_split` cuts it; pieces of equal size need no telling, others are told by
:func:`sharing`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_SIZES: ContextVar[tuple[int, ...] | None] = ContextVar("sizes", default=None)


def world() -> tuple[int, int]:
    """Number of this process and of all of them."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def piece_sizes(n: int) -> tuple[int, ...]:
    """Rows of each process's piece of a global batch of n rows."""
    _, of = world()
    return tuple(n // of + (rank < n % of) for rank in range(of))


def piece(n: int) -> slice:
    """Rows of a global batch of n rows that belong to this process."""
    sizes, (rank, _) = piece_sizes(n), world()
    return slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))


@contextmanager
def sharing(n: int) -> Iterator[None]:
    """Say that the batches handled inside are pieces of a global batch of n rows."""
    token = _SIZES.set(piece_sizes(n))
    try:
        yield
    finally:
        _SIZES.reset(token)


def place_in_batch(n: int) -> tuple[int, int]:
    """First row of this process's n rows in the global batch, and the number of rows of that."""
    rank, of = world()
    sizes = _sizes(n, of)
    return sum(sizes[:rank]), sum(sizes)


def gather_rows(rows: Tensor) -> Tensor:
    """Rows of all processes, in order, for a loss over the global batch that each process computes.

    The gradient of a process's own rows is that of the global loss times the number of processes, so that the mean over
    processes that data-parallel training takes of parameters' gradients is the gradient a single process would have.

    Args:
        rows: ``(n, ...)`` of this process.

    Returns:
        ``(N, ...)``.
    """
    if world()[1] == 1:
        return rows
    made: Tensor = _Gather.apply(rows) if rows.requires_grad else _gathered(rows)  # type: ignore[no-untyped-call]
    return made


def gather_all(*tensors: Any) -> tuple[Any, ...]:
    """:func:`gather_rows` of every tensor; what is no tensor stays as it is, and of dictionaries the values are."""

    def gathered(value: Any) -> Any:
        if isinstance(value, Tensor):
            return gather_rows(value)
        if isinstance(value, dict):
            return {name: gathered(part) for name, part in value.items()}
        return type(value)(gathered(part) for part in value) if isinstance(value, (tuple, list)) else value

    return tuple(gathered(value) for value in tensors)


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum of a tensor over all processes, in place."""
    if world()[1] > 1:
        dist.all_reduce(values)
    return values


def gather_objects(value: Any) -> list[Any]:
    """What each process has, in order."""
    _, of = world()
    if of == 1:
        return [value]
    found: list[Any] = [None] * of
    dist.all_gather_object(found, value)
    return found


def from_main(value: Any) -> Any:
    """What the main process has."""
    if world()[1] == 1:
        return value
    shared = [value]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        start, _ = place_in_batch(len(rows))
        ctx.own = slice(start, start + len(rows))
        return _gathered(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[ctx.own] * world()[1]


def _gathered(rows: Tensor) -> Tensor:
    _, of = world()
    sizes = _sizes(len(rows), of)
    flat = rows.detach().contiguous()
    if len(set(sizes)) == 1:
        out = flat.new_empty(sum(sizes), *flat.shape[1:])
        dist.all_gather_into_tensor(out, flat)
        return out
    # Pieces differ by one row at most: all send as many as the longest.
    most = max(sizes)
    padded = flat.new_zeros(most, *flat.shape[1:])
    padded[: len(flat)] = flat
    out = flat.new_empty(of * most, *flat.shape[1:])
    dist.all_gather_into_tensor(out, padded)
    return torch.cat([part[:size] for part, size in zip(torch.split(out, most), sizes, strict=True)])


def _sizes(n: int, of: int) -> Sequence[int]:
    sizes = _SIZES.get()
    return (n,) * of if sizes is None else sizes
