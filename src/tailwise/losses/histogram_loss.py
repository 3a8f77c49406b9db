"""Cross-entropy of a histogram head with soft labels."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tailwise._checks import InputError, label_array, positive, whole
from tailwise._part import Part
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import weighted_mean


def soft_labels(outputs: Tensor, target: Tensor, *, smoothing: float = 0.75) -> Tensor:
    """Masses that Gaussians around labels have in the cells of a histogram, between its lowest and highest edge.

    (Φ((b - y)/σ) - Φ((a - y)/σ)) / Z for a cell from a to b, where σ is ``smoothing`` times the width of the label's
    cell and Z makes the masses add up to 1; HL-Gaussian (HL-Gauss) of Imani and White, *Improving Regression
    Performance with Distributional Losses* (ICML 2018).

    Args:
        outputs: ``(B, C, 3)`` of a histogram head: log mass, lower and upper edge of each cell, target units.
        target: ``(B,)``; a label outside all cells counts as the nearest edge.
        smoothing: standard deviation of the Gaussian in widths of the label's cell.

    Returns:
        ``(B, C)``.

    Raises:
        InputError: shapes that do not belong together.

    Example:
        >>> outputs = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 1.0, 2.0], [0.0, 2.0, 3.0]]])
        >>> [round(mass, 3) for mass in soft_labels(outputs, torch.tensor([1.5]), smoothing=0.5)[0].tolist()]
        [0.158, 0.685, 0.158]
    """
    if target.ndim != 1 or outputs.ndim != 3 or outputs.shape[::2] != (len(target), 3):
        raise InputError(
            f"a histogram head gives outputs (B, C, 3) for a scalar target (B,), got {tuple(outputs.shape)} with "
            f"{tuple(target.shape)}"
        )
    if outputs.dtype in (torch.float16, torch.bfloat16):  # masses of neighbouring cells need more digits
        outputs = outputs.float()
    _, low, high = outputs.unbind(2)
    y = target.to(low.dtype).clamp(low[:, 0], high[:, -1]).unsqueeze(1)
    cell = (y >= low[:, 1:]).sum(1, keepdim=True)
    sigma = smoothing * (high - low).gather(1, cell)
    z = (torch.cat((low, high[:, -1:]), dim=1) - y) / (math.sqrt(2) * sigma).clamp_min(torch.finfo(low.dtype).tiny)
    below = torch.erf(z)
    return below.diff(dim=1) / (below[:, -1:] - below[:, :1])


class HistogramLoss(Loss):
    """Cross-entropy between :func:`soft_labels` and the masses of a histogram head.

    L = -1/B Σ_i w_i Σ_j q_ij log p_ij, q the soft labels and p the masses of the cells; Imani and White (ICML 2018).

    Args:
        y_train: ``(n,)`` training labels, target units; the matching head has at most one cell for each different one.
        n_cells: C, largest number of cells.
        smoothing: standard deviation of the soft labels in widths of the label's cell; public code of HL-Gauss has 2.

    Shape:
        ``outputs`` ``(B, C, 3)`` of a :class:`tailwise.heads.histogram.HistogramHead`, ``target`` and ``weight``
        ``(B,)``.

    Raises:
        InputError: numbers out of range, constant labels, shapes that do not belong together.

    Example:
        >>> from tailwise.heads.attach import head_from
        >>> y_train = np.linspace(10.0, 60.0, 500)
        >>> loss = HistogramLoss(y_train)
        >>> head = head_from(8, loss.head).match_scale(y_train)
        >>> loss(head.outputs(torch.zeros(5, 8)), torch.full((5,), 30.0)).shape
        torch.Size([])
    """

    on_outputs = True

    def __init__(self, y_train: ArrayLike, *, n_cells: int = 100, smoothing: float = 0.75) -> None:
        super().__init__()
        n_labels = np.unique(label_array(y_train, "y_train")).size
        if n_labels < 2:
            raise InputError("y_train is constant; a histogram needs at least two different labels")
        self.n_cells = min(whole(n_cells, "n_cells", least=2, most=1000), n_labels)
        self.smoothing = positive(smoothing, "smoothing", most=10)

    @property
    def head(self) -> dict[str, Any]:
        """Shape of the matching head, for :func:`tailwise.heads.attach.head_from`."""
        return {"kind": "histogram", "n_cells": self.n_cells}

    def forward(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of a batch."""
        rows = -(soft_labels(outputs, target, smoothing=self.smoothing) * outputs[..., 0]).sum(1)
        return weighted_mean(rows, weight, target)

    def extra_repr(self) -> str:
        """Return the parameters as text."""
        return f"n_cells={self.n_cells}, smoothing={self.smoothing:g}"


HISTOGRAM_PART = Part(
    name="histogram",
    slot="loss",
    make=HistogramLoss,
    summary="histogram head: cross-entropy of cells of the target with Gaussian soft labels (HL-Gauss)",
    source="Imani and White, Improving Regression Performance with Distributional Losses, ICML",
    year=2018,
    cost="O(B C)",
    use="""\
objective = compose("histogram", histogram={"n_cells": 50}).build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has a new head
loss = sum(objective(x, y).values())""",
    units={"n_cells": "cells", "smoothing": "cells"},
    targets=("scalar",),
    needs=("y",),
    most={"n_cells": 1000, "smoothing": 10.0},
    deviates=True,
)
