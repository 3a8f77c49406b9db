"""Corrections after training: monotone maps of predictions, fitted on validation rows."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx

from tailwise._checks import InputError, label_array, one_of, positive, same_shape, whole
from tailwise._part import Part
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS

Marginal = Literal["validation", "train", "uniform"]
MARGINALS = ("validation", "train", "uniform")

_GRID = 1001
_REACH = 4.0  # standard deviations of the predictive Gaussian
_BENDS = np.linspace(-6.0, 6.0, 25)
_MOST_CORNERS = 1000
_FLAT = 1e4  # ranges of the labels; a larger σ changes nothing
_NIL = 30.0  # standard deviations beyond which a Gaussian has no mass
_NARROW = 1e-3


@dataclass(frozen=True, eq=False)
class Correction:
    """Piecewise linear, non-decreasing map of predictions, constant beyond its ends.

    Args:
        points: ``(k,)`` increasing predictions, target units.
        values: ``(k,)`` corrected predictions at the points, non-decreasing.

    Raises:
        InputError: points that do not increase, values that decrease, or numbers of points and values that differ.

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
        """Return corrected predictions, same shape."""
        return np.asarray(np.interp(np.asarray(pred, dtype=np.float64), self.points, self.values), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {"points": self.points.tolist(), "values": self.values.tolist()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build a correction from the values of :meth:`to_json`."""
        return cls(np.asarray(saved["points"]), np.asarray(saved["values"]))


@dataclass(frozen=True)
class Fitting:
    """Data that a correction is fitted to.

    Args:
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target.
        y_val: ``(m,)`` validation labels.
        pred_val: ``(m,)`` predictions of the trained network for them.
        weight_val: ``(m,)`` how much each validation row counts, in an isotonic regression; the other corrections
            compare whole distributions and take rows alike.

    Raises:
        InputError: shapes that differ, numbers that are not finite, no rows.
    """

    y_train: NDArray[np.float64]
    bins: Bins
    y_val: NDArray[np.float64]
    pred_val: NDArray[np.float64]
    weight_val: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name in ("y_train", "y_val", "pred_val"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        same_shape(self.pred_val, self.y_val)
        label_array(self.y_train, "y_train")
        label_array(self.y_val, "y_val")
        if not np.isfinite(self.pred_val).all():
            bad = int((~np.isfinite(self.pred_val)).sum())
            raise InputError(f"pred_val has {bad} predictions that are NaN or infinite; has the training diverged?")


class FitsCorrection(Protocol):
    """Settings of a correction, such as :class:`Isotonic`, or one's own."""

    def fit(self, fitting: Fitting) -> Correction:
        """Fit the map of predictions."""


@dataclass(frozen=True, kw_only=True)
class Isotonic:
    """Isotonic regression of validation labels on validation predictions: the best non-decreasing map.

    g = argmin over non-decreasing g of Σ_{i∈val} (g(ŷ_i) - y_i)².

    It corrects predictions that are shrunk towards the mean. With few validation rows at the ends the map is constant
    at the ends.

    Shape:
        predictions ``(n,)`` to ``(n,)``.
    """

    def fit(self, fitting: Fitting) -> Correction:
        """Fit the map."""
        from sklearn.isotonic import IsotonicRegression

        fit = IsotonicRegression(out_of_bounds="clip").fit(
            fitting.pred_val, fitting.y_val, sample_weight=fitting.weight_val
        )
        return _correction(fit.X_thresholds_, fit.y_thresholds_)


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """Map quantiles of the validation predictions to quantiles of labels, so that both have the same distribution.

    g(ŷ) = F_y⁻¹(F_ŷ(ŷ)), F the distribution functions of labels and of predictions.

    It corrects shrinkage towards the mean, at the cost of larger errors of uncertain predictions. A definition of
    tailwise, after no paper.

    Args:
        to: target quantiles, of ``"validation"`` or ``"train"`` labels, or ``"uniform"`` over the range of the training
            labels.
        levels: number of quantiles.

    Shape:
        predictions ``(n,)`` to ``(n,)``.
    """

    to: Marginal = "validation"
    levels: int = 101

    def __post_init__(self) -> None:
        one_of(self.to, "to", MARGINALS)
        whole(self.levels, "levels", least=2, most=10_001)

    def fit(self, fitting: Fitting) -> Correction:
        """Fit the map."""
        levels = np.linspace(0.0, 1.0, int(self.levels))
        if self.to == "uniform":
            values = np.quantile(fitting.y_train, [0.0, 1.0]) @ np.stack([1 - levels, levels])
        else:
            values = np.quantile(fitting.y_val if self.to == "validation" else fitting.y_train, levels)
        return _correction(np.quantile(fitting.pred_val, levels), values)


@dataclass(frozen=True, kw_only=True)
class Debias:
    """Divide the predictive Gaussian by the training labels' density: test-time debiasing.

    The view of Balanced MSE (Ren et al., CVPR 2022): a network trained on squared error gives p_train(y | x) =
    N(y; ŷ, σ²), and the posterior under equally likely labels is ∝ N(y; ŷ, σ²) / p_train(y). The corrected prediction
    is its mean, integrated exactly over the bins that have training rows; in each bin the density, smoothed by LDS, is
    constant. The procedure is tailwise's, not the paper's.

    Args:
        sigma: σ, target units; ``None`` takes the root mean squared error on the validation rows.

    Shape:
        predictions ``(n,)`` to ``(n,)``.
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
        has_rows = counts > 0
        smoothed = LDS().effective(counts, power=1.0)[has_rows]
        edges = fitting.bins.edges.astype(np.float64)
        low, high = edges[:-1][has_rows], edges[1:][has_rows]
        sigma = min(sigma, _FLAT * (high[-1] - low[0]))
        points = np.linspace(low[0] - _REACH * sigma, high[-1] + _REACH * sigma, _GRID)
        corners = np.union1d(low, high)
        if corners.size <= _MOST_CORNERS:  # the map bends within a few σ of the corners
            points = np.union1d(points, corners[:, None] + sigma * _BENDS)
        # Under 1 / p_train the density of a bin is its width over its count.
        values = [
            _posterior_mean(rows[:, None], sigma, low, high, np.log(high - low) - np.log(smoothed))
            for rows in np.array_split(points, len(points) // _GRID + 1)
        ]
        return _correction(points, np.concatenate(values))


def _posterior_mean(
    pred: NDArray[np.float64],
    sigma: float,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    log_density: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the mean of N(ŷ, σ²) times a density that is constant in each bin, for ``(m, 1)`` predictions."""
    log_mass, mean = truncated_gaussian((low - pred) / sigma, (high - pred) / sigma)
    log_posterior = log_density + log_mass
    posterior = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
    means = np.clip(pred + sigma * mean, low, high)
    return np.asarray((posterior * means).sum(axis=1) / posterior.sum(axis=1), dtype=np.float64)


def truncated_gaussian(low: ArrayLike, high: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log mass and mean of a standard Gaussian between two ends, accurate in the tails.

    Args:
        low: lower ends, any shape.
        high: upper ends, above ``low``.

    Example:
        >>> log_mass, mean = truncated_gaussian(40.0, 41.0)
        >>> round(float(log_mass), 3), round(float(mean), 3)
        (-804.608, 40.025)
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    mirrored = low + high < 0
    a, b = np.where(mirrored, -high, low), np.where(mirrored, -low, high)
    a = np.maximum(a, -_NIL)
    width, middle = b - a, (a + b) / 2
    # mass = φ(a) (R(a) - φ(b) / φ(a) R(b)) with the Mills ratio R, which stays above 0 in the tails.
    fall = -width * middle
    area = np.sqrt(np.pi / 2) * (erfcx(a / np.sqrt(2)) - np.exp(fall) * erfcx(b / np.sqrt(2)))
    narrow = width * np.maximum(np.abs(a), 1) < _NARROW
    area = np.where(narrow, 1.0, area)
    mean = np.where(narrow, middle * (1 - width**2 / 12), -np.expm1(fall) / area)
    log_mass = np.where(narrow, np.log(width) - middle**2 / 2, np.log(area) - a**2 / 2) - np.log(2 * np.pi) / 2
    return log_mass, np.where(mirrored, -mean, mean)


def _correction(points: NDArray[np.float64], values: NDArray[np.float64]) -> Correction:
    """Build the map through points; equal points take the mean of their values."""
    points, index = np.unique(points, return_inverse=True)
    means = np.bincount(index, weights=values) / np.bincount(index)
    return Correction(points, np.maximum.accumulate(means))


ISOTONIC_PART = Part(
    name="isotonic",
    slot="correction",
    make=Isotonic,
    summary="isotonic regression of validation labels on predictions, after training",
    source="-",
    year=None,
    cost="none",
    use="""\
from tailwise.calibration.corrections import Fitting, Isotonic
correct = Isotonic().fit(Fitting(y_train, bins, y_val, pred_val))
pred_test = correct(pred_test)""",
    targets=("scalar",),
)
QUANTILE_PART = Part(
    name="quantile",
    slot="correction",
    make=Quantile,
    summary="map quantiles of predictions to quantiles of labels on the validation rows, after training",
    source="-",
    year=None,
    cost="none",
    use="""\
from tailwise.calibration.corrections import Fitting, Quantile
correct = Quantile().fit(Fitting(y_train, bins, y_val, pred_val))
pred_test = correct(pred_test)""",
    targets=("scalar",),
)
DEBIAS_PART = Part(
    name="debias",
    slot="correction",
    make=Debias,
    summary="divide the predictive Gaussian by the label density, after training: Balanced MSE at test time",
    source="Ren et al., Balanced MSE, CVPR",
    year=2022,
    cost="none",
    use="""\
from tailwise.calibration.corrections import Debias, Fitting
correct = Debias().fit(Fitting(y_train, bins, y_val, pred_val))
pred_test = correct(pred_test)""",
    units={"sigma": "target"},
    targets=("scalar",),
    of_none={"sigma": "root mean squared error on the validation rows"},
    corrects=True,
)
