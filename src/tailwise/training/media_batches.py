"""Batches of several inputs a row, some of them decoded from files when they are needed."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tailwise._checks import InputError
from tailwise.distributed import piece

_MOST_WORKERS = 8
_AHEAD = 2


@dataclass(frozen=True)
class OnDisk:
    """Files that are decoded when they are needed.

    Args:
        paths: one a row.
        decode: from some of them to ``(n, ...)`` values.
    """

    paths: Sequence[str]
    decode: Callable[[Sequence[str]], Any]

    def __len__(self) -> int:
        return len(self.paths)


class MediaBatches:
    """Shuffled batches ``(x, y)`` whose x is a mapping of inputs: tensors, or files that worker processes decode.

    Batches are of one size, or differ by one row: none is left with a single row, which batch norm could not take.

    The order follows torch's global generator, so one seed an epoch fixes it. Of several processes each gets, and
    decodes, its piece of every batch; their generators must be seeded alike.

    Args:
        x: inputs by name, each with n rows.
        y: ``(n, ...)`` targets.
        batch_size: most rows of a batch, of all processes together.
        device: where batches are put; tensors are put there once.
        workers: processes that decode; one a core, at most 8, if not given.

    Raises:
        InputError: inputs of different length, or a batch size below 1.

    Example:
        >>> batches = MediaBatches({"table": torch.zeros(5, 2)}, torch.zeros(5), batch_size=2)
        >>> [(rows, x["table"].shape) for rows, x, y in batches.pieces()][-1]
        (1, torch.Size([1, 2]))
    """

    def __init__(
        self,
        x: Mapping[str, Tensor | OnDisk],
        y: Tensor,
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
        workers: int | None = None,
    ) -> None:
        lengths = {name: len(values) for name, values in x.items()} | {"y": len(y)}
        if len(set(lengths.values())) > 1 or len(y) == 0:
            raise InputError(f"inputs and targets must have the same number of rows, above 0; got {lengths}")
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size!r}")
        self.device = torch.device(device)
        self.x = {name: values.to(self.device) if isinstance(values, Tensor) else values for name, values in x.items()}
        self.y, self.batch_size = y.to(self.device), batch_size
        self.workers = min(_cores(), _MOST_WORKERS) if workers is None else workers

    def to(self, device: torch.device) -> "MediaBatches":
        """The same batches on another device."""
        return MediaBatches(self.x, self.y, batch_size=self.batch_size, device=device, workers=self.workers)

    def __len__(self) -> int:
        return -(-len(self.y) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        return ((x, y) for _, x, y in self.pieces())

    def pieces(self) -> Iterator[tuple[int, dict[str, Tensor], Tensor]]:
        """Of each batch of all processes its number of rows, and inputs and targets of this process's piece."""
        batches = torch.tensor_split(torch.randperm(len(self.y)), len(self))
        own = [batch[piece(len(batch))] for batch in batches]
        for batch, index, decoded in zip(batches, own, self._decoded(own), strict=True):
            here = index.to(self.device)
            x = {
                name: values.index_select(0, here) if isinstance(values, Tensor) else decoded[name].to(self.device)
                for name, values in self.x.items()
            }
            yield len(batch), x, self.y.index_select(0, here)

    def _decoded(self, own: list[Tensor]) -> Iterator[dict[str, Tensor]]:
        files = {name: values for name, values in self.x.items() if isinstance(values, OnDisk)}
        if not files:
            return ({} for _ in own)
        return decoded_in_order(files, own, workers=self.workers)


def decoded_in_order(
    files: Mapping[str, OnDisk], pieces: Sequence[Tensor], *, workers: int
) -> Iterator[dict[str, Tensor]]:
    """What the files of each piece hold, in order; worker processes decode ahead.

    Args:
        files: by input.
        pieces: positions of rows.
        workers: processes; 0 decodes in this one.

    Raises:
        InputError: a file that cannot be decoded, a worker process that is killed.
    """
    # Workers draw seeds from a generator of their own: they must not change what a step draws.
    loader = DataLoader(
        _Pieces(files, pieces),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        generator=torch.Generator().manual_seed(0),
    )
    batches = iter(loader)
    for _ in pieces:
        try:
            found = next(batches)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise InputError(
                "a process that decodes files was killed; give more memory (in a container also --shm-size), or use a "
                "smaller `batch_size`"
            ) from error
        if isinstance(found, str):
            raise InputError(found)
        yield found


def _cores() -> int:
    """Cores this process may use, where the system says that, else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Pieces(Dataset[Any]):
    def __init__(self, files: Mapping[str, OnDisk], pieces: Sequence[Tensor]) -> None:
        self.files, self.pieces = files, pieces

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, i: int) -> dict[str, Tensor] | str:
        rows = self.pieces[i].tolist()
        try:
            return {
                name: torch.from_numpy(files.decode([files.paths[row] for row in rows]))
                for name, files in self.files.items()
            }
        except InputError as error:  # as words: an exception of a worker comes with its traceback as its text
            return str(error)
