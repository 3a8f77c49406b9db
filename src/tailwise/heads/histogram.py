"""The histogram head: the masses of cells of the target for each row, and the cells that it starts from."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError, label_array, whole
from tailwise.distributions.histograms import Histogram
from tailwise.heads.head import as_array
from tailwise.heads.point import PointHead

_NARROWEST = 1e-6  # width of a cell over that of all; float32 tells their edges apart
_ROUNDS = 20
_RANGE = 3.0  # of the cells of a head without training labels, in both directions


def cell_edges(y_train: ArrayLike, n_cells: int) -> NDArray[np.float64]:
    """Edges of cells, half of them by quantiles of training labels and half of equal width.

    No cell has more than ``2 / n_cells`` of the range, nor more than about that fraction of the labels where they
    differ; labels of equal value count for at most one cell. With as many cells as there are
    different labels, each label has the cell of all values that are nearest to it. The range reaches beyond the
    lowest and the highest label by half the distance to the next one.

    Args:
        y_train: ``(n,)`` training labels, target units.
        n_cells: C.

    Returns:
        ``(C + 1,)`` increasing edges, target units.

    Raises:
        InputError: labels that are constant or not finite.

    Example:
        >>> cell_edges([0.0, 0.0, 1.0, 2.0, 4.0], 4).tolist()
        [-0.5, 0.5, 1.5, 3.0, 5.0]
    """
    y = label_array(y_train, "y_train")
    values, counts = np.unique(y, return_counts=True)
    if values.size < 2:
        raise InputError("the training labels are constant; a histogram needs at least two different labels")
    middles = (values[:-1] + values[1:]) / 2
    borders = np.concatenate([[2 * values[0] - middles[0]], middles, [2 * values[-1] - middles[-1]]])
    if n_cells == values.size:
        edges = borders
    else:
        shares = counts / y.size
        for _ in range(_ROUNDS):  # each bound lowers the sum that the next one is a part of
            shares = np.minimum(shares, 2 * shares.sum() / n_cells)
        below = np.append(0, shares.cumsum())
        along = (borders - borders[0]) / (borders[-1] - borders[0])
        edges = np.interp(np.linspace(0, 1, n_cells + 1), (below / below[-1] + along) / 2, borders)
    least = _NARROWEST * (edges[-1] - edges[0]) * np.arange(n_cells + 1)
    return np.asarray(np.maximum.accumulate(edges - least) + least, dtype=np.float64)


class HistogramHead(PointHead):
    """Linear layer that gives the masses of C cells, each with a uniform density; their mean is the prediction.

    Imani and White, *Improving Regression Performance with Distributional Losses* (ICML 2018).

    Args:
        n_features: number of features d.
        n_cells: C.

    Shape:
        ``(B, d)`` to predictions ``(B,)``.

    Raises:
        InputError: fewer than 2 cells.

    Note:
        The authors' cells have equal widths; these are the ones of :func:`cell_edges`.

    Example:
        >>> head = HistogramHead(8, n_cells=4).match_scale([10.0, 20.0, 60.0, 70.0])
        >>> outputs = head.outputs(torch.zeros(5, 8))
        >>> outputs.shape, head.point(outputs).shape, outputs[0, :, 2].round().tolist()
        (torch.Size([5, 4, 3]), torch.Size([5]), [15.0, 40.0, 65.0, 75.0])
    """

    edges: Tensor

    def __init__(self, n_features: int, *, n_cells: int = 100) -> None:
        super().__init__(n_features)
        self.n_cells = whole(n_cells, "n_cells", least=2, most=1000)
        self.linear = nn.Linear(n_features, self.n_cells)
        # In standard deviations of the labels from their mean.
        self.register_buffer("edges", torch.linspace(-_RANGE, _RANGE, self.n_cells + 1))

    @property
    def shape(self) -> dict[str, Any]:
        """Description for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "histogram", "n_cells": self.n_cells}

    def match_scale(self, y_train: ArrayLike) -> Self:
        """Take shift, scale and edges of the cells from training labels ``(n,)``."""
        super().match_scale(y_train)
        y = np.asarray(y_train, dtype=np.float64)
        self.edges.copy_(torch.from_numpy((cell_edges(y, self.n_cells) - y.mean()) / y.std()))
        return self

    def outputs(self, features: Tensor) -> Tensor:
        """``(B, C, 3)``: log mass of each cell, and its lower and upper edge in target units."""
        # In the type of the edges: under autocast the linear layer's would be too coarse for them.
        log_masses = self.linear(features).to(self.edges.dtype).log_softmax(1)
        edges = torch.addcmul(self.shift, self.edges, self.scale).to(log_masses.dtype)
        return torch.stack((log_masses, edges[:-1].expand_as(log_masses), edges[1:].expand_as(log_masses)), dim=2)

    def point(self, outputs: Tensor) -> Tensor:
        """Mean of the histogram, ``(B,)``."""
        log_masses, low, high = outputs.unbind(2)
        return (log_masses.exp() * (low + high) / 2).sum(1)

    def std(self, outputs: Tensor) -> Tensor:
        """Standard deviation of the histogram, ``(B,)``, target units."""
        log_masses, low, high = outputs.unbind(2)
        masses, middles = log_masses.exp(), (low + high) / 2
        gaps = middles - (masses * middles).sum(1, keepdim=True)
        return (masses * (gaps.square() + (high - low).square() / 12)).sum(1).sqrt()

    def predictive(self, outputs: Tensor) -> Histogram:
        """The histograms of B rows."""
        edges = as_array(self.shift) + as_array(self.scale) * as_array(self.edges)
        return Histogram(edges, np.exp(as_array(outputs[..., 0])))
