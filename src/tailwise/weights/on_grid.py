"""Weights at the nodes of a regular grid over scalar labels, interpolated between them."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tailwise._checks import InputError, positive
from tailwise.labels.tensors import float_bits
from tailwise.weights.extremes import Spread, spread_of
from tailwise.weights.weight_function import WeightFunction, check_table

_FINEST = 4  # smallest step, in float32 spacings at the farthest label


class GridWeights(WeightFunction):
    """Weights at the nodes of a regular grid over scalar labels, interpolated between the nodes.

    Args:
        start: first node, target units.
        step: distance between nodes, target units.
        table: ``(n,)`` weight at each node, finite and not negative.
        interpolate: interpolate linearly between the two nodes around a label; otherwise take the left node.

    Shape:
        ``target`` ``(B,)`` or dense ``(B, H, W)`` to weights of the same shape, 0 for a NaN pixel. Labels beyond the
        grid take the weight at its end.

    Raises:
        InputError: fewer than two nodes, negative or infinite weights, a step too small for labels in float32.

    Example:
        >>> GridWeights(0.0, 10.0, [1.0, 3.0, 2.0])(torch.tensor([-5.0, 5.0, 12.5])).tolist()
        [1.0, 2.0, 2.75]
    """

    rows_at_once = 32_768
    grid: Tensor
    table: Tensor

    def __init__(self, start: float, step: float, table: ArrayLike, *, interpolate: bool = True) -> None:
        super().__init__()
        values = np.asarray(table, dtype=np.float64)
        if values.ndim != 1 or values.size < 2:
            raise InputError(f"table must have at least two weights in one dimension, got shape {values.shape}")
        check_table(values)
        step = positive(step, "step")
        farthest = max(abs(start), abs(start + step * (values.size - 1)))
        if step < _FINEST * float(np.spacing(np.float32(farthest))):
            raise InputError(
                f"a step of {step:g} is lost in float32 at labels around {farthest:g}; subtract a constant from the "
                "target"
            )
        self.interpolate = interpolate
        self.register_buffer("grid", float_bits([start, step]))
        self.register_buffer("table", torch.from_numpy(values).float())

    def weigh(self, labels: Tensor) -> Tensor:
        """Return the weights of float32 labels without NaN."""
        grid, table = self.grid.view(torch.float32), self.table.float()
        position = ((labels - grid[0]) / grid[1]).clamp(0, len(table) - 1)
        if not self.interpolate:
            return table[position.long()]
        left = position.long().clamp(max=len(table) - 2)
        return torch.lerp(table[left], table[left + 1], position - left)

    def extra_repr(self) -> str:
        """Return the ends of the grid and the largest weight as text."""
        start, step = self.grid.view(torch.float32).tolist()
        last = start + step * (len(self.table) - 1)
        return f"{len(self.table)} nodes from {start:g} to {last:g}, max={float(self.table.max()):.3g}"


def scaled_grid_weights(
    start: float, step: float, table: NDArray[np.float64], y: NDArray[np.float64], *, interpolate: bool = True
) -> tuple[GridWeights, Spread]:
    """Weights proportional to the table with mean 1 over the labels ``y``, and their spread."""
    at_labels = GridWeights(start, step, table, interpolate=interpolate).sample_weight(y)
    scaled = GridWeights(start, step, table / at_labels.mean(), interpolate=interpolate)
    return scaled, spread_of(at_labels, np.ones(y.size))
