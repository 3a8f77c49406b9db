"""Tables of test and validation rows that a comparison is given, beside the table itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError

if TYPE_CHECKING:
    from tailwise.data.source import Source

_PARTS = ("test", "valid")  # in the order in which their rows follow those of the table


@dataclass(frozen=True)
class GivenTable:
    """A table with its tables of test and validation rows.

    Args:
        source: the table; its digest is of all tables.
        n_own: number of its rows.
        n_parts: number of rows of the other tables.
    """

    source: "Source"
    n_own: int
    n_parts: int

    def positions(self, kept: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions of some rows of the table, followed by all rows of the other tables.

        Args:
            kept: ``(m,)`` positions in the table, from 0.
        """
        return np.concatenate([kept, self.n_own + np.arange(self.n_parts)])


def given_table(data: str, choices: Mapping[str, Any]) -> GivenTable:
    """Read a table, and the tables of parts that are named beside it.

    Args:
        data: file, or ``example:NAME``.
        choices: keywords of :func:`tailwise.experiment.prepare.prepare`.

    Raises:
        InputError: a table that cannot be read.
    """
    from tailwise.data.source import load_source  # needs pandas, which `--help` does not load

    source = load_source(data, text=choices.get("nominal", ()))
    parts = [load_source(str(choices[name])) for name in _PARTS if choices.get(name) is not None]
    whole = source.beside(parts) if parts else source
    return GivenTable(whole, len(source.rows), sum(len(part.rows) for part in parts))


def check_split(choices: Mapping[str, Any], *, tables: int, folds: int | None) -> None:
    """Raise for choices of the parts that contradict each other in a comparison.

    Args:
        choices: keywords of :func:`tailwise.experiment.prepare.prepare`.
        tables: number of tables.
        folds: number of folds, if there are some.

    Raises:
        InputError: tables of parts with several tables; folds or a time with tables of parts or a kind of split.
    """
    parts = [name for name in _PARTS if choices.get(name) is not None]
    named = parts + ([] if choices.get("split", "auto") == "auto" else ["split"])
    if parts and tables > 1:
        raise InputError(f"`{parts[0]}` is a part of one table, and there are {tables}; compare them one at a time")
    if named and folds is not None:
        raise InputError(f"`folds` draws the test rows, and `{named[0]}` says which they are; leave one out")
    if named and choices.get("time") is not None:
        raise InputError(
            f"with `time` each of the `seeds` tests earlier rows, and `{named[0]}` says which are tested; leave one out"
        )
