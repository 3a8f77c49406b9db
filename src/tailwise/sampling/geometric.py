"""Geometric SMOTE: new rare rows in a ball around a rare row instead of on a segment."""

from numbers import Real
from typing import Any

import numpy as np

from tailwise._checks import InputError, not_negative, whole
from tailwise.labels.relevance import Which
from tailwise.sampling.neighbours import Distance, Metric
from tailwise.sampling.pools import Bump, RelevanceLike, Strategy, find_bumps, relevance_of, wanted_rows
from tailwise.sampling.resampler import Drawn, Resampler, draw_by_bump, resampler_part, seeds
from tailwise.sampling.smoter import draw_pairs, with_target_between
from tailwise.sampling.table import Floats, Made, Nominal, Rows, Table, read_table


def ball_points(
    towards: Floats, rng: np.random.Generator, *, truncation: float = 0.0, deformation: float = 0.0
) -> Floats:
    """Points drawn uniformly in the ball around 0 on whose surface a neighbour lies, cut and flattened on request.

    A point is e = (e·u) u + r, u being the direction of the neighbour. The ball is cut by a plane across u and the part
    beyond it mirrored at 0: with ``truncation`` t > 0 where e·u < t - 1 (times the radius), with t < 0 where
    e·u > t + 1. So 1 leaves the half with the neighbour, -1 the other one. Then r becomes (1 - ``deformation``) r: 1
    leaves the line through both.

    Args:
        towards: ``(s, q)`` from the centre of each ball to its neighbour; a ball of radius 0 is its centre.
        rng: of the points.
        truncation: t, in [-1, 1].
        deformation: in [0, 1].

    Example:
        >>> points = ball_points(np.full((1000, 2), 3.0), np.random.default_rng(0), truncation=1.0)
        >>> bool((np.hypot(*points.T) <= np.sqrt(18)).all()), bool((points.sum(axis=1) >= 0).all())
        (True, True)
    """
    radius = np.sqrt(np.square(towards).sum(axis=1, keepdims=True))
    unit = np.divide(towards, radius, out=np.zeros_like(towards), where=radius > 0)
    size, q = towards.shape
    points = rng.standard_normal((size, q))
    points /= np.maximum(np.sqrt(np.square(points).sum(axis=1, keepdims=True)), np.finfo(np.float64).tiny)
    points *= rng.random((size, 1)) ** (1 / max(q, 1))
    ahead = (points * unit).sum(axis=1, keepdims=True)
    cut = ahead < truncation - 1 if truncation > 0 else (ahead > truncation + 1) & (truncation < 0)
    points, ahead = np.where(cut, -points, points), np.where(cut, -ahead, ahead)
    along = ahead * unit
    return np.asarray(radius * (along + (1 - deformation) * (points - along)))


