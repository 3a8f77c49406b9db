"""Labels that are transformed for a training: the way back to their original units, and errors in these."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tailwise.labels.bins import Bins
from tailwise.labels.censoring import Censoring
from tailwise.labels.gaps import Gaps
from tailwise.labels.shots import Shots
from tailwise.labels.transforms import Transform
from tailwise.metrics.region_errors import validation_errors

Floats = NDArray[np.float64]
Point = Literal["mean", "median"]

_ROWS_AT_ONCE = 1_000
_RESIDUALS_OF_AN_EPOCH = 50


@dataclass(frozen=True)
class OriginalUnits:
    """The way from transformed labels back to the original ones.

    A predicted median stays a median under any increasing function. A mean does not: exp(mean of log y) is below the
    mean of y. It becomes the mean of the inverse at the prediction plus each residual of validation rows: Duan,
    *Smearing estimate: a nonparametric retransformation method* (JASA 1983).

    Args:
        transform: of the labels.
        shots: regions of the original labels.
        point: what models predict of the transformed label.
        balanced: whether validation rows are those of a balanced split, and so not as rows come.
        centered: whether residuals are taken about their mean, for models that lie off the mean on purpose.
        censoring: limits at which the original labels are censored.
    """

    transform: Transform
    shots: Shots
    point: Point = "median"
    balanced: bool = False
    centered: bool = False
    censoring: Censoring | None = None

    def smearing(self, z: Floats, pred: Floats, most: int, of_row: Floats | None = None) -> tuple[Floats, Floats]:
        """Return residuals of validation rows and their weights as rows come, which add up to 1.

        Args:
            z: ``(m,)`` transformed labels.
            pred: ``(m,)`` their predictions.
            most: number of residuals to keep; where there are more, neighbouring ones are replaced by their mean.
            of_row: ``(m,)`` weights of the rows, if they have some.
        """
        residuals, weights = z - pred, self._weights(z, of_row)
        if self.centered:
            residuals = residuals - weights @ residuals
        groups = np.array_split(np.argsort(residuals, kind="stable"), min(most, residuals.size))
        totals = np.array([weights[group].sum() for group in groups])
        return np.array([weights[group] @ residuals[group] for group in groups]) / totals, totals

    def _weights(self, z: Floats, of_row: Floats | None) -> Floats:
        """Return weights that give each bin of the validation labels its fraction of the training labels."""
        rows = np.ones(z.size) if of_row is None else of_row
        if not self.balanced:
            return np.asarray(rows / rows.sum(), dtype=np.float64)
        index = self.shots.bins.index(self.transform.inverse(z))
        ratio = self.shots.population[index] / np.bincount(index, weights=rows, minlength=self.shots.bins.n_bins)[index]
        ratio = rows * np.maximum(ratio, ratio[ratio > 0].min(initial=1.0))
        return np.asarray(ratio / ratio.sum(), dtype=np.float64)

    def errors(self, z: Floats, pred: Floats, weight: Floats | None = None) -> dict[str, float]:
        """Return validation errors of predictions ``(m,)`` of transformed labels ``(m,)``, original units.

        Args:
            z: the labels.
            pred: the predictions.
            weight: ``(m,)`` weights of the rows, if they have some.
        """
        if self.point == "median":
            points = self.transform.inverse(pred)
        else:
            points = smeared(self.transform, pred, *self.smearing(z, pred, _RESIDUALS_OF_AN_EPOCH, weight))
        return _counted_errors(self.transform.inverse(z), points, self.shots, self.censoring, weight)


def smeared(transform: Transform, pred: Floats, residuals: Floats, weights: Floats) -> Floats:
    """Return ``(n,)`` means of the inverse at each of ``(n,)`` predictions plus residuals ``(r,)`` with weights."""
    pieces = (pred[start : start + _ROWS_AT_ONCE, None] for start in range(0, len(pred), _ROWS_AT_ONCE))
    means = [transform.inverse(piece + residuals) @ weights for piece in pieces]
    return np.concatenate([np.empty(0), *means])


def errors_in_original_units(
    y: Floats,
    pred: Floats,
    shots: Shots,
    units: OriginalUnits | None,
    censoring: Censoring | None = None,
    *,
    weight: Floats | None = None,
) -> dict[str, float]:
    """Return validation errors, see :func:`tailwise.metrics.region_errors.validation_errors`, original units.

    Args:
        y: ``(n,)`` or ``(n, K)`` labels, as they are trained on.
        pred: predictions of that shape.
        shots: regions of these labels.
        units: of transformed labels; ``None`` for labels that are not.
        censoring: of labels that are not transformed: predictions beyond a limit are then no error.
        weight: ``(n,)`` weights of the rows, if they have some.
    """
    return _counted_errors(y, pred, shots, censoring, weight) if units is None else units.errors(y, pred, weight)


def _counted_errors(
    y: Floats, pred: Floats, shots: Shots, censoring: Censoring | None, weight: Floats | None
) -> dict[str, float]:
    counted = pred if censoring is None else censoring.counted(y, pred)
    return validation_errors(y, counted, shots, sample_weight=weight)


def transformed_shots(shots: Shots, transform: Transform, y_train: Floats) -> Shots:
    """Return the regions of transformed labels: the same bins, with transformed edges.

    Edges below the lowest training label, which may have no transform, are moved up to it.

    Args:
        shots: regions of one target.
        transform: of the labels.
        y_train: ``(n,)`` training labels.
    """
    edges = transform.forward(np.maximum(shots.scalar_bins.edges, y_train.min()))
    first = int(np.searchsorted(edges, edges[0], side="right")) - 1
    gaps = shots.gaps
    return Shots(
        Bins(edges[first:].astype(np.float32)),
        shots.counts[first:],
        shots.many,
        shots.few,
        None if gaps is None else _transformed_gaps(gaps, transform),
        None if shots.given is None else shots.given[first:],
        None if shots.mass is None else shots.mass[first:],
    )


def _transformed_gaps(gaps: Gaps, transform: Transform) -> Gaps:
    ranges = [transform.forward(pair).tolist() for pair in gaps.ranges]
    low, high = transform.forward([gaps.low, gaps.high]).tolist()
    return Gaps(tuple((start, stop) for start, stop in ranges), low, high)
