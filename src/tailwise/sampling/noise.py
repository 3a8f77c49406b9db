"""Gaussian noise around rare rows."""

from typing import Any

import numpy as np

from tailwise._checks import positive
from tailwise.labels.relevance import Which
from tailwise.sampling.mixed_table import Floats, Nominal, Rows, SyntheticRows, Table, read_table
from tailwise.sampling.pools import Bump, RelevanceLike, Strategy, find_bumps, relevance_of, wanted_rows
from tailwise.sampling.resampler import (
    BRANCO,
    Drawn,
    Resampler,
    draw_by_bump,
    resampler_part,
    seeds,
    warn_equal_numbers,
    warn_lone_row,
    whole_numbers,
)


def noisy_rows(
    table: Table,
    labels: Floats,
    pool: Rows,
    spread: Rows,
    base: Rows,
    noise: float | Floats,
    rng: np.random.Generator,
) -> SyntheticRows:
    """Make rows near others: x + N(0, (noise sd_x)²) in each numeric column, y + N(0, (noise sd_y)²).

    Nominal values are drawn by their frequency in the pool. Targets stay in the range of ``labels``.

    Args:
        table: all rows.
        labels: ``(n,)`` targets of all rows.
        pool: at least two rows that give sd_y and the nominal values.
        spread: at least two rows that give sd_x.
        base: ``(s,)`` row that each new row is made from.
        noise: in standard deviations, one number or one per new row.
        rng: random generator of the noise.
    """
    scale = np.broadcast_to(np.asarray(noise, dtype=np.float64), base.shape)
    numbers, sd = table.numbers[base], table.numbers[spread].std(axis=0, ddof=1)
    numbers += rng.standard_normal(numbers.shape) * scale[:, None] * sd
    moved = labels[base] + rng.standard_normal(base.size) * scale * labels[pool].std(ddof=1)
    return SyntheticRows(
        base,
        whole_numbers(numbers, table.whole),
        rng.choice(pool, (base.size, len(table.nominal))),
        np.clip(moved, labels.min(), labels.max()),
    )


def pools_of(table: Table, rows: Rows) -> tuple[Rows, Rows]:
    """Return pool and spread of :func:`noisy_rows`: the given rows, or all rows if the given rows are equal.

    If only their numbers are equal, the pool is the given rows and the spread is all rows.
    """
    every, numbers, codes = np.arange(len(table.numbers)), table.numbers[rows], table.codes[rows]
    same_numbers, same_values = bool((numbers == numbers[0]).all()), bool((codes == codes[0]).all())
    return every if same_numbers and same_values else rows, every if same_numbers else rows


def noise_pools(table: Table, bump: Bump) -> tuple[Rows, Rows]:
    """Return pool and spread of the rows of a bump, with a warning if all rows replace them."""
    pool, spread = pools_of(table, bump.rows)
    instead = "noise is scaled by the standard deviation of all rows"
    if pool is not bump.rows:
        warn_lone_row(bump, instead)
    elif spread is not bump.rows and table.numeric:
        warn_equal_numbers(bump, instead)
    return pool, spread


class GaussianNoise(Resampler):
    """Copies of rare rows with Gaussian noise; common rows are under-sampled.

    Branco, Torgo and Ribeiro, *Pre-processing approaches for imbalanced distributions in regression* (Neurocomputing
    2019): x = x_i + N(0, (noise sd_x)²) in each numeric column, y = y_i + N(0, (noise sd_y)²), nominal values by
    their frequency; frequencies and standard deviations are those of the row's rare bump.

    Args:
        noise: in standard deviations, above 0.
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
        Columns of whole numbers are rounded, and targets are clipped to the range of y. A bump with equal numbers in
        all rows takes the standard deviation of all rows, with a warning.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> sampler = GaussianNoise(relevance=[(10, 0), (50, 1)], random_state=0)
        >>> more_X, more_y = sampler.fit_resample(X, y)
        >>> int(sampler.synthetic_.sum()), bool(np.abs(more_X[sampler.synthetic_] - 38.5).max() < 1.5)
        (18, True)
    """

    def __init__(
        self,
        *,
        noise: float = 0.1,
        strategy: Strategy = "balance",
        under_sample: bool = True,
        nominal: Nominal | None = None,
        relevance: RelevanceLike | None = None,
        which: Which = "both",
        threshold: float = 0.8,
        random_state: Any = None,
    ) -> None:
        self.noise, self.strategy, self.under_sample, self.nominal = noise, strategy, under_sample, nominal
        self.relevance, self.which, self.threshold, self.random_state = relevance, which, threshold, random_state

    def _table(self, matrix: Any) -> Table:
        return read_table(matrix, self.nominal)

    def _draw(self, table: Table, labels: Floats, rng: np.random.Generator) -> Drawn:
        noise = positive(self.noise, "noise")
        bumps = find_bumps(labels, relevance_of(labels, self.relevance, self.which), self.threshold)

        def near(bump: Bump, n: int) -> SyntheticRows:
            return noisy_rows(table, labels, *noise_pools(table, bump), seeds(bump.rows, n, rng), noise, rng)

        return draw_by_bump(bumps, wanted_rows(bumps, self.strategy, under=self.under_sample), rng, near)


GN_PART = resampler_part(
    name="gn",
    make=GaussianNoise,
    summary="copies of rare rows with Gaussian noise",
    source=BRANCO,
    year=2019,
    cost="none; more rows",
    use="""\
from tailwise.sampling import GaussianNoise
X_more, y_more = GaussianNoise(random_state=0).fit_resample(X_train, y_train)""",
    units={"noise": "standard deviations"},
)
