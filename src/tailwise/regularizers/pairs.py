"""Distances between labels, normalised rows, and checks of a batch, for all regularizers."""

from typing import Literal

import torch
from torch import Tensor

from tailwise._checks import InputError, same_shape
from tailwise.labels.tensors import step_labels

LabelDistance = Literal["l1", "l2"]
LABEL_DISTANCES = ("l1", "l2")

_LEAST_NORM = 1e-12


def label_gaps(labels: Tensor, distance: LabelDistance = "l1", others: Tensor | None = None) -> Tensor:
    """Return ``(N, M)`` distances between labels ``(N,)`` or ``(N, K)`` and others, by default the same labels."""
    difference = labels.unsqueeze(1) - (labels if others is None else others).unsqueeze(0)
    if difference.ndim == 2:
        return difference.abs_()
    return difference.abs_().sum(-1) if distance == "l1" else torch.linalg.vector_norm(difference, dim=-1)


def unit(rows: Tensor) -> Tensor:
    """Divide ``(..., d)`` rows by their length; a row of zeros stays, with gradient 0.

    Example:
        >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    nonzero = length > _LEAST_NORM
    return torch.where(nonzero, rows / torch.where(nonzero, length, 1), 0)


def check_batch(features: Tensor, target: Tensor) -> Tensor:
    """Return the labels as floating-point numbers.

    Raises:
        InputError: not one row of features per label, ``(B, d)`` with ``(B,)`` or ``(B, K)``; labels not finite.
    """
    if features.ndim != 2 or target.ndim not in (1, 2) or len(features) != len(target):
        raise InputError(
            f"features must be (B, d) with one row a label, got {tuple(features.shape)} "
            f"for target {tuple(target.shape)}"
        )
    return step_labels(target)


def flatten_views(
    features: Tensor, target: Tensor, pred: Tensor | None, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Turn ``(B, V, d)`` into ``(V * B, d)`` with labels, predictions and weights repeated for every view.

    Args:
        features: ``(B, d)`` or ``(B, V, d)``.
        target: ``(B,)`` or ``(B, K)``.
        pred: same shape as ``target``, ``(B, V)`` with one prediction per view, or ``None`` to take the target.
        weight: ``(B,)`` or ``None``.

    Raises:
        InputError: shapes that do not belong together.
    """
    if features.ndim not in (2, 3) or target.ndim not in (1, 2) or len(features) != len(target):
        raise InputError(
            f"features must be (B, d) or (B, V, d) with one row a label, got {tuple(features.shape)} "
            f"for target {tuple(target.shape)}"
        )
    if weight is not None and weight.shape != target.shape[:1]:
        raise InputError(f"weight must be (B,) = {tuple(target.shape[:1])}, got {tuple(weight.shape)}")
    target = step_labels(target)
    pred = target if pred is None else pred
    if features.ndim == 2:
        same_shape(pred, target)
        return features, target, pred, weight
    batch, views = features.shape[:2]
    if target.ndim == 1 and pred.shape == (batch, views):
        pred = pred.T.reshape(-1)
    else:
        same_shape(pred, target)
        pred = torch.cat([pred] * views)
    flat = features.transpose(0, 1).reshape(views * batch, -1)
    return flat, torch.cat([target] * views), pred, None if weight is None else torch.cat([weight] * views)
