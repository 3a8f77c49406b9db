"""What all resamplers share: what comes in, what goes out, and the walk over the bumps of a target."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from tailwise._checks import InputError
from tailwise._part import Part
from tailwise.sampling.pools import Bump
from tailwise.sampling.table import Floats, Made, Rows, Table, checked_labels, checked_matrix, take_labels, take_rows

WAYS_OUT = (
    "give control points of the relevance, relevance=[(0, 0), (10, 1)] (in the command --set "
    "smogn.relevance=[[0,0],[10,1]]), or use BinOverSampler (part binover)"
)
_WHY_NONE = (
    "relevance below the threshold everywhere: the automatic one is 0 if no label lies beyond a fence of the box plot, "
    "and mostly if more than half of the labels are equal, such as zeros"
)

Drawn = tuple[Rows, Made | None]
Grow = Callable[[Bump, int], Rows | Made]


class Resampler(BaseEstimator):  # type: ignore[misc]
    """Base of the resamplers: ``fit_resample(X, y)`` gives other rows of a table, and their targets.

    Attributes:
        sample_indices_: row of X that each row comes from; of a synthetic one, the row it was made from.
        synthetic_: true for rows that were made, false for those that stand in X. Where a column of numbers that are
            not whole varies among the rows they are made from, no two of them are the same; whole numbers are rounded
            and nominal values drawn, so in a table of these alone new rows may repeat each other or rows of X.
    """

    random_state: Any

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Draw rows of a table.

        Args:
            X: ``(n, p)`` a data frame or an array.
            y: ``(n,)`` targets, a series or an array.

        Returns:
            X and y as they came (frame or array, series or array, the same types and categories), with other rows:
            those of X in their order, then copies and synthetic ones. The index of a frame or series starts at 0.

        Raises:
            InputError: lengths that differ, targets that are not finite, parameters that are not allowed.
        """
        matrix = checked_matrix(X)
        labels = checked_labels(y, len(matrix))
        table = self._table(matrix)
        rows, made = self._draw(table, labels, self._rng())
        base = rows[:0] if made is None else made.base
        self.sample_indices_ = np.concatenate([rows, base])
        self.synthetic_ = np.arange(self.sample_indices_.size) >= rows.size
        return take_rows(matrix, rows, table, made), take_labels(y, rows, made)

    def _table(self, matrix: Any) -> Table | None:  # noqa: ARG002
        """Columns, for those that make rows."""
        return None

    @abstractmethod
    def _draw(self, table: Any, labels: Floats, rng: np.random.Generator) -> Drawn:
        """Rows of X to keep or copy, and the synthetic ones."""

    def _rng(self) -> np.random.Generator:
        try:
            return np.random.default_rng(self.random_state)
        except (TypeError, ValueError):
            raise InputError(
                f"random_state must be a whole number of at least 0, a generator or None, got {self.random_state!r}"
            ) from None


def draw_by_bump(bumps: Sequence[Bump], wanted: Sequence[int], rng: np.random.Generator, grow: Grow | None) -> Drawn:
    """Bumps of which fewer are wanted lose rows at random, those of which more are wanted grow.

    Args:
        bumps: of the target.
        wanted: rows of each.
        rng: of the rows left out.
        grow: gives so many more rows of a bump, copies or synthetic ones.
    """
    if len(bumps) == 1:
        which = "every row is rare" if bumps[0].rare else "no row is rare"
        why = "" if bumps[0].rare else f" ({_WHY_NONE})"
        warnings.warn(f"{which}{why}, so the data are unchanged; {WAYS_OUT}", stacklevel=4)
    kept: list[Rows] = []
    copies: list[Rows] = []
    made: list[Made] = []
    for bump, count in zip(bumps, wanted, strict=True):
        missing = count - bump.rows.size
        kept.append(bump.rows if missing >= 0 else rng.choice(bump.rows, count, replace=False, shuffle=False))
        if missing > 0 and grow is not None:
            more = grow(bump, missing)
            if isinstance(more, Made):
                made.append(more)
            else:
                copies.append(more)
    rows = np.concatenate([np.sort(np.concatenate(kept)), *copies])
    return rows, joined(made) if made else None


def joined(parts: Sequence[Made]) -> Made:
    """Synthetic rows of several bumps as one."""
    return Made(*(np.concatenate([getattr(part, name) for part in parts]) for name in Made.__dataclass_fields__))


def seeds(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """The rows that n new ones are made from: each as often as any other, the remainder drawn at random."""
    turns, rest = divmod(n, rows.size)
    return np.concatenate([np.repeat(rows, turns), rng.choice(rows, rest, replace=False, shuffle=False)])


def warn_lone_row(bump: Bump, instead: str) -> None:
    """Warn of a rare bump that has one row, or several that are all the same."""
    warnings.warn(
        f"a bump of the target ({bump}) has a single different row, so {instead}; lower the threshold to have more",
        stacklevel=5,
    )


def warn_equal_numbers(bump: Bump, instead: str) -> None:
    """Warn of a rare bump whose rows differ in nominal values only."""
    warnings.warn(
        f"a bump of the target ({bump}) has equal numbers in all its rows, so {instead}; lower the threshold to have "
        "more",
        stacklevel=5,
    )


def whole_numbers(numbers: Floats, whole: NDArray[np.bool_]) -> Floats:
    """Numbers, rounded in the columns of whole numbers."""
    return np.where(whole, np.rint(numbers), numbers) if whole.any() else numbers


BRANCO = "Branco et al., Pre-processing Approaches for Imbalanced Distributions in Regression, Neurocomputing"
resampler_part = partial(
    Part,
    slot="resample",
    targets=("scalar",),
    hidden=frozenset({"nominal", "random_state"}),
    of_none={"relevance": "1 at the whiskers of a box plot; or points [[y, phi], ...]"},
    corrects=True,
)
