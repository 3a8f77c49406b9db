"""Data-parallel training: the global batch, sums over processes, and actions of one or all processes.

Without ``torch.distributed`` every function is the identity. Process r of W has the r-th piece of each global batch, as
:func:`torch.tensor_split` cuts it. Inside :func:`sharing` the sizes of the pieces are known; otherwise processes
exchange their numbers of rows.
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
    """Return the rank of this process and the number of processes."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def piece_sizes(n: int) -> tuple[int, ...]:
    """Return the number of rows in each process's piece of a global batch of n rows."""
    _, n_processes = world()
    return tuple(n // n_processes + (rank < n % n_processes) for rank in range(n_processes))


def piece(n: int) -> slice:
    """Return the slice of a global batch of n rows that belongs to this process."""
    sizes, (rank, _) = piece_sizes(n), world()
    return slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))


@contextmanager
def sharing(n: int) -> Iterator[None]:
    """Declare that batches inside the context are pieces of a global batch of n rows."""
    token = _SIZES.set(piece_sizes(n))
    try:
        yield
    finally:
        _SIZES.reset(token)


@contextmanager
def gathered() -> Iterator[None]:
    """Declare that rows inside the context are already those of all processes, so they are not gathered again."""
    token = _GATHERED.set(True)
    try:
        yield
    finally:
        _GATHERED.reset(token)


def own_rows(draw: Callable[[int], Tensor], n: int) -> Tensor:
    """Draw random rows for the global batch and return those of this process, independent of the number of processes.

    Outside :func:`sharing` only n rows are drawn.

    Args:
        draw: returns the given number of random rows from torch's generator, which has the same seed in all processes.
        n: number of rows of this process.
    """
    if _SIZES.get() is None:
        return draw(n)
    rank, sizes = world()[0], _sizes(n)
    start = sum(sizes[:rank])
    return draw(sum(sizes))[start : start + n]


@contextmanager
def own_draws(device: torch.device) -> Iterator[None]:
    """Let each process draw only for its own rows; torch's generator afterwards does not depend on their number.

    For random numbers inside other libraries (augmentation of images, dropout of a pretrained encoder), which cannot
    use :func:`own_rows`.
    """
    seed = int(torch.randint(2**32, ()))
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed + world()[0])
        yield


def rows_in_reach(rows: Tensor) -> Tensor:
    """Return the rows of the global batch inside :func:`sharing`, else ``rows``.

    Gradients reach the rows of this process only.
    """
    return rows if _SIZES.get() is None else gather_rows(rows)


def gather_rows(rows: Tensor) -> Tensor:
    """Gather the rows of all processes, in order, for a loss over the global batch that each process computes.

    The gradient of the rows of a process is that of the global loss times the number of processes. Data-parallel
    training averages the gradients of parameters over processes, which then gives the gradient of a single process.

    Args:
        rows: ``(n, ...)`` of this process.

    Returns:
        ``(N, ...)``.
    """
    if world()[1] == 1 or _GATHERED.get():
        return rows
    all_rows: Tensor = _Gather.apply(rows) if rows.requires_grad else _gathered(rows)  # type: ignore[no-untyped-call]
    return all_rows


def gather_all(*tensors: Any) -> tuple[Any, ...]:
    """Apply :func:`gather_rows` to every tensor; other values stay unchanged."""
    return tuple(gather_rows(value) if isinstance(value, Tensor) else value for value in tensors)


def sum_over_processes(values: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place."""
    if world()[1] > 1:
        dist.all_reduce(values)
    return values


def on_main(action: Callable[[], Any]) -> Any:
    """Run an action in the main process only and return its value in all; an InputError is raised by all processes."""
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
    """Run an action in every process and return its value; an InputError of any process is raised by all."""
    value, mistake = None, None
    try:
        value = action()
    except InputError as error:
        mistake = str(error)
    for rank, message in enumerate(gather_objects(mistake)):
        if message is not None:
            raise InputError(message if rank == 0 else f"process {rank}: {message}")
    return value


def main_first(action: Callable[[], Any]) -> Any:
    """Run an action in every process, in the main process before all others, and return its value."""
    rank, _ = world()
    value = together(action if rank == 0 else lambda: None)
    return together(action if rank else lambda: value)


def gather_objects(value: Any) -> list[Any]:
    """Gather the values of all processes, in order."""
    _, n_processes = world()
    if n_processes == 1:
        return [value]
    values: list[Any] = [None] * n_processes
    dist.all_gather_object(values, value)
    return values


def from_main(value: Any) -> Any:
    """Return the value of the main process in all processes."""
    if world()[1] == 1:
        return value
    shared = [value]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        start = sum(_sizes(len(rows))[: world()[0]])
        ctx.rows = slice(start, start + len(rows))
        return _gathered(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient[ctx.rows] * world()[1]


def _gathered(rows: Tensor) -> Tensor:
    """Gather the rows of all processes, without gradient."""
    sizes, n_processes = _sizes(len(rows)), world()[1]
    flat = rows.detach().contiguous()
    if len(set(sizes)) == 1:
        out = flat.new_empty(sum(sizes), *flat.shape[1:])
        dist.all_gather_single(out, flat)
        return out
    # Pieces differ by at most one row: all are padded to the longest.
    most = max(sizes)
    padded = flat.new_zeros(most, *flat.shape[1:])
    padded[: len(flat)] = flat
    out = flat.new_empty(n_processes * most, *flat.shape[1:])
    dist.all_gather_single(out, padded)
    return torch.cat([part[:size] for part, size in zip(torch.split(out, most), sizes, strict=True)])


def _sizes(n: int) -> Sequence[int]:
    """Return the numbers of rows of all processes; this one has n.

    Inside :func:`sharing` they are the declared sizes, or a multiple of them (several views of each row).
    """
    sizes, (rank, n_processes) = _SIZES.get(), world()
    if n_processes == 1:
        return (n,)
    if sizes is None:
        return gather_objects(n)
    views = n // sizes[rank] if sizes[rank] else 0
    if 0 in sizes:  # a process without rows does not know the number of views
        views = max(gather_objects(views))
    if views * sizes[rank] != n:
        raise RuntimeError(f"process {rank} has {n} rows of a batch, not a multiple of the declared {sizes[rank]}")
    return [views * size for size in sizes]
