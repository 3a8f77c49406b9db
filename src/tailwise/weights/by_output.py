"""Weights of each of many label dimensions, by the bins of each alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.weights.weight_function import WeightFunction


class WeightsByOutput(nn.Module):
    """Weights of labels of K dimensions, one for each row and dimension.

    For losses that are means over the dimensions: dimension j of a row counts by the rarity of label j alone.

    Args:
        each: weights of the labels of each dimension.

    Shape:
        ``target`` ``(B, K)`` to weights ``(B, K)``.

    Raises:
        InputError: labels of another shape.

    Example:
        >>> from tailwise.weights.by_density import density_weights
        >>> from tailwise.labels.bins import Bins
        >>> y = np.array([[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
        >>> bins = Bins.from_edges([-0.5, 0.5, 1.5])
        >>> weights = WeightsByOutput([density_weights(y[:, j], bins, power=1.0) for j in range(2)])
        >>> weights(torch.tensor([[0.0, 1.0]])).tolist()
        [[0.75, 1.5]]
    """

    by_output = True

    def __init__(self, each: Sequence[WeightFunction]) -> None:
        super().__init__()
        self.each = nn.ModuleList(each)

    def forward(self, target: Tensor) -> Tensor:
        """Return the weights of a batch of labels."""
        if target.ndim != 2 or target.shape[1] != len(self.each):
            k = len(self.each)
            raise InputError(f"weights of {k}-dimensional labels need (B, {k}), got {tuple(target.shape)}")
        return torch.stack([weights(target[:, j].contiguous()) for j, weights in enumerate(self.each)], dim=1)

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the weights of ``(n, K)`` NumPy labels, same shape."""
        columns = np.asarray(y, dtype=np.float64).T
        pieces: Any = self.each  # a ModuleList does not say what it holds
        each = [weights.sample_weight(column) for weights, column in zip(pieces, columns, strict=True)]
        return np.stack(each, axis=1)
