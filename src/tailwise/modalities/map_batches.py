"""Batches of images with their maps: in memory or decoded on the way, augmented where the network is."""

from collections.abc import Iterator
from copy import copy
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tailwise._checks import InputError
from tailwise.modalities.map_rows import MapRows

_IN_MEMORY = 2 * 1024**3
_WORKERS = 4
_JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.05}


class MapBatches:
    """Shuffled batches of images ``(B, 3, H, W)`` from 0 to 1 and of maps ``(B, ceil(H / 2), ceil(W / 2))``.

    Images and maps are kept in memory where they need at most 2 GiB, and decoded by worker processes otherwise. The
    order and the augmentation follow torch's global generator, so one seed per epoch fixes them. Half of the images are
    mirrored, with their maps; brightness, contrast, saturation and hue change in images alone, by ``kornia``, which
    draws them on the device of the batch.

    Args:
        rows: training rows.
        batch_size: images per batch.
        augment: whether to mirror images and change colours.
        workers: number of processes that decode; 0 decodes in this one. By default 4 where the rows do not fit in
            memory.
        device: where batches are put.

    Raises:
        InputError: ``kornia`` is not installed, no rows.
    """

    def __init__(
        self,
        rows: MapRows,
        *,
        batch_size: int,
        augment: bool = True,
        workers: int | None = None,
        device: torch.device | None = None,
    ) -> None:
        if len(rows) == 0:
            raise InputError("there is no training row")
        self.batch_size, self.n = batch_size, len(rows)
        self.device = device or torch.device("cpu")
        self.jitter: Any = _colours() if augment else None
        bytes_each = rows.size[0] * rows.size[1] * 4  # three bytes of colours, and a quarter of a float32
        self._order = _Order()
        dataset: Dataset[Any]
        if workers is None and bytes_each * self.n <= _IN_MEMORY:
            dataset = TensorDataset(torch.from_numpy(rows.decoded()), torch.from_numpy(rows.targets()))
        else:
            dataset = _Files(rows)
        workers = 0 if isinstance(dataset, TensorDataset) else _WORKERS if workers is None else workers
        self._loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=self._order,
            num_workers=workers,
            persistent_workers=workers > 0,
            multiprocessing_context="forkserver" if workers else None,
            generator=torch.Generator(),  # a loader draws when it starts, which a resumed training would not repeat
        )

    def to(self, device: torch.device) -> "MapBatches":
        """Return the same batches on another device."""
        moved = copy(self)
        moved.device = device
        return moved

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return ((x, y) for _, x, y in self.pieces())

    def pieces(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield the number of rows of each batch, its images and its maps."""
        order = torch.randperm(self.n)
        self._order.batches = [batch.tolist() for batch in torch.split(order, self.batch_size)]
        for images, maps in self._loader:
            x = images.to(self.device, non_blocking=True).float() / 255
            y = maps.to(self.device, non_blocking=True)
            yield len(x), *(self._augmented(x, y) if self.jitter is not None else (x, y))

    def _augmented(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        mirrored = torch.rand(len(x), device=x.device) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(-1), x)
        y = torch.where(mirrored[:, None, None], y.flip(-1), y)
        return self.jitter(x), y


class _Order:
    """Positions of the rows of each batch of the next epoch."""

    batches: list[list[int]]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Files(Dataset[tuple[Tensor, Tensor]]):
    """Images and maps decoded on access, by worker processes."""

    def __init__(self, rows: MapRows) -> None:
        self.rows = rows

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        row = self.rows.select([i])
        return torch.from_numpy(row.decoded()[0]), torch.from_numpy(row.targets()[0])

    def __len__(self) -> int:
        return len(self.rows)


def _colours() -> Any:
    try:
        from kornia.augmentation import ColorJiggle
    except ImportError as error:
        raise InputError(
            "augmentation needs kornia: pip install 'tailwise[image]', or `depth.augment=false`"
        ) from error
    return ColorJiggle(**_JITTER, p=1.0)
