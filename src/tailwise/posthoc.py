"""Corrections of finished predictions: a monotone map from a prediction to a better one."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, one_of, positive, same_shape, whole
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS

Marginal = Literal["validation", "train", "uniform"]
MARGINALS = ("validation", "train", "uniform")

_GRID = 1001
_REACH = 4.0


@dataclass(frozen=True, eq=False)
class Correction:
    """A piecewise linear, never falling map of predictions, constant beyond its ends.

    Args:
        points: ``(k,)`` increasing predictions, target units.
        values: ``(k,)`` what becomes of them, never falling.

    Raises:
        InputError: points that do not increase, values that fall, or another number of them.

    Example:
        >>> Correction(np.array([0.0, 10.0]), np.array([0.0, 20.0]))([5.0, 99.0]).tolist()
        [10.0, 20.0]
    """

    points: NDArray[np.float64]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        points, values = label_array(self.points, "points"), label_array(self.values, "values")
        if points.shape != values.shape or not (np.diff(points) > 0).all() or not (np.diff(values) >= 0).all():
            raise InputError("a correction needs increasing points with values that never fall, one a point")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "values", values)

    def __call__(self, pred: ArrayLike) -> NDArray[np.float64]:
        """Corrected predictions, same shape."""
        return np.asarray(np.interp(np.asarray(pred, dtype=np.float64), self.points, self.values), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {"points": self.points.tolist(), "values": self.values.tolist()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(np.asarray(saved["points"]), np.asarray(saved["values"]))


@dataclass(frozen=True)
class Fitting:
    """What a correction is fitted to.

    Args:
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target.
        y_val: ``(m,)`` validation labels.
        pred_val: ``(m,)`` predictions of the trained network for them.
    """

    y_train: NDArray[np.float64]
    bins: Bins
    y_val: NDArray[np.float64]
    pred_val: NDArray[np.float64]

    def __post_init__(self) -> None:
        same_shape(self.pred_val, self.y_val)


@dataclass(frozen=True, kw_only=True)
class Isotonic:
    """Isotonic regression of validation labels on validation predictions: the best map that never falls.

    It repairs predictions that are pulled to the middle as a whole. With few validation rows at the ends it is constant
    there.
    """

    def fit(self, fitting: Fitting) -> Correction:
        """The map."""
        from sklearn.isotonic import IsotonicRegression

        fit = IsotonicRegression(out_of_bounds="clip").fit(fitting.pred_val, fitting.y_val)
        return _correction(fit.X_thresholds_, fit.y_thresholds_)


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """Map quantiles of the validation predictions to those of labels, so that predictions are spread as labels are.

    It undoes the pull to the middle, at the price of a larger error for predictions that are not sure. (Ours, not a
    paper's.)

    Args:
        to: whose quantiles: ``"validation"`` or ``"train"`` labels, or ``"uniform"`` between the training labels' ends.
        levels: number of quantiles.
    """

    to: Marginal = "validation"
    levels: int = 101

    def __post_init__(self) -> None:
        one_of(self.to, "to", MARGINALS)
        whole(self.levels, "levels", least=2, most=10_001)

    def fit(self, fitting: Fitting) -> Correction:
        """The map."""
        shares = np.linspace(0.0, 1.0, int(self.levels))
        if self.to == "uniform":
            values = np.quantile(fitting.y_train, [0.0, 1.0]) @ np.stack([1 - shares, shares])
        else:
            values = np.quantile(fitting.y_val if self.to == "validation" else fitting.y_train, shares)
        return _correction(np.quantile(fitting.pred_val, shares), values)


@dataclass(frozen=True, kw_only=True)
class Debias:
    """Divide the predictive Gaussian by the training labels' density: test-time debiasing.

    The view of Balanced MSE (Ren et al., CVPR 2022): a network trained on squared error gives p_train(y | x) =
    N(y; ŷ, σ²), and the posterior under labels that are all alike likely is ∝ N(y; ŷ, σ²) / p_train(y). The prediction
    becomes its mean, integrated over the bins that have training rows, with the density smoothed by LDS. (The recipe is
    ours, not the paper's.)

    Args:
        sigma: σ, target units; by default the root mean squared error on the validation rows.
    """

    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.sigma is not None:
            positive(self.sigma, "sigma")

    def fit(self, fitting: Fitting) -> Correction:
        """The map.

        Raises:
            InputError: predictions without any error, and no σ given.
        """
        sigma = self.sigma or float(np.sqrt(np.square(fitting.pred_val - fitting.y_val).mean()))
        if sigma == 0:
            raise InputError("the predictions have no error on the validation rows, so there is nothing to correct")
        counts = fitting.bins.histogram(fitting.y_train)
        seen = counts > 0
        smoothed = LDS().effective(counts, power=1.0)[seen]
        centers, widths = fitting.bins.centers[seen], fitting.bins.widths[seen]
        # A bin's mass under a density that is 1 / p_train: its width divided by count / width.
        log_mass = 2 * np.log(widths) - np.log(smoothed)
        points = np.linspace(centers[0] - _REACH * sigma, centers[-1] + _REACH * sigma, _GRID)
        log_posterior = log_mass - (points[:, None] - centers) ** 2 / (2 * sigma**2)
        posterior = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
        return _correction(points, posterior @ centers / posterior.sum(axis=1))


def _correction(points: NDArray[np.float64], values: NDArray[np.float64]) -> Correction:
    """The map through points of which some may be equal: the mean of their values."""
    points, index = np.unique(points, return_inverse=True)
    means = np.bincount(index, weights=values) / np.bincount(index)
    return Correction(points, np.maximum.accumulate(means))
