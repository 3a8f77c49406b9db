"""Distributions for models that predict only a number: the density of labels given predictions on held-out rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, whole
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.row_arrays import Floats, finite, increasing

FEWEST = 20
_LEVELS = np.array([0.0, 0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, 1.0])
_NODES = 40
_NODES_TO_CHOOSE = 12
_FOLDS = 3
_ROWS_TO_CHOOSE = 4000
_GROWTH = 0.8  # of neighbours with rows, as a power
_SHAPE_NEIGHBOURS = 4  # times as many for the shape as for the center and the spread
_PRIOR_ROWS = 5.0
_MOST_ROWS = 4000


@dataclass(frozen=True, eq=False)
class ConditionalDensity:
    """Density of the label given a prediction, learned from held-out rows: it gives any model distributions.

    In windows of the rows with the nearest predictions, the error's center (a local line) and spread are fitted, and
    from wider windows the shape of the standardized errors. The shape is a mixture of eight Gaussians, each with the
    mean and standard deviation of the errors between two of the levels 0, .025, .1, .25, .5, .75, .9, .975 and 1.
    Between windows everything is interpolated; beyond the outermost held-out predictions the distribution of the error
    stays the same.

    Args:
        nodes: ``(g,)`` increasing predictions in the middle of a window, target units.
        offsets: ``(g, K)`` mean of each component minus the prediction.
        scales: ``(g, K)`` standard deviation of each component, above 0.
        weights: ``(K,)`` weight of each component.
        neighbours: rows of a window.

    Raises:
        InputError: arrays that do not fit.
    """

    nodes: Floats
    offsets: Floats
    scales: Floats
    weights: Floats
    neighbours: int

    def __post_init__(self) -> None:
        nodes = increasing(self.nodes, "nodes") if np.size(self.nodes) > 1 else finite(self.nodes, "nodes", 1)
        offsets, scales = finite(self.offsets, "offsets", 2), finite(self.scales, "scales", 2)
        weights = finite(self.weights, "weights", 1)
        if not offsets.shape == scales.shape == (nodes.size, weights.size):
            shape = (nodes.size, weights.size)
            raise InputError(f"offsets and scales must have shape {shape}, got {offsets.shape} and {scales.shape}")
        if not ((scales > 0).all() and (weights > 0).all()):
            raise InputError("scales and weights must be above 0")
        for name, array in (("nodes", nodes), ("offsets", offsets), ("scales", scales), ("weights", weights)):
            object.__setattr__(self, name, array)

    @classmethod
    def fit(
        cls,
        y_val: ArrayLike,
        pred_val: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        neighbours: int | None = None,
    ) -> Self:
        """Fit the density to rows that the model was not trained on.

        Args:
            y_val: ``(m,)`` labels, at least 20.
            pred_val: ``(m,)`` their predictions.
            sample_weight: ``(m,)`` above 0, where the rows are not drawn as rows come: how often a row would come.
            neighbours: rows of a window; by default those with the lowest CRPS in cross-validation over the rows.

        Raises:
            InputError: fewer than 20 rows, shapes that differ, values that are not finite.
        """
        rows = _Rows.checked(y_val, pred_val, sample_weight)
        if neighbours is None:
            neighbours = _best_neighbours(rows)
        return cls(*_fit(rows, whole(neighbours, "neighbours", least=2)), int(neighbours))

    def predictive(self, pred: ArrayLike) -> Mixture:
        """Return the distribution of the label of each of ``(n,)`` predictions."""
        pred = label_array(pred, "pred")
        columns = range(self.weights.size)
        offsets = np.stack([np.interp(pred, self.nodes, self.offsets[:, j]) for j in columns], axis=1)
        scales = np.stack([np.interp(pred, self.nodes, self.scales[:, j]) for j in columns], axis=1)
        return Mixture(np.broadcast_to(self.weights, offsets.shape), pred[:, None] + offsets, scales)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {name: np.asarray(array).tolist() for name, array in self.to_arrays().items()}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_json`."""
        return cls.from_arrays(saved)

    def to_arrays(self) -> dict[str, Any]:
        """Return arrays that :meth:`from_arrays` reads back exactly."""
        arrays = {name: getattr(self, name) for name in ("nodes", "offsets", "scales", "weights")}
        return arrays | {"neighbours": np.asarray(self.neighbours)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Self:
        """Read the output of :meth:`to_arrays`."""
        try:
            nodes, offsets, scales, weights = (arrays[name] for name in ("nodes", "offsets", "scales", "weights"))
            return cls(nodes, offsets, scales, weights, int(arrays["neighbours"]))
        except KeyError as missing:
            raise InputError(f"the arrays of a conditional density lack {missing}, got {sorted(arrays)}") from None


@dataclass(frozen=True, eq=False)
class _Rows:
    """Held-out rows in the order of their predictions."""

    pred: Floats
    error: Floats
    weight: Floats

    @classmethod
    def checked(cls, y_val: ArrayLike, pred_val: ArrayLike, sample_weight: ArrayLike | None) -> "_Rows":
        y, pred = label_array(y_val, "y_val"), label_array(pred_val, "pred_val")
        weight = np.ones(y.size) if sample_weight is None else label_array(sample_weight, "sample_weight")
        if not y.shape == pred.shape == weight.shape:
            raise InputError(
                f"y_val, pred_val and weights must have one shape, got {y.shape}, {pred.shape}, {weight.shape}"
            )
        if y.size < FEWEST:
            raise InputError(f"y_val has {y.size} rows; a density given predictions needs at least {FEWEST}")
        if not (weight > 0).all():
            raise InputError(f"sample_weight must be above 0, got {weight.min():g}")
        order = np.argsort(pred, kind="stable")
        return cls(pred[order], (y - pred)[order], (weight / weight.mean())[order])

    def take(self, rows: Any) -> "_Rows":
        return _Rows(self.pred[rows], self.error[rows], self.weight[rows])

    def windows(self, nodes: Floats, neighbours: int) -> tuple[NDArray[np.int64], Floats]:
        """``(g, k)`` rows with the predictions nearest to each node, and weights that fall to 0 just beyond them.

        Windows of more than 4,000 rows are thinned evenly.
        """
        n, k = self.pred.size, min(neighbours, self.pred.size)
        low, high = np.zeros(nodes.size, dtype=np.int64), np.full(nodes.size, n - k)
        while (low < high).any():  # the row behind a window must not be nearer than its first row
            middle = (low + high) // 2
            behind = self.pred[np.minimum(middle + k, n - 1)] - nodes < nodes - self.pred[middle]
            low, high = np.where(behind & (low < high), middle + 1, low), np.where(behind, high, middle)
        rows = low[:, None] + np.arange(0, k, -(-k // _MOST_ROWS))
        distance = np.abs(self.pred[rows] - nodes[:, None])
        width = 1.0001 * distance.max(axis=1, keepdims=True)
        near = (1 - np.divide(distance, width, out=np.zeros_like(distance), where=width > 0) ** 3) ** 3
        weight = near * self.weight[rows]
        return rows, weight / weight.sum(axis=1, keepdims=True)


def _fit(rows: _Rows, neighbours: int, n_nodes: int = _NODES) -> tuple[Floats, Floats, Floats, Floats]:
    """Nodes, offsets, scales and weights of the density."""
    quantiles = np.quantile(rows.pred, np.linspace(0, 1, min(n_nodes, rows.pred.size)))
    nodes = np.unique(np.append(quantiles, np.linspace(rows.pred[0], rows.pred[-1], n_nodes // 2)))
    floor = 1e-9 * max(float(np.abs(rows.error).max()), float(np.abs(rows.pred).max()), 1e-280)
    center, spread = _local_lines(rows, nodes, neighbours, floor)
    standardized = (rows.error - np.interp(rows.pred, nodes, center)) / np.interp(rows.pred, nodes, spread)
    mean, scale = _shapes(_Rows(rows.pred, standardized, rows.weight), nodes, _SHAPE_NEIGHBOURS * neighbours)
    return nodes, center[:, None] + spread[:, None] * mean, spread[:, None] * scale, np.diff(_LEVELS)


def _local_lines(rows: _Rows, nodes: Floats, neighbours: int, floor: float) -> tuple[Floats, Floats]:
    """Center of the error at each node, from a line whose slope is shrunk to 0, and the mean size of what it leaves."""
    index, weight = rows.windows(nodes, neighbours)
    x, error = rows.pred[index] - nodes[:, None], rows.error[index]
    x_mean, mean = (weight * x).sum(axis=1), (weight * error).sum(axis=1)
    x, left = x - x_mean[:, None], error - mean[:, None]
    square = (weight * x**2).sum(axis=1) * (1 + _PRIOR_ROWS * (weight**2).sum(axis=1))
    slope = np.divide((weight * x * left).sum(axis=1), square, out=np.zeros(nodes.size), where=square > 0)
    spread = (weight * np.abs(left - slope[:, None] * x)).sum(axis=1)
    return mean - slope * x_mean, np.maximum(spread, floor)


def _shapes(rows: _Rows, nodes: Floats, neighbours: int) -> tuple[Floats, Floats]:
    """``(g, K)`` mean and standard deviation of the errors between levels, those blurred by a kernel."""
    index, weight = rows.windows(nodes, neighbours)
    order = np.argsort(rows.error[index], axis=1)
    error, weight = np.take_along_axis(rows.error[index], order, 1), np.take_along_axis(weight, order, 1)
    zero = np.zeros((nodes.size, 1))
    level, first, second = (np.hstack([zero, (weight * error**power).cumsum(axis=1)]) for power in (0, 1, 2))
    level /= level[:, -1:]
    within = [
        [np.diff(np.interp(_LEVELS, at, moment)) / np.diff(_LEVELS) for at, moment in zip(level, moments, strict=True)]
        for moments in (first, second)
    ]
    mean, square = np.array(within)
    blur = 0.5 * (weight**2).sum(axis=1, keepdims=True) ** 0.2
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0) + blur**2)


def _best_neighbours(rows: _Rows) -> int:
    """Number of neighbours with the lowest CRPS on rows left out, from some of the rows where there are many."""
    n = rows.pred.size
    used = rows.take(np.linspace(0, n - 1, min(n, _ROWS_TO_CHOOSE)).astype(np.int64))
    scores = {k: _cross_validated_crps(used, k) for k in _candidates(used.pred.size)}
    best = min(scores, key=lambda k: scores[k])
    return min(int(best * (n / used.pred.size) ** _GROWTH), n)


def _candidates(n: int) -> list[int]:
    fewest = max(10, n // 50)
    count = int(np.ceil(np.log2(n / fewest))) + 1
    return sorted({int(k) for k in np.geomspace(fewest, n, count)})


def _cross_validated_crps(rows: _Rows, neighbours: int) -> float:
    fold = np.arange(rows.pred.size) % _FOLDS
    total = 0.0
    for i in range(_FOLDS):
        fitted = ConditionalDensity(*_fit(rows.take(fold != i), neighbours, _NODES_TO_CHOOSE), neighbours)
        left_out = rows.take(fold == i)
        crps = fitted.predictive(left_out.pred).crps(left_out.pred + left_out.error)
        total += float((left_out.weight * crps).sum())
    return total / float(rows.weight.sum())
