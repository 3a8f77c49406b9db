"""Gaussian noise around rare rows."""

from typing import Any

import numpy as np

from tailwise._checks import positive
from tailwise.labels.relevance import Which
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
from tailwise.sampling.table import Floats, Made, Nominal, Rows, Table, read_table


def noisy_rows(
    table: Table,
    labels: Floats,
    pool: Rows,
    spread: Rows,
    base: Rows,
    noise: float | Floats,
    rng: np.random.Generator,
) -> Made:
    """Rows near others: x + N(0, (noise sd_x)²) in each numeric column, y + N(0, (noise sd_y)²).

    A nominal value is that of a row of the pool, so drawn by its frequency there. Targets stay in the range of
    ``labels``.

    Args:
        table: all rows.
        labels: ``(n,)`` their targets.
        pool: rows whose targets have sd_y, and whose nominal values are drawn, at least two.
        spread: rows whose numeric columns have sd_x, at least two.
        base: ``(s,)`` the row each new one is made from.
        noise: in standard deviations, one number or one a new row.
        rng: of the noise.
    """
    scale = np.broadcast_to(np.asarray(noise, dtype=np.float64), base.shape)
    numbers, sd = table.numbers[base], table.numbers[spread].std(axis=0, ddof=1)
    numbers += rng.standard_normal(numbers.shape) * scale[:, None] * sd
    moved = labels[base] + rng.standard_normal(base.size) * scale * labels[pool].std(ddof=1)
    return Made(
        base,
        whole_numbers(numbers, table.whole),
        rng.choice(pool, (base.size, len(table.nominal))),
        np.clip(moved, labels.min(), labels.max()),
    )


def pools_of(table: Table, rows: Rows) -> tuple[Rows, Rows]:
    """Pool and spread of :func:`noisy_rows`: the rows given, or all rows where they are equal.

    Where only their numbers are equal, all rows count for the spread alone.
    """
    every, numbers, codes = np.arange(len(table.numbers)), table.numbers[rows], table.codes[rows]
    same_numbers, same_values = bool((numbers == numbers[0]).all()), bool((codes == codes[0]).all())
    return every if same_numbers and same_values else rows, every if same_numbers else rows


def noise_pools(table: Table, bump: Bump) -> tuple[Rows, Rows]:
    """Pool and spread of the rows of a bump, with a warning where all rows take their place."""
    pool, spread = pools_of(table, bump.rows)
    instead = "noise is scaled by the standard deviation of all rows"
    if pool is not bump.rows:
        warn_lone_row(bump, instead)
    elif spread is not bump.rows and table.numeric:
        warn_equal_numbers(bump, instead)
    return pool, spread


class GaussianNoise(Resampler):
    """Rare rows with Gaussian noise, common rows under-sampled.

    Branco, Torgo and Ribeiro, *Pre-processing approaches for imbalanced distributions in regression* (Neurocomputing
    2019): x + N(0, (noise sd_x)²) in each numeric column, y + N(0, (noise sd_y)²), nominal values by their frequency;
    frequencies and standard deviations are those of the rare bump the row is in.

    Args:
        noise: in standard deviations, above 0.
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
        Columns of whole numbers are rounded, and targets cut off at the range of y. A bump whose numbers are all
        the same has no standard deviation: that of all rows takes its place, with a warning.

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

        def near(bump: Bump, n: int) -> Made:
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
