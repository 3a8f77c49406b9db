"""Base class of the resamplers, and sampling bump by bump."""

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
from tailwise.sampling.mixed_table import (
    Floats,
    Rows,
    SyntheticRows,
    Table,
    checked_labels,
    checked_matrix,
    take_labels,
    take_rows,
)
from tailwise.sampling.pools import Bump

WAYS_OUT = (
    "give control points of the relevance, relevance=[(0, 0), (10, 1)] (of a part: "
    "`smogn.relevance=[[0,0],[10,1]]`), or use RandomOverSampler(by='bins') (of the part ro: `ro.by=bins`)"
)
_WHY_NONE = (
    "relevance below the threshold everywhere: the automatic one is 0 if no label lies beyond a fence of the box plot, "
    "and mostly if more than half of the labels are equal, such as zeros"
)

Drawn = tuple[Rows, SyntheticRows | None]
Grow = Callable[[Bump, int], Rows | SyntheticRows]


class Resampler(BaseEstimator):  # type: ignore[misc]
    """Base class of the resamplers: ``fit_resample(X, y)`` returns resampled rows of a table and their targets.

    Attributes:
        sample_indices_: row of X that each row comes from; for a synthetic row, the row it was made from.
        synthetic_: true for synthetic rows, false for rows of X. Synthetic rows differ from each other if a column of
            real numbers varies among the rows they are made from. Whole numbers are rounded and nominal values drawn,
            so in a table with only such columns synthetic rows may repeat each other or rows of X.
    """

    random_state: Any

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Resample the rows of a table.

        Args:
            X: ``(n, p)`` data frame or array.
            y: ``(n,)`` targets, a series or an array.

        Returns:
            X and y of the same kind as given (frame or array, series or array, the same types and categories) with
            resampled rows: rows of X in their order, then copies and synthetic rows. The index of a frame or series
            starts at 0.

        Raises:
            InputError: lengths that differ, targets that are not finite, parameters that are not allowed.
        """
        matrix = checked_matrix(X)
        labels = checked_labels(y, len(matrix))
        table = self._table(matrix)
        rows, synthetic = self._draw(table, labels, self._rng())
        base = rows[:0] if synthetic is None else synthetic.base
        self.sample_indices_ = np.concatenate([rows, base])
        self.synthetic_ = np.arange(self.sample_indices_.size) >= rows.size
        return take_rows(matrix, rows, table, synthetic), take_labels(y, rows, synthetic)

    def _table(self, matrix: Any) -> Table | None:  # noqa: ARG002
        """Return the columns of X; ``None`` for resamplers without synthetic rows."""
        return None

    @abstractmethod
    def _draw(self, table: Any, labels: Floats, rng: np.random.Generator) -> Drawn:
        """Return the rows of X to keep or copy, and the synthetic rows."""

    def _rng(self) -> np.random.Generator:
        try:
            return np.random.default_rng(self.random_state)
        except (TypeError, ValueError):
            raise InputError(
                f"random_state must be a whole number of at least 0, a generator or None, got {self.random_state!r}"
            ) from None


def draw_by_bump(bumps: Sequence[Bump], wanted: Sequence[int], rng: np.random.Generator, grow: Grow | None) -> Drawn:
    """Under-sample or grow each bump to the number of rows wanted.

    Args:
        bumps: bumps of the target.
        wanted: number of rows wanted of each bump; rows above it are left out at random.
        rng: random generator of the rows left out.
        grow: returns the given number of additional rows of a bump, copies or synthetic rows; ``None`` adds no rows.
    """
    if len(bumps) == 1:
        which = "every row is rare" if bumps[0].rare else "no row is rare"
        why = "" if bumps[0].rare else f" ({_WHY_NONE})"
        warnings.warn(f"{which}{why}, so the data are unchanged; {WAYS_OUT}", stacklevel=4)
    kept: list[Rows] = []
    copies: list[Rows] = []
    synthetic: list[SyntheticRows] = []
    for bump, count in zip(bumps, wanted, strict=True):
        missing = count - bump.rows.size
        kept.append(bump.rows if missing >= 0 else rng.choice(bump.rows, count, replace=False, shuffle=False))
        if missing > 0 and grow is not None:
            more = grow(bump, missing)
            if isinstance(more, SyntheticRows):
                synthetic.append(more)
            else:
                copies.append(more)
    rows = np.concatenate([np.sort(np.concatenate(kept)), *copies])
    return rows, joined(synthetic) if synthetic else None


def joined(parts: Sequence[SyntheticRows]) -> SyntheticRows:
    """Concatenate the synthetic rows of several bumps."""
    return SyntheticRows(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in SyntheticRows.__dataclass_fields__)
    )


def seeds(rows: Rows, n: int, rng: np.random.Generator) -> Rows:
    """Choose the rows that n new rows are made from: all equally often, the remainder drawn at random."""
    rounds, remainder = divmod(n, rows.size)
    return np.concatenate([np.repeat(rows, rounds), rng.choice(rows, remainder, replace=False, shuffle=False)])


def warn_lone_row(bump: Bump, instead: str) -> None:
    """Warn about a rare bump with one row, or several equal rows."""
    warnings.warn(
        f"a bump of the target ({bump}) has a single different row, so {instead}; lower the threshold to have more",
        stacklevel=5,
    )


def warn_equal_numbers(bump: Bump, instead: str) -> None:
    """Warn about a rare bump with rows that differ only in nominal values."""
    warnings.warn(
        f"a bump of the target ({bump}) has equal numbers in all its rows, so {instead}; lower the threshold to have "
        "more",
        stacklevel=5,
    )


def whole_numbers(numbers: Floats, whole: NDArray[np.bool_]) -> Floats:
    """Round the columns of whole numbers."""
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
