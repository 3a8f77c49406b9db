"""SMOGN: interpolation to near neighbours, Gaussian noise if the neighbour is far."""

from typing import Any

import numpy as np

from tailwise._checks import positive, whole
from tailwise.labels.relevance import Which
from tailwise.sampling.mixed_table import Floats, Nominal, SyntheticRows, Table, read_table
from tailwise.sampling.neighbours import Distance, Metric, nearest, safe_distances
from tailwise.sampling.noise import noise_pools, noisy_rows
from tailwise.sampling.pools import Bump, RelevanceLike, Strategy, find_bumps, relevance_of, wanted_rows
from tailwise.sampling.resampler import Drawn, Resampler, draw_by_bump, joined, resampler_part, seeds
from tailwise.sampling.smoter import rows_between


class SMOGN(Resampler):
    """New rare rows by interpolation to a near neighbour, by noise if it is far; common rows are under-sampled.

    Branco, Torgo and Ribeiro, *SMOGN: a pre-processing approach for imbalanced regression* (LIDTA 2017): one of the k
    nearest neighbours is drawn. If it is nearer than half the median of the distances from the row to the others of
    its bump, the new row is made as by :class:`SMOTER`; if not, as by :class:`GaussianNoise`, with noise of ``noise``
    standard deviations or of half that median, whichever is less.

    x = x_i + u (x_j - x_i) where d_ij < median_k d_ik / 2, x = x_i + N(0, (noise sd_x)²) elsewhere.

    Args:
        k: number of nearest neighbours; one of them is drawn.
        noise: in standard deviations of the bump, above 0.
        distance: ``"heom"`` (differences over the range of a column, 1 between different nominal values), ``"hvdm"``
            (differences over four standard deviations; nominal values by the targets they occur with) or
            ``"euclidean"`` (unscaled differences, numeric columns only).
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
        In a bump of more than 1,024 rows the median is taken over the distances to 1,024 rows, drawn at random. A bump
        with equal numbers in all rows gets noise of the standard deviation of all rows, with a warning. Neighbours and
        rounding are those of :class:`SMOTER`: exact neighbours among 8,192 different rows of a bump, 59 to 85 % of the
        true ones measured among 20,000.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(36) % 5, 50.0, 55.0, 60.0, 90.0]
        >>> sampler = SMOGN(k=2, relevance=[(10, 0), (50, 1)], random_state=0)
        >>> more_X, more_y = sampler.fit_resample(X, y)
        >>> int(sampler.synthetic_.sum()), len(np.unique(more_X[sampler.synthetic_])), float(more_y.max())
        (16, 16, 90.0)
    """

    def __init__(
        self,
        *,
        k: int = 5,
        noise: float = 0.02,
        distance: Distance = "heom",
        strategy: Strategy = "balance",
        under_sample: bool = True,
        nominal: Nominal | None = None,
        relevance: RelevanceLike | None = None,
        which: Which = "both",
        threshold: float = 0.8,
        random_state: Any = None,
    ) -> None:
        self.k, self.noise, self.distance, self.strategy = k, noise, distance, strategy
        self.under_sample, self.nominal = under_sample, nominal
        self.relevance, self.which, self.threshold, self.random_state = relevance, which, threshold, random_state

    def _table(self, matrix: Any) -> Table:
        return read_table(matrix, self.nominal)

    def _draw(self, table: Table, labels: Floats, rng: np.random.Generator) -> Drawn:
        k, noise = whole(self.k, "k", least=1), positive(self.noise, "noise")
        metric = Metric.of(self.distance, table, labels)
        bumps = find_bumps(labels, relevance_of(labels, self.relevance, self.which), self.threshold)

        def grown(bump: Bump, n: int) -> SyntheticRows:
            return _near_or_noisy(table, labels, bump, n, k, noise, metric, rng)

        return draw_by_bump(bumps, wanted_rows(bumps, self.strategy, under=self.under_sample), rng, grown)


def _near_or_noisy(
    table: Table,
    labels: Floats,
    bump: Bump,
    n: int,
    k: int,
    noise: float,
    metric: Metric,
    rng: np.random.Generator,
) -> SyntheticRows:
    """Make n rows of a bump, by interpolation to near neighbours and by noise if the neighbour is far."""
    encoded = metric.encode(table.numbers[bump.rows], table.codes[bump.rows])
    near = nearest(encoded, k, len(table.numeric)) if bump.rows.size > 1 else None
    if near is None:
        return noisy_rows(table, labels, *noise_pools(table, bump), seeds(bump.rows, n, rng), noise, rng)
    at = seeds(np.arange(bump.rows.size), n, rng)
    to = near[at, rng.integers(near.shape[1], size=n)]
    safe = safe_distances(encoded, rng)[at]
    is_near = np.sqrt(np.square(encoded[at] - encoded[to]).sum(axis=1)) < safe
    base, other = bump.rows[at], bump.rows[to]
    inside = rows_between(table, labels, base[is_near], other[is_near], metric, rng, "segment")
    if is_near.all():
        return inside
    far = np.minimum(safe, noise)[~is_near]
    outside = noisy_rows(table, labels, *noise_pools(table, bump), base[~is_near], far, rng)
    return joined([inside, outside])


SMOGN_PART = resampler_part(
    name="smogn",
    make=SMOGN,
    summary="SMOTER between near neighbours, Gaussian noise where they are far",
    source="Branco et al., SMOGN, LIDTA",
    year=2017,
    cost="none; neighbours of rare rows before training",
    use="""\
from tailwise.sampling import SMOGN
X_more, y_more = SMOGN(random_state=0).fit_resample(X_train, y_train)""",
    units={"noise": "standard deviations"},
)
