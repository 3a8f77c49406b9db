"""Loss weights as a function of the label: the interface of all weights, and uniform weights."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError, label_array, not_a_column
from tailwise.labels.bin_grid import label_rows
from tailwise.labels.tensors import step_labels


class UniformWeights(nn.Module):
    """Null object of the weights slot: every label has weight 1."""

    def forward(self, target: Tensor) -> Tensor:
        """Return ones, ``(B,)`` for targets ``(B,)`` and ``(B, K)``, ``(B, H, W)`` for dense ones."""
        shape = target.shape[:1] if target.ndim == 2 else target.shape
        dtype = target.dtype if target.is_floating_point() else torch.float32
        return torch.ones(shape, dtype=dtype, device=target.device)

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return ones for NumPy labels."""
        return np.ones(np.shape(y))


class WeightFunction(nn.Module):
    """Base class of weights: checks shapes, keeps the type of the target, and gives NaN pixels weight 0.

    A subclass defines :meth:`weigh`. ``k`` is the number of label dimensions, ``None`` for scalar labels;
    ``rows_at_once`` bounds the memory of :meth:`sample_weight`.
    """

    k: int | None = None
    rows_at_once = 1024

    def weigh(self, labels: Tensor) -> Tensor:
        """Return the weights of float32 labels without NaN."""
        raise NotImplementedError

    def forward(self, target: Tensor) -> Tensor:
        """Return the weight of each label, in the type of ``target`` if that is floating-point, else float32."""
        if self.k is None:
            not_a_column(target)
        if self.k is None and target.ndim == 2:
            raise InputError(f"weights need a scalar target (B,) or a dense one (B, H, W), got {tuple(target.shape)}")
        if self.k is not None and (target.ndim != 2 or target.shape[1] != self.k):
            raise InputError(f"weights of {self.k}-dimensional labels need (B, {self.k}), got {tuple(target.shape)}")
        if target.ndim < 3:
            weight = self.weigh(step_labels(target, infinite=True).float())
        else:
            known = ~torch.isnan(target)
            weight = self.weigh(torch.where(known, target, 0.0).float()) * known
        return weight.to(target.dtype) if target.is_floating_point() else weight.float()

    def sample_weight(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the weights of ``(n,)`` or ``(n, K)`` NumPy labels, for any estimator that takes ``sample_weight``."""
        labels = label_tensor(label_array(y) if self.k is None else label_rows(y)).to(next(self.buffers()).device)
        starts = range(0, len(labels), self.rows_at_once)
        with torch.no_grad():
            weight = torch.cat([self(labels[start : start + self.rows_at_once]) for start in starts])
        return np.asarray(weight.cpu().numpy(), dtype=np.float64)


def label_tensor(labels: NDArray[np.float64]) -> Tensor:
    """Return labels as a tensor, copied because a view may have negative strides or be read-only."""
    return torch.from_numpy(np.array(labels, order="C"))


def check_table(values: NDArray[np.float64]) -> None:
    """Raise an InputError unless every weight is finite and at least 0."""
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError("every weight must be finite and at least 0")
