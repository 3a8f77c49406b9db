"""Random over-sampling of rare rows, random under-sampling of common rows."""

from typing import Any, Literal

import numpy as np

from tailwise._checks import InputError, one_of, positive
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.relevance import Which
from tailwise.sampling.bin_copies import rows_by_bin
from tailwise.sampling.mixed_table import Floats, Rows
from tailwise.sampling.pools import Bump, RelevanceLike, Strategy, find_bumps, relevance_of, wanted_rows
from tailwise.sampling.resampler import BRANCO, Drawn, Resampler, draw_by_bump, resampler_part

By = Literal["relevance", "bins"]
BYS = ("relevance", "bins")


class RandomOverSampler(Resampler):
    """Over-sampling by copies of rare rows; common rows stay as they are.

    With ``by="relevance"`` copies of the rows of rare bumps are drawn with replacement: Branco, Torgo and Ribeiro,
    *Pre-processing approaches for imbalanced distributions in regression* (Neurocomputing 2019).
    With ``strategy="balance"`` a rare bump b has n_b ↦ n / k rows, n the rows and k the bumps of the table.

    With ``by="bins"``, a definition of tailwise, rows in rare bins of the target are copied, without a relevance: bin b
    gets n_b min((p_max / p_b)^power, most) rows, where n_b is the number of its rows and p_b its density, n_b or the
    smoothed n_b. Weights of the same form repeat rows in the loss instead of in the table.

    Args:
        by: ``"relevance"`` or ``"bins"``.
        strategy: rows wanted of each bump of the target, ``"balance"``, ``"extreme"`` or factors, one per bump from the
            lowest targets to the highest: the rows wanted are the factor times the rows of the bump (see
            :func:`tailwise.sampling.pools.multipliers`).
        relevance: φ(y), an importance from 0 to 1 of each target value, rare from ``threshold`` on: a
            :class:`tailwise.Relevance`, control points (y, φ), or any function of the labels; ``None`` takes the
            relevance from a box plot of the labels.
        which: ends of the target that the automatic relevance covers, ``"both"``, ``"low"`` or ``"high"``.
        threshold: relevance from which a row is rare, in (0, 1] (see the note at
            :func:`tailwise.sampling.pools.find_bumps`).
        power: for bins: 1 fills every bin up to the number of rows of the most common one, 0.5 about half the way on a
            logarithmic scale; above 0, at most 10.
        most: for bins: largest factor on the rows of a bin, at least 1.
        bins: for bins: bins of the target; ``Bins.auto(y)`` if not given.
        density: for bins: smooths the counts over neighbouring bins; ``None`` takes the counts.
        random_state: whole number, generator, or ``None`` for a different draw each time.

    Shape:
        ``fit_resample(X, y)``: ``(n, p)`` and ``(n,)`` to ``(m, p)`` and ``(m,)``.

    Raises:
        InputError: from ``fit_resample``, parameters that are not allowed, factors for bumps that do not exist, a
            relevance with ``by="bins"``, bins or a density without, constant targets without bins given.

    Note:
        Rows are only copied, so any column and missing values are allowed. By bins, all rows of a bin are copied
        equally often, and the remainder is drawn at random.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> more_X, more_y = RandomOverSampler(relevance=[(10, 0), (50, 1)], random_state=0).fit_resample(X, y)
        >>> len(y), int((y >= 50).sum()), len(more_y), int((more_y >= 50).sum())
        (40, 2, 58, 20)
        >>> sampler = RandomOverSampler(by="bins", power=1.0, bins=Bins.from_edges([0, 10, 70]), random_state=0)
        >>> more_y = sampler.fit_resample(X, y)[1]
        >>> int((more_y < 10).sum()), int((more_y >= 10).sum())
        (38, 20)
    """

    def __init__(
        self,
        *,
        by: By = "relevance",
        strategy: Strategy = "balance",
        relevance: RelevanceLike | None = None,
        which: Which = "both",
        threshold: float = 0.8,
        power: float = 0.5,
        most: float = 10.0,
        bins: Bins | None = None,
        density: LDS | None = None,
        random_state: Any = None,
    ) -> None:
        self.by, self.strategy, self.relevance, self.which, self.threshold = by, strategy, relevance, which, threshold
        self.power, self.most, self.bins, self.density = power, most, bins, density
        self.random_state = random_state

    def _draw(self, table: Any, labels: Floats, rng: np.random.Generator) -> Drawn:  # noqa: ARG002
        one_of(self.by, "by", BYS)
        power, most = positive(self.power, "power", most=10.0), positive(self.most, "most", least=1.0)
        if self.by == "bins":
            if self.relevance is not None:
                raise InputError("relevance is given, but by='bins' does not use it; leave one out")
            return rows_by_bin(labels, rng, power=power, most=most, bins=self.bins, density=self.density), None
        for name in ("bins", "density"):
            if getattr(self, name) is not None:
                raise InputError(f"{name} is given, but only by='bins' uses it; add by='bins' or leave {name} out")
        bumps = find_bumps(labels, relevance_of(labels, self.relevance, self.which), self.threshold)

        def copies(bump: Bump, n: int) -> Rows:
            return rng.choice(bump.rows, n)

        return draw_by_bump(bumps, wanted_rows(bumps, self.strategy, under=False), rng, copies)


