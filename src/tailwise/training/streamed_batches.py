"""Batches of rows that stay on disk, and preprocessing fitted to them in one pass."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from tailwise.data.columns import Schema
from tailwise.data.preprocessing import NUMBERS, fit_preprocessor
from tailwise.data.rows import Rows
from tailwise.distributed import piece

_BLOCK = 64
_AT_ONCE = 16_384


class StreamedBatches:
    """Shuffled batches ``(x, y)`` of rows that are read when they are needed.

    Blocks of 64 neighbouring rows are shuffled, and rows within some 16,384 of them, so that the disk is read in pieces
    and a batch still holds rows from everywhere. The order follows torch's global generator, so one seed an epoch fixes
    it. Each of several processes reads the rows of its piece of every batch.

    Args:
        rows: training rows.
        y: ``(n,)`` targets.
        inputs: from rows to inputs ``(n, n_inputs)``.
        batch_size: rows a batch, of all processes together.
        device: where batches are put.
    """

    def __init__(
        self,
        rows: Rows,
        y: NDArray[np.float64],
        inputs: Callable[[pd.DataFrame], NDArray[np.float32]],
        *,
        batch_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.rows, self.y, self.inputs = rows, y, inputs
        self.batch_size, self.device = batch_size, torch.device(device)

    def to(self, device: torch.device) -> "StreamedBatches":
        """Return the same batches on another device."""
        return StreamedBatches(self.rows, self.y, self.inputs, batch_size=self.batch_size, device=device)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def pieces(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield the number of rows of each batch over all processes, and inputs and targets of this process's rows."""
        n = len(self.rows)
        # A separate generator: random draws of the training steps must not change the order.
        order_of = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        blocks = torch.randperm(-(-n // _BLOCK), generator=order_of).numpy()
        order = (blocks[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
        order = order[order < n]
        group = self.batch_size * max(1, _AT_ONCE // self.batch_size)
        for start in range(0, n, group):
            rows = order[start : start + group]
            rows = rows[torch.randperm(len(rows), generator=order_of).numpy()]
            batches = [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
            pieces = [batch[piece(len(batch))] for batch in batches]
            index = np.concatenate(pieces)
            x = np.concatenate([self.inputs(frame) for frame in self.rows.select(index).pieces(_AT_ONCE)] or [_NONE])
            cuts = np.cumsum([len(batch) for batch in pieces])[:-1].tolist()
            parts = zip(
                torch.from_numpy(x).tensor_split(cuts),
                torch.from_numpy(self.y[index]).float().tensor_split(cuts),
                strict=True,
            )
            for batch, (inputs, target) in zip(batches, parts, strict=True):
                yield len(batch), inputs.to(self.device), target.to(self.device)


_NONE = np.empty((0, 0), np.float32)


def fit_streamed_preprocessor(schema: Schema, rows: Rows, sample: pd.DataFrame) -> ColumnTransformer:
    """Fit the preprocessing to training rows that are not in memory, in one pass.

    Means and standard deviations come from all rows, medians and the most frequent categories from a sample.
    Every cell is checked.

    Args:
        schema: columns of the table.
        rows: training rows.
        sample: uniform random sample of the training rows.

    Raises:
        InputError: a cell that does not fit its column.
    """
    preprocessor = fit_preprocessor(schema.features(sample))
    numbers = preprocessor.named_transformers_.get(NUMBERS)
    scaler = StandardScaler()
    for frame in rows.pieces(_AT_ONCE):
        features = schema.features(frame)
        if numbers is not None:
            scaler.partial_fit(numbers[0].transform(features[list(numbers[0].feature_names_in_)]))
    if numbers is not None:
        numbers.steps[1] = (numbers.steps[1][0], scaler)
    return preprocessor
