"""SMOTER: new rare rows between a rare row and one of its neighbours."""

from typing import Any, Literal

import numpy as np

from tailwise._checks import one_of, whole
from tailwise.labels.relevance import Which
from tailwise.sampling.mixed_table import Floats, Nominal, Rows, SyntheticRows, Table, read_table
from tailwise.sampling.neighbours import Distance, Metric, between, nearest
from tailwise.sampling.pools import Bump, RelevanceLike, Strategy, find_bumps, relevance_of, wanted_rows
from tailwise.sampling.resampler import (
    Drawn,
    Resampler,
    draw_by_bump,
    resampler_part,
    seeds,
    warn_lone_row,
    whole_numbers,
)

Along = Literal["segment", "box"]
ALONGS = ("segment", "box")


def rows_between(
    table: Table, labels: Floats, base: Rows, other: Rows, metric: Metric, rng: np.random.Generator, along: Along
) -> SyntheticRows:
    """Make rows between two others, x = x_i + u (x_nn - x_i), u uniform in (0, 1), nominal values drawn from either.

    The target is the mean of both, weighted by the distance to the other: (d₂ y_i + d₁ y_nn) / (d₁ + d₂).

    Args:
        table: all rows.
        labels: ``(n,)`` targets of all rows.
        base: ``(s,)`` rows x_i.
        other: ``(s,)`` rows x_nn.
        metric: gives the distances d₁ to x_i and d₂ to x_nn, over all columns.
        rng: random generator of u and the nominal values.
        along: ``"segment"``, one u per row; ``"box"``, one per row and column.
    """
    first, second = table.numbers[base], table.numbers[other]
    u = rng.random((base.size, 1 if along == "segment" else first.shape[1]))
    numbers = np.clip(first + u * (second - first), np.minimum(first, second), np.maximum(first, second))
    cells = np.where(rng.random((base.size, len(table.nominal))) < 0.5, base[:, None], other[:, None])
    return with_target_between(table, labels, base, other, metric, numbers, cells)


def with_target_between(
    table: Table, labels: Floats, base: Rows, other: Rows, metric: Metric, numbers: Floats, cells: Rows
) -> SyntheticRows:
    """Complete new rows by the distance-weighted mean of the targets of the two rows they are made from."""
    numbers = whole_numbers(numbers, table.whole)
    encoded = metric.encode(numbers, np.take_along_axis(table.codes, cells, axis=0))
    ends = [metric.encode(table.numbers[rows], table.codes[rows]) for rows in (base, other)]
    distances = tuple(np.sqrt(np.square(encoded - end).sum(axis=1)) for end in ends)
    return SyntheticRows(base, numbers, cells, between((labels[base], labels[other]), (distances[0], distances[1])))