class RandomUnderSampler(Resampler):
    """Under-sampling of common rows, drawn without replacement; all rare rows stay.

    Torgo, Ribeiro, Pfahringer and Branco, *SMOTE for regression* (EPIA 2013)

    With ``strategy="balance"`` a common bump b has n_b ↦ n / k rows, n the rows and k the bumps of the table.

    Args:
        strategy: as in :class:`RandomOverSampler`.
        relevance: an importance from 0 to 1 of each target value, rare from ``threshold`` on; as in
            :class:`RandomOverSampler`.
        which: as in :class:`RandomOverSampler`.
        threshold: as in :class:`RandomOverSampler`.
        random_state: as in :class:`RandomOverSampler`.

    Shape:
        ``fit_resample(X, y)``: ``(n, p)`` and ``(n,)`` to ``(m, p)`` and ``(m,)``.

    Raises:
        InputError: from ``fit_resample``, parameters that are not allowed, factors for bumps that do not exist.

    Note:
        Rows are only left out, so any column and missing values are allowed.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> less_X, less_y = RandomUnderSampler(relevance=[(10, 0), (50, 1)], random_state=0).fit_resample(X, y)
        >>> len(less_y), int((less_y >= 50).sum())
        (22, 2)
    """

    def __init__(
        self,
        *,
        strategy: Strategy = "balance",
        relevance: RelevanceLike | None = None,
        which: Which = "both",
        threshold: float = 0.8,
        random_state: Any = None,
    ) -> None:
        self.strategy, self.relevance, self.which, self.threshold = strategy, relevance, which, threshold
        self.random_state = random_state

    def _draw(self, table: Any, labels: Floats, rng: np.random.Generator) -> Drawn:  # noqa: ARG002
        bumps = find_bumps(labels, relevance_of(labels, self.relevance, self.which), self.threshold)
        return draw_by_bump(bumps, wanted_rows(bumps, self.strategy, over=False), rng, None)


RU_PART = resampler_part(
    name="ru",
    make=RandomUnderSampler,
    summary="leave out common rows before training",
    source="Torgo et al., SMOTE for Regression, EPIA",
    year=2013,
    cost="none; fewer rows",
    use="""\
from tailwise.sampling import RandomUnderSampler
X_more, y_more = RandomUnderSampler(random_state=0).fit_resample(X_train, y_train)""",
)
RO_PART = resampler_part(
    name="ro",
    make=RandomOverSampler,
    summary="repeat rare rows before training, by relevance or by the density of bins",
    remark="by=bins is tailwise's definition",
    hidden=frozenset({"nominal", "random_state", "bins", "density"}),
    source=BRANCO,
    year=2019,
    cost="none; more rows",
    use="""\
from tailwise.sampling import RandomOverSampler
X_more, y_more = RandomOverSampler(random_state=0).fit_resample(X_train, y_train)""",
)
