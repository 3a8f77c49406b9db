"""Random over-sampling of rare rows, random under-sampling of common ones."""

from typing import Any

import numpy as np

from tailwise.labels.relevance import Which
from tailwise.sampling.pools import Bump, RelevanceLike, Strategy, find_bumps, relevance_of, wanted_rows
from tailwise.sampling.resampler import BRANCO, Drawn, Resampler, draw_by_bump, resampler_part
from tailwise.sampling.table import Floats, Rows


class RandomOverSampler(Resampler):
    """Copies of rare rows, drawn with replacement; common rows stay as they are.

    Branco, Torgo and Ribeiro, *Pre-processing approaches for imbalanced distributions in regression* (Neurocomputing
    2019)

    Args:
        strategy: rows wanted of each bump of the target, ``"balance"``, ``"extreme"`` or shares, one a bump from the
            lowest targets to the highest: how many times its rows (see :func:`tailwise.sampling.pools.multipliers`).
        relevance: φ(y), an importance from 0 to 1 of each target value, rare from ``threshold`` on: a
            :class:`tailwise.Relevance`, control points (y, φ), or any function of the labels; ``None`` takes that of a
            box plot of the labels given.
        which: ends of the target that the automatic relevance serves, ``"both"``, ``"low"`` or ``"high"``.
        threshold: relevance from which a row is rare, in (0, 1] (see the note on it at
            :func:`tailwise.sampling.pools.find_bumps`).
        random_state: whole number, generator, or ``None`` for another draw each time.

    Raises:
        InputError: from ``fit_resample``, parameters that are not allowed, shares for bumps that do not exist.

    Note:
        Rows are only copied, so any column and missing values are allowed.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> more_X, more_y = RandomOverSampler(relevance=[(10, 0), (50, 1)], random_state=0).fit_resample(X, y)
        >>> len(y), int((y >= 50).sum()), len(more_y), int((more_y >= 50).sum())
        (40, 2, 58, 20)
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

        def copies(bump: Bump, n: int) -> Rows:
            return rng.choice(bump.rows, n)

        return draw_by_bump(bumps, wanted_rows(bumps, self.strategy, under=False), rng, copies)


class RandomUnderSampler(Resampler):
    """Fewer common rows, drawn without replacement; rare rows all stay.

    Torgo, Ribeiro, Pfahringer and Branco, *SMOTE for regression* (EPIA 2013)

    Args:
        strategy: as of :class:`RandomOverSampler`.
        relevance: an importance from 0 to 1 of each target value, rare from ``threshold`` on; as of
            :class:`RandomOverSampler`.
        which: as of :class:`RandomOverSampler`.
        threshold: as of :class:`RandomOverSampler`.
        random_state: as of :class:`RandomOverSampler`.

    Raises:
        InputError: from ``fit_resample``, parameters that are not allowed, shares for bumps that do not exist.

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
    summary="repeat rare rows before training",
    source=BRANCO,
    year=2019,
    cost="none; more rows",
    use="""\
from tailwise.sampling import RandomOverSampler
X_more, y_more = RandomOverSampler(random_state=0).fit_resample(X_train, y_train)""",
)
