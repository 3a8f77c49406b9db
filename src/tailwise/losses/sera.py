"""SERA as a loss: squared error weighted by the relevance of the label."""

import warnings

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tailwise._checks import InputError, label_array, not_a_column, positive, same_shape
from tailwise._part import Part
from tailwise.labels.relevance import Box, Relevance, Which
from tailwise.labels.tensors import float_bits, step_labels
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import difference, weighted_mean


def sera_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, *, relevance: Tensor) -> Tensor:
    """Squared error-relevance area of a batch, per label: weighted mean of φ(y) e², target units squared.

    Ribeiro and Moniz, *Imbalanced regression and extreme value prediction* (Machine Learning, 2020):
    SERA = ∫₀¹ SER_t dt with SER_t = Σ_{φ(y_i) ≥ t} e_i², which is Σ_i φ(y_i) e_i².

    Args:
        pred: ``(B,)``, or dense ``(B, H, W)``.
        target: same shape; NaN pixels are left out.
        weight: same shape.
        relevance: same shape, φ of each label, in [0, 1]; ignored where the target is NaN.

    Raises:
        InputError: shapes that differ, or K-dimensional targets.

    Example:
        >>> phi = torch.tensor([1.0, 0.5, 0.0])
        >>> float(sera_loss(torch.tensor([3.0, 5.0, 9.0]), torch.tensor([1.0, 3.0, 4.0]), relevance=phi))
        2.0
    """
    same_shape(pred, target)
    not_a_column(target)
    target = step_labels(target)
    if target.ndim == 2:
        raise InputError("sera needs the relevance of scalar labels; for targets (B, K) use mse or a weighting")
    if relevance.shape != target.shape:
        raise InputError(
            f"relevance has shape {tuple(relevance.shape)}; it must be that of target, {tuple(target.shape)}"
        )
    # The mean leaves out NaN pixels, but a NaN relevance would still make gradients NaN.
    if target.ndim >= 3:
        relevance = torch.where(torch.isnan(target), torch.zeros_like(relevance), relevance)
    return weighted_mean(relevance * difference(pred, target).square(), weight, target)


class SERA(Loss):
    """Squared error-relevance area: :func:`sera_loss` as a module, with the relevance φ of training labels.

    L = ∫_0^1 1/B Σ_{φ(y_i) ≥ t} w_i (ŷ_i - y_i)² dt = 1/B Σ_i w_i φ(y_i) (ŷ_i - y_i)²; Ribeiro and Moniz (2020).

    Args:
        y_train: ``(n,)`` training labels, target units.
        points: control points (y, φ) or (y, φ, φ') of :meth:`Relevance.from_points`, target units; ``None`` takes the
            extremes of a box plot, :meth:`Relevance.extremes` with the other parameters.
        box: ``"plain"``, or ``"adjusted"`` for skewed labels, which always has a relevance at both ends.
        reach: distance of the fences from the quartiles, in interquartile ranges.
        which: ends that count, ``"both"``, ``"low"`` or ``"high"``.

    Raises:
        InputError: labels that are not ``(n,)``, invalid control points, control points together with parameters of the
            box plot.

    Note:
        If no training label has a relevance, the area is 0 for every model. Then every label counts 1, which is the
        squared error, with a warning.

    Example:
        >>> sera = SERA([10.0, 30.0, 50.0], points=[(0, 1), (30, 0), (60, 1)])
        >>> sera.relevance(torch.tensor([0.0, 15.0, 30.0, 99.0])).tolist()
        [1.0, 0.5, 0.0, 1.0]
    """

    degree = 2
    balances = True
    control: Tensor

    def __init__(
        self,
        y_train: ArrayLike,
        *,
        points: ArrayLike | None = None,
        box: Box = "plain",
        reach: float = 1.5,
        which: Which = "both",
    ) -> None:
        super().__init__()
        y = label_array(y_train, "y_train")
        positive(reach, "reach")
        if points is not None and (box, reach, which) != ("plain", 1.5, "both"):
            raise InputError("points take the place of the box plot, whose box, reach and which then mean nothing")
        if points is None:
            phi = Relevance.extremes(y, box=box, coef=reach, which=which)
        else:
            phi = Relevance.from_points(points)
        if phi is None or not phi(y).any():
            way_out = f"give {'other ' * (points is not None)}control points (sera.points)"
            if points is None and box == "plain":
                way_out += " or take the adjusted box plot (sera.box=adjusted)"
            warnings.warn(
                "no training label is extreme: the relevance is 0 everywhere, so sera counts every label 1, which is "
                f"the squared error; {way_out}",
                UserWarning,
                stacklevel=2,
            )
            phi = Relevance.from_points([(0, 1), (1, 1)])
        control = float_bits([phi.points, phi.values, np.asarray(phi.slopes)])
        if (control[0].view(torch.float32).diff() <= 0).any():
            raise InputError(
                f"control points {phi.points.tolist()} are the same in float32, in which labels are trained; "
                "subtract a constant from the labels"
            )
        self.register_buffer("control", control)

    def relevance(self, target: Tensor) -> Tensor:
        """Return φ of each label, same shape as ``target``, float32; NaN for a NaN label."""
        points, values, slopes = self.control.view(torch.float32)
        labels = target.float()
        i = torch.bucketize(labels, points[1:-1].contiguous())
        width = (points[1:] - points[:-1])[i]
        t = ((labels - points[i]) / width).clamp(0, 1)
        rise = t.square() * (3 - 2 * t)
        bend = t * (1 - t) * ((1 - t) * slopes[i] - t * slopes[i + 1]) * width
        phi: Tensor = values[i] + (values[i + 1] - values[i]) * rise + bend
        return phi.clamp(0, 1)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the SERA of a batch, per label."""
        return sera_loss(pred, target, weight, relevance=self.relevance(target).to(pred.dtype))


SERA_PART = Part(
    name="sera",
    slot="loss",
    make=SERA,
    summary="squared error weighted by how extreme the label is: the SERA metric as a loss",
    source="Ribeiro and Moniz, Imbalanced regression and extreme value prediction, Machine Learning",
    year=2020,
    cost="O(B)",
    use="""\
from tailwise.losses.sera import SERA
sera = SERA(y_train, points=[(0, 1), (30, 0), (60, 1)])
loss = sera(pred, y)""",
    targets=("scalar", "dense"),
    needs=("y",),
    of_none={"points": "the extremes of a box plot"},
    units={"reach": "interquartile ranges"},
    corrects=True,
)
