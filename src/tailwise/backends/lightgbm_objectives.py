"""Objectives and metrics for LightGBM that count rare values: SERA and balanced MAE."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array
from tailwise.labels.bins import Bins
from tailwise.labels.relevance import Relevance
from tailwise.metrics.errors import balanced_mean_absolute_error

Array = NDArray[np.float64]


class SERAObjective:
    """SERA as objective and metric of ``LGBMRegressor``.

    Ribeiro and Moniz, *Imbalanced regression and extreme value prediction* (Machine Learning, 2020): Σ φ(y) e². Its
    gradient is 2 φ e and its second derivative 2 φ.

    Args:
        relevance: φ of the target; :meth:`Relevance.extremes` of the training labels, or control points.

    Raises:
        InputError: no relevance: :meth:`Relevance.extremes` gives none where no label is extreme.

    Note:
        LightGBM starts from 0, not from a mean, with a custom objective; subtract a constant from the target, or pass
        ``init_score``. A leaf without rows of φ > 0 has no gradient and stays as it is. The method ``"sera"`` with
        ``model="lightgbm"`` minimises the same sum as squared error weighted by φ, which starts from the weighted mean.

    Example:
        >>> y = np.r_[np.zeros(50), np.linspace(1, 20, 20)]
        >>> sera = SERAObjective(Relevance.from_points([(0, 0), (20, 1)]))
        >>> gradient, hessian = sera(np.array([20.0, 0.0]), np.array([18.0, 5.0]))
        >>> gradient.tolist(), hessian.tolist()
        ([-4.0, 0.0], [2.0, 0.0])
        >>> sera.metric(np.array([20.0, 0.0]), np.array([18.0, 5.0]))
        ('sera', 4.0, False)
    """

    def __init__(self, relevance: Relevance) -> None:
        if not isinstance(relevance, Relevance):
            raise InputError(
                f"SERA needs a relevance function, got {relevance!r}; where no label is extreme, give control points: "
                "Relevance.from_points([(y, phi), ...])"
            )
        self.relevance = relevance

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, weight: ArrayLike | None = None) -> tuple[Array, Array]:
        """First and second derivative of Σ φ e² with respect to each prediction, ``(n,)`` each."""
        true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
        phi = 2 * self.relevance(true) * (1.0 if weight is None else np.asarray(weight, dtype=np.float64))
        return phi * (pred - true), phi

    def metric(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[str, float, bool]:
        """Name, value, and that higher is not better."""
        true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
        return "sera", float(self.relevance(true) @ np.square(pred - true)), False


class BalancedMAEObjective:
    """Balanced MAE as objective and metric of ``LGBMRegressor``: every bin of the target has the same weight.

    Ren et al., *Balanced MSE* (CVPR 2022), bMAE: the mean over bins of each bin's mean |e|. The gradient is the sign of
    e times the weight n / (C n_b), with n rows, n_b of them in the bin, and C bins with rows; its mean is 1. The second
    derivative is 0; the weight takes its place, as in LightGBM's own L1.

    Args:
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target; ``Bins.auto(y_train)`` if not given.

    Note:
        LightGBM replaces a leaf's value by the median only for its own L1, so ``WeightedRegressor`` with
        ``weights="inv"`` around ``LGBMRegressor(objective="l1")`` needs far fewer trees for the same aim.

    Example:
        >>> balanced = BalancedMAEObjective([0.0, 0.0, 0.0, 9.0], Bins.from_edges([0, 5, 10]))
        >>> balanced(np.array([0.0, 9.0]), np.array([1.0, 7.0]))[0].round(2).tolist()
        [0.67, -2.0]
        >>> balanced.metric(np.array([0.0, 0.0, 9.0]), np.array([1.0, 1.0, 7.0]))
        ('balanced_mae', 1.5, False)
    """

    def __init__(self, y_train: ArrayLike, bins: Bins | None = None) -> None:
        y = label_array(y_train, "y_train")
        self.bins = Bins.auto(y) if bins is None else bins
        counts = np.bincount(self.bins.index(y), minlength=self.bins.n_bins)
        filled = counts > 0
        # Labels of a bin without training rows have the weight of the rarest bin.
        self.weights = y.size / (filled.sum() * np.where(filled, counts, counts[filled].min()))

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, weight: ArrayLike | None = None) -> tuple[Array, Array]:
        """First derivative for each prediction, and the weight in place of the second, ``(n,)`` each."""
        true, pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
        scale = self.weights[self.bins.index(true)] * (1.0 if weight is None else np.asarray(weight, dtype=np.float64))
        return scale * np.sign(pred - true), scale

    def metric(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[str, float, bool]:
        """Name, value, and that higher is not better."""
        return "balanced_mae", balanced_mean_absolute_error(y_true, y_pred, self.bins), False
