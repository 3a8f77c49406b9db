"""Batches of rows with several inputs, some of them decoded from files when they are needed."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tailwise._checks import InputError
from tailwise.distributed import piece
from tailwise.training.batches import drawn_order

_MOST_WORKERS = 8
_AHEAD = 2


@dataclass(frozen=True)
class OnDisk:
    """Files that are decoded when they are needed.

    Args:
        paths: one per row.
        decode: from some paths to values ``(n, ...)``.
    """

    paths: Sequence[str]
    decode: Callable[[Sequence[str]], Any]

    def __len__(self) -> int:
        return len(self.paths)


class MediaBatches:
    """Shuffled batches ``(x, y)`` whose x is a mapping of inputs: tensors, or files that worker processes decode.

    The sizes of batches differ by at most one row, so that no batch is left with a single row, which batch norm could
    not take.

    The order follows torch's global generator, so one seed per epoch fixes it. With several processes, each gets and
    decodes its piece of every batch; their generators must have the same seed.

    Args:
        x: inputs by name, each with n rows.
        y: ``(n, ...)`` targets.
        batch_size: most rows of a batch, of all processes together.
        device: where batches are put; tensors are put there once.
        workers: number of processes that decode; by default one per core, at most 8.

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
        weight: Tensor | None = None,
    ) -> None:
        lengths = {name: len(values) for name, values in x.items()} | {"y": len(y)}
        if len(set(lengths.values())) > 1 or len(y) == 0:
            raise InputError(f"inputs and targets must have the same number of rows, above 0; got {lengths}")
        if batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {batch_size!r}")
        self.device = torch.device(device)
        self.x = {name: values.to(self.device) if isinstance(values, Tensor) else values for name, values in x.items()}
        self.y, self.batch_size, self.weight = y.to(self.device), batch_size, weight
        self.workers = min(_cores(), _MOST_WORKERS) if workers is None else workers

    def to(self, device: torch.device) -> "MediaBatches":
        """Return the same batches on another device."""
        size, workers = self.batch_size, self.workers
        return MediaBatches(self.x, self.y, batch_size=size, device=device, workers=workers, weight=self.weight)

    def __len__(self) -> int:
        return -(-len(self.y) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        return ((x, y) for _, x, y in self.pieces())

    def pieces(self) -> Iterator[tuple[int, dict[str, Tensor], Tensor]]:
        """Yield the number of rows of each batch of all processes, and inputs and targets of this process's piece."""
        batches = torch.tensor_split(drawn_order(len(self.y), self.weight), len(self))
        pieces = [batch[piece(len(batch))] for batch in batches]
        for batch, index, decoded in zip(batches, pieces, self._decoded(pieces), strict=True):
            rows = index.to(self.device)
            x = {
                name: values.index_select(0, rows) if isinstance(values, Tensor) else decoded[name].to(self.device)
                for name, values in self.x.items()
            }
            yield len(batch), x, self.y.index_select(0, rows)

    def _decoded(self, pieces: list[Tensor]) -> Iterator[dict[str, Tensor]]:
        files = {name: values for name, values in self.x.items() if isinstance(values, OnDisk)}
        if not files:
            return ({} for _ in pieces)
        return decoded_in_order(files, pieces, workers=self.workers)


def decoded_in_order(
    files: Mapping[str, OnDisk], pieces: Sequence[Tensor], *, workers: int
) -> Iterator[dict[str, Tensor]]:
    """Yield the decoded files of each piece, in order; worker processes decode ahead.

    Args:
        files: by input.
        pieces: positions of rows.
        workers: number of processes; 0 decodes in this one.

    Raises:
        InputError: a file that cannot be decoded, a worker process that is killed.
    """
    # Workers draw their seeds from a separate generator, so that the draws of a training step stay the same.
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
            decoded = next(batches)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise InputError(
                "a process that decodes files was killed; give more memory (in a container also --shm-size), or use a "
                "smaller `batch_size`"
            ) from error
        if isinstance(decoded, str):
            raise InputError(decoded)
        yield decoded


def _cores() -> int:
    """Return the number of cores this process may use."""
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
        except InputError as error:  # as text, because a worker's exception has its traceback as its message
            return str(error)
