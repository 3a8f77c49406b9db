"""WERCS: resampling by relevance, without a threshold."""

import warnings
from typing import Any

import numpy as np

from tailwise._checks import InputError, not_negative
from tailwise.labels.relevance import Which
from tailwise.sampling.mixed_table import Floats, Nominal, Table, read_table
from tailwise.sampling.noise import noisy_rows, pools_of
from tailwise.sampling.pools import RelevanceLike, relevance_of
from tailwise.sampling.resampler import BRANCO, WAYS_OUT, Drawn, Resampler, resampler_part


class WERCS(Resampler):
    """Relevance-weighted over- and under-sampling: rows are drawn in proportion to φ, without a threshold.

    Branco, Torgo and Ribeiro, *Pre-processing approaches for imbalanced distributions in regression* (Neurocomputing
    2019): P(copy i) ∝ φ(y_i), P(leave out i) ∝ 1 - φ(y_i).

    Args:
        over: rows added, as a fraction of n; drawn with replacement with probabilities in proportion to φ.
        under: rows left out, as a fraction of n, at most 1; drawn without replacement with probabilities in proportion
            to 1 - φ.
        noise: 0 adds copies; above 0, copies with Gaussian noise in standard deviations (of the rows drawn, or of all
            rows if the rows drawn have equal numbers).
        nominal: names or positions of nominal columns, or a mask, for the noise; columns of type category, object,
            string and bool are always nominal.
        relevance: φ(y), an importance from 0 to 1 of each target value: a :class:`tailwise.Relevance`, control points
            (y, φ), or any function of the labels; ``None`` takes the relevance from a box plot of the labels.
        which: ends of the target that the automatic relevance covers, ``"both"``, ``"low"`` or ``"high"``.
        random_state: whole number, generator, or ``None`` for a different draw each time.

    Shape:
        ``fit_resample(X, y)``: ``(n, p)`` and ``(n,)`` to ``(m, p)`` and ``(m,)``.

    Raises:
        InputError: from ``fit_resample``, parameters that are not allowed; with noise, missing values.

    Note:
        A row of relevance 1 is never left out, and at least one row stays, whatever ``under`` is. Rows are
        added and left out independently, both drawn from all rows. Without noise any column and missing values are
        allowed.

    Example:
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38) % 5, 50.0, 60.0]
        >>> new_X, new_y = WERCS(relevance=[(10, 0), (50, 1)], random_state=0).fit_resample(X, y)
        >>> len(new_y), int((new_y >= 50).sum()) > 10
        (40, True)
    """

    def __init__(
        self,
        *,
        over: float = 0.5,
        under: float = 0.5,
        noise: float = 0.0,
        nominal: Nominal | None = None,
        relevance: RelevanceLike | None = None,
        which: Which = "both",
        random_state: Any = None,
    ) -> None:
        self.over, self.under, self.noise, self.nominal = over, under, noise, nominal
        self.relevance, self.which, self.random_state = relevance, which, random_state

    def _table(self, matrix: Any) -> Table | None:
        return read_table(matrix, self.nominal) if not_negative(self.noise, "noise") > 0 else None

    def _draw(self, table: Table | None, labels: Floats, rng: np.random.Generator) -> Drawn:
        n = labels.size
        n_over = int(np.rint(not_negative(self.over, "over", most=1000.0) * n))
        n_under = int(np.rint(not_negative(self.under, "under", most=1.0) * n))
        phi = relevance_of(labels, self.relevance, self.which)
        if phi.max() == 0:
            warnings.warn(
                f"the relevance of every row is 0, so the data are unchanged; {WAYS_OUT.replace('smogn', 'wercs')}",
                stacklevel=3,
            )
            return np.arange(n), None
        drawn = rng.choice(n, n_over, p=phi / phi.sum())
        spare = 1 - phi
        n_under = min(n_under, int((spare > 0).sum()), n - 1)
        kept = np.ones(n, dtype=bool)
        if n_under:
            kept[rng.choice(n, n_under, replace=False, p=spare / spare.sum(), shuffle=False)] = False
        rows = np.flatnonzero(kept)
        if table is None or drawn.size == 0:
            return np.concatenate([rows, drawn]), None
        if n < 2:
            raise InputError("X has a single row, which has no standard deviation; use noise=0")
        return rows, noisy_rows(table, labels, *pools_of(table, drawn), drawn, float(self.noise), rng)


WERCS_PART = resampler_part(
    name="wercs",
    make=WERCS,
    summary="repeat rows by their relevance, leave out rows of little relevance",
    source=BRANCO,
    year=2019,
    cost="none; more or fewer rows",
    use="""\
from tailwise.sampling import WERCS
X_more, y_more = WERCS(random_state=0).fit_resample(X_train, y_train)""",
    units={"over": "fraction of rows", "under": "fraction of rows", "noise": "standard deviations"},
)
