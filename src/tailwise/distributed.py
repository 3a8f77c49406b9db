"""Several processes that train one model: the global batch, and sums over all of them.

Everything here is the identity where ``torch.distributed`` is not running. Process r of W holds the r-th piece of each
global batch, as :func:`torch.tensor_split` cuts it, which :func:`sharing` tells; otherwise processes ask each other how
many rows they have.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from tailwise._checks import InputError

_SIZES: ContextVar[tuple[int, ...] | None] = ContextVar("sizes", default=None)
_GATHERED: ContextVar[bool] = ContextVar("gathered", default=False)


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


@contextmanager
def gathered() -> Iterator[None]:
    """Say that the rows handled inside are those of all processes already, so that nothing gathers them once more."""
    token = _GATHERED.set(True)
    try:
        yield
    finally:
        _GATHERED.reset(token)


def own_rows(draw: Callable[[int], Tensor], n: int) -> Tensor:
    """This process's n rows of what is drawn for the global batch, so that every number of processes draws the same.

    Outside :func:`sharing` processes are on their own, and n rows are drawn.

    Args:
        draw: from a number of rows to so many random rows, from torch's generator, which all processes seed alike.
        n: rows of this process.
    """
    if _SIZES.get() is None:
        return draw(n)
    rank, sizes = world()[0], _sizes(n)
    start = sum(sizes[:rank])
    return draw(sum(sizes))[start : start + n]


@contextmanager
def own_draws(device: torch.device) -> Iterator[None]:
    """Let each process draw for its own rows alone, and leave torch's generator as any number of processes leaves it.

    For what draws inside a library (augmentation of images, dropout of a pretrained encoder), where :func:`own_rows`
    does not reach.
    """
    seed = int(torch.randint(2**32, ()))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed + world()[0])
        yield


def rows_in_reach(rows: Tensor) -> Tensor:
    """Rows of the global batch inside :func:`sharing`, else those given; others' rows bring no gradient back."""
    return rows if _SIZES.get() is None else gather_rows(rows)


def gather_rows(rows: Tensor) -> Tensor:
    """Rows of all processes, in order, for a loss over the global batch that each process computes.

    The gradient of a process's own rows is that of the global loss times the number of processes, so that the mean over
    processes that data-parallel training takes of parameters' gradients is the gradient a single process would have.

    Args:
        rows: ``(n, ...)`` of this process.

    Returns:
        ``(N, ...)``.
    """
    if world()[1] == 1 or _GATHERED.get():
        return rows
    made: Tensor = _Gather.apply(rows) if rows.requires_grad else _gathered(rows)  # type: ignore[no-untyped-call]
    return made


def gather_all(*tensors: Any) -> tuple[Any, ...]:
    """:func:`gather_rows` of every tensor; what is no tensor stays as it is."""

    return tuple(gather_rows(value) if isinstance(value, Tensor) else value for value in tensors)


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum of a tensor over all processes, in place."""
    if world()[1] > 1:
        dist.all_reduce(values)
    return values


def on_main(action: Callable[[], Any]) -> Any:
    """What an action gives, done by the main process alone; a mistake it finds is raised by all."""
    value, mistake = None, None
    if world()[0] == 0:
        try:
            value = action()
        except InputError as error:
            mistake = str(error)
    value, mistake = from_main((value, mistake))
    if mistake is not None:
        raise InputError(mistake)
    return value


def together(action: Callable[[], Any]) -> Any:
    """What an action gives on this process; a mistake that any process finds is raised by all."""
    value, mistake = None, None
    try:
        value = action()
    except InputError as error:
        mistake = str(error)
    for rank, found in enumerate(gather_objects(mistake)):
        if found is not None:
            raise InputError(found if rank == 0 else f"process {rank}: {found}")
    return value


def main_first(action: Callable[[], Any]) -> Any:
    """What an action gives on this process, done by the main one before all others."""
    rank, _ = world()
    value = together(action if rank == 0 else lambda: None)
    return together(action if rank else lambda: value)


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
        start = sum(_sizes(len(rows))[: world()[0]])
        ctx.own = slice(start, start + len(rows))
        return _gathered(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[ctx.own] * world()[1]


def _gathered(rows: Tensor) -> Tensor:
    sizes, of = _sizes(len(rows)), world()[1]
    flat = rows.detach().contiguous()
    if len(set(sizes)) == 1:
        out = flat.new_empty(sum(sizes), *flat.shape[1:])
        dist.all_gather_single(out, flat)
        return out
    # Pieces differ by one row at most: all send as many as the longest.
    most = max(sizes)
    padded = flat.new_zeros(most, *flat.shape[1:])
    padded[: len(flat)] = flat
    out = flat.new_empty(of * most, *flat.shape[1:])
    dist.all_gather_single(out, padded)
    return torch.cat([part[:size] for part, size in zip(torch.split(out, most), sizes, strict=True)])


def _sizes(n: int) -> Sequence[int]:
    """Rows of each process, of which this one has n: as told, or several times that (views), otherwise as asked."""
    sizes, (rank, of) = _SIZES.get(), world()
    if of == 1:
        return (n,)
    if sizes is None:
        return gather_objects(n)
    views = n // sizes[rank] if sizes[rank] else 0
    if 0 in sizes:  # a process without rows cannot tell
        views = max(gather_objects(views))
    if views * sizes[rank] != n:
        raise RuntimeError(f"process {rank} has {n} rows of a batch of which it was told {sizes[rank]}")
    return [views * size for size in sizes]