class GeometricSMOTE(Resampler):
    """New rare rows in the ball around a rare row that reaches to one of its neighbours, common rows under-sampled.

    Distances, and so the ball, are those of ``distance`` over the numeric columns. Nominal values are those of either
    row at random, and the target is the mean of both rows', weighted by the distance to the other as in
    :class:`SMOTER`.

    Args:
        k: nearest neighbours in the bump, of which one is drawn.
        truncation: in [-1, 1]; 0 is the whole ball, 1 its half with the neighbour, -1 the other half.
        deformation: in [0, 1]; 0 is the whole ball, 1 the line through both rows.
        distance: ``"heom"`` (differences over the range of a column, 1 between different nominal values), ``"hvdm"``
            (over four standard deviations; nominal values by the targets they occur with), ``"euclidean"`` (as they
            are, numeric columns only).
        strategy: rows wanted of each bump of the target, ``"balance"``, ``"extreme"`` or shares, one a bump from the
            lowest targets to the highest: how many times its rows (see :func:`tailwise.sampling.pools.multipliers`).
        under_sample: leave common rows out as the strategy wants; else they all stay.
        nominal: names or positions of nominal columns, or a mask; those of type category, object, string and bool are
            so anyway.
        relevance: φ(y), an importance from 0 to 1 of each target value, rare from ``threshold`` on: a
            :class:`tailwise.Relevance`, control points (y, φ), or any function of the labels; ``None`` takes that of a
            box plot of the labels given.
        which: ends of the target that the automatic relevance serves, ``"both"``, ``"low"`` or ``"high"``.
        threshold: relevance from which a row is rare, in (0, 1] (see the note on it at
            :func:`tailwise.sampling.pools.find_bumps`).
        random_state: whole number, generator, or ``None`` for another draw each time.

    Raises:
        InputError: from ``fit_resample``, missing values, parameters that are not allowed.

    Note:
        The geometry is the one stated at :func:`ball_points`, the seeds are rare rows only: a definition of this
        library's own, not checked against a publication. Columns that are constant stay so; those of whole numbers are
        rounded, so that a row may lie half a unit outside its ball. Neighbours are those of :class:`SMOTER`: exact
        among 8,192 different rows of a bump, 59 to 85 % of the true ones measured among 20,000. With fewer different
        rows than k, k is lowered; a bump of a single one is copied; both with a warning.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> sampler = GeometricSMOTE(k=1, relevance=[(10, 0), (50, 1)], random_state=0)
        >>> more_X, more_y = sampler.fit_resample(X, y)
        >>> new = more_X[sampler.synthetic_]
        >>> len(new), bool((new >= 37).all() and (new <= 40).all())
        (18, True)
    """

    def __init__(
        self,
        *,
        k: int = 5,
        truncation: float = 0.0,
        deformation: float = 0.0,
        distance: Distance = "heom",
        strategy: Strategy = "balance",
        under_sample: bool = True,
        nominal: Nominal | None = None,
        relevance: RelevanceLike | None = None,
        which: Which = "both",
        threshold: float = 0.8,
        random_state: Any = None,
    ) -> None:
        self.k, self.truncation, self.deformation, self.distance = k, truncation, deformation, distance
        self.strategy, self.under_sample, self.nominal = strategy, under_sample, nominal
        self.relevance, self.which, self.threshold, self.random_state = relevance, which, threshold, random_state

    def _table(self, matrix: Any) -> Table:
        return read_table(matrix, self.nominal)

    def _draw(self, table: Table, labels: Floats, rng: np.random.Generator) -> Drawn:
        k, deformation = whole(self.k, "k", least=1), not_negative(self.deformation, "deformation", most=1.0)
        if not (isinstance(self.truncation, Real) and -1 <= self.truncation <= 1):
            raise InputError(f"truncation must be from -1 to 1, got {self.truncation!r}")
        metric = Metric.of(self.distance, table, labels)
        bumps = find_bumps(labels, relevance_of(labels, self.relevance, self.which), self.threshold)

        def in_ball(bump: Bump, n: int) -> Rows | Made:
            pairs = draw_pairs(table, bump, n, k, metric, rng)
            if pairs is None:
                return seeds(bump.rows, n, rng)
            base, other = pairs
            first = table.numbers[base]
            towards = metric.scaled(table.numbers[other] - first)
            points = np.zeros_like(towards)
            counts = metric.scale > 0  # a direction that does not count would shorten the others
            points[:, counts] = ball_points(
                towards[:, counts], rng, truncation=self.truncation, deformation=deformation
            )
            cells = np.where(rng.random((n, len(table.nominal))) < 0.5, base[:, None], other[:, None])
            return with_target_between(table, labels, base, other, metric, first + points * metric.scale, cells)

        return draw_by_bump(
            bumps,
            wanted_rows(bumps, self.strategy, under=self.under_sample),
            rng,
            in_ball,
        )


GSMOTE_PART = resampler_part(
    name="gsmote",
    make=GeometricSMOTE,
    summary="new rows from a ball around a rare row that reaches to a neighbour",
    source="-",
    year=None,
    cost="none; neighbours of rare rows before training",
    use="""\
from tailwise.sampling import GeometricSMOTE
X_more, y_more = GeometricSMOTE(random_state=0).fit_resample(X_train, y_train)""",
)