class SMOTER(Resampler):
    """New rare rows between a rare row and one of its nearest neighbours in its bump; common rows are under-sampled.

    Torgo, Ribeiro, Pfahringer and Branco, *SMOTE for regression* (EPIA 2013)

    x = x_i + u (x_j - x_i) with u ~ U(0, 1), and y = (d_j y_i + d_i y_j) / (d_i + d_j), d the distances of the new row
    to row i and neighbour j.

    Args:
        k: number of nearest neighbours; one of them is drawn.
        distance: ``"heom"`` (differences over the range of a column, 1 between different nominal values), ``"hvdm"``
            (differences over four standard deviations; nominal values by the targets they occur with) or
            ``"euclidean"`` (unscaled differences, numeric columns only).
        along: ``"segment"``, a new row lies on the segment between both; ``"box"``, in the box they span, with a
            separate draw for each column.
        strategy: rows wanted of each bump of the target, ``"balance"``, ``"extreme"`` or factors, one per bump from the
            lowest targets to the highest: the rows wanted are the factor times the rows of the bump (see
            :func:`tailwise.sampling.pools.multipliers`).
        under_sample: leave out common rows as the strategy wants; otherwise all of them stay.
        nominal: names or positions of nominal columns, or a mask; columns of type category, object, string and bool are
            always nominal.
        relevance: φ(y), an importance from 0 to 1 of each target value, rare from ``threshold`` on: a
            :class:`tailwise.Relevance`, control points (y, φ), or any function of the labels; ``None`` takes the
            relevance from a box plot of the labels.
        which: ends of the target that the automatic relevance covers, ``"both"``, ``"low"`` or ``"high"``.
        threshold: relevance from which a row is rare, in (0, 1] (see the note at
            :func:`tailwise.sampling.pools.find_bumps`).
        random_state: whole number, generator, or ``None`` for a different draw each time.

    Shape:
        ``fit_resample(X, y)``: ``(n, p)`` and ``(n,)`` to ``(m, p)`` and ``(m,)``.

    Raises:
        InputError: from ``fit_resample``, missing values, parameters that are not allowed.

    Note:
        One draw per row is the default because a new row then lies in the convex hull of the rare rows, which one draw
        per column does not ensure; see ``tests/test_sampling.py``. Equal rows count as one neighbour. Neighbours are
        exact among 8,192 different rows of a bump; of 20,000, 85 % of the true five nearest were found with 10 normal
        columns, 59 % with 30, 64 % with five and three nominal ones of eight values, at distances 1.02, 1.02 and 1.15
        times as large (see :func:`tailwise.sampling.neighbours.nearest`). Columns of whole numbers are rounded. With
        fewer different rows than k, k is lowered; a bump of a single row is copied; both with a warning.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> sampler = SMOTER(k=1, relevance=[(10, 0), (50, 1)], random_state=0)
        >>> more_X, more_y = sampler.fit_resample(X, y)
        >>> new = sampler.synthetic_
        >>> int(new.sum()), bool(np.allclose(more_y[new], 50 + 10 * (more_X[new, 0] - 38)))
        (18, True)
    """

    def __init__(
        self,
        *,
        k: int = 5,
        distance: Distance = "heom",
        along: Along = "segment",
        strategy: Strategy = "balance",
        under_sample: bool = True,
        nominal: Nominal | None = None,
        relevance: RelevanceLike | None = None,
        which: Which = "both",
        threshold: float = 0.8,
        random_state: Any = None,
    ) -> None:
        self.k, self.distance, self.along, self.strategy = k, distance, along, strategy
        self.under_sample, self.nominal = under_sample, nominal
        self.relevance, self.which, self.threshold, self.random_state = relevance, which, threshold, random_state

    def _table(self, matrix: Any) -> Table:
        return read_table(matrix, self.nominal)

    def _draw(self, table: Table, labels: Floats, rng: np.random.Generator) -> Drawn:
        k, along = whole(self.k, "k", least=1), self.along
        one_of(along, "along", ALONGS)
        metric = Metric.of(self.distance, table, labels)
        bumps = find_bumps(labels, relevance_of(labels, self.relevance, self.which), self.threshold)

        def interpolated(bump: Bump, n: int) -> Rows | SyntheticRows:
            pairs = draw_pairs(table, bump, n, k, metric, rng)
            if pairs is None:
                return seeds(bump.rows, n, rng)
            return rows_between(table, labels, *pairs, metric, rng, along)

        return draw_by_bump(
            bumps,
            wanted_rows(bumps, self.strategy, under=self.under_sample),
            rng,
            interpolated,
        )


def draw_pairs(
    table: Table, bump: Bump, n: int, k: int, metric: Metric, rng: np.random.Generator
) -> tuple[Rows, Rows] | None:
    """Draw n rows of a bump, each with one of its k nearest neighbours; ``None``, with a warning, if all are equal."""
    near = nearest(metric.encode(table.numbers[bump.rows], table.codes[bump.rows]), k, len(table.numeric))
    if near is None:
        warn_lone_row(bump, "it is copied")
        return None
    at = seeds(np.arange(bump.rows.size), n, rng)
    return bump.rows[at], bump.rows[near[at, rng.integers(near.shape[1], size=n)]]


SMOTER_PART = resampler_part(
    name="smoter",
    make=SMOTER,
    summary="SMOTE for regression: rows between a rare one and a neighbour, labels between theirs",
    source="Torgo et al., SMOTE for Regression, EPIA",
    year=2013,
    cost="none; neighbours of rare rows before training",
    use="""\
from tailwise.sampling import SMOTER
X_more, y_more = SMOTER(random_state=0).fit_resample(X_train, y_train)""",
)
