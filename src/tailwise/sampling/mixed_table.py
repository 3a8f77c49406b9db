"""Tables of numeric and nominal columns, and their resampled and synthetic rows."""

import reprlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from tailwise._checks import InputError, label_array, quoted

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Nominal = Sequence[str | int | bool]

_LARGEST = 1e100  # squares of differences stay finite in float64


@dataclass(frozen=True)
class SyntheticRows:
    """Synthetic rows.

    Args:
        base: ``(s,)`` row that each synthetic row was made from.
        numbers: ``(s, q)`` values of the numeric columns.
        cells: ``(s, r)`` row that each nominal value is taken from.
        labels: ``(s,)`` targets.
    """

    base: Rows
    numbers: Floats
    cells: Rows
    labels: Floats


@dataclass(frozen=True)
class Table:
    """Columns of X.

    Args:
        numeric: positions of the numeric columns.
        whole: ``(q,)`` numeric columns with a type of whole numbers.
        numbers: ``(n, q)`` values of the numeric columns.
        nominal: positions of the nominal columns.
        codes: ``(n, r)`` values of the nominal columns, numbered from 0 in each column.
    """

    numeric: list[int]
    whole: NDArray[np.bool_]
    numbers: Floats
    nominal: list[int]
    codes: Rows


def checked_matrix(X: Any) -> Any:
    """Return X as a data frame or a two-dimensional array.

    Raises:
        InputError: a sparse matrix, another number of dimensions, no column.
    """
    if isinstance(X, pd.DataFrame):
        matrix: Any = X
    elif hasattr(X, "tocsr"):
        raise InputError("X is a sparse matrix; resamplers need a dense one, X.toarray()")
    else:
        matrix = np.asarray(X)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InputError(f"X must be a table (n, p) of at least one column, got shape {matrix.shape}")
    return matrix


def checked_labels(y: Any, n_rows: int) -> Floats:
    """Return the targets as a float64 vector.

    Raises:
        InputError: targets that are not numbers, not finite or not one-dimensional; a number of targets other than the
            number of rows.
    """
    if y is None:
        raise InputError("y is None; resamplers need the target of each row")
    try:
        targets = y if isinstance(y, pd.Series) else np.asarray(y)
        _check_numbers(targets)
        if isinstance(targets, pd.Series):
            targets = targets.to_numpy(dtype=np.float64, na_value=np.nan)
        labels = label_array(targets)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"y must hold numbers: {error}") from None
    if np.abs(labels).max() > _LARGEST:
        raise InputError(f"y has labels beyond {_LARGEST:g}; choose a larger unit")
    if labels.size != n_rows:
        raise InputError(f"X has {n_rows:,} rows but y has {labels.size:,} labels; they must be as many")
    return labels


def _check_numbers(y: Any) -> None:
    """Raise an InputError unless the targets are real numbers by their type."""
    kind: Any = y.dtype
    if types.is_object_dtype(kind):
        kind = types.infer_dtype(np.asarray(y).ravel())
        is_number = kind in ("integer", "floating", "mixed-integer-float", "decimal", "empty")
    else:
        is_number = types.is_numeric_dtype(kind) and not (types.is_bool_dtype(kind) or types.is_complex_dtype(kind))
    if not is_number:
        raise InputError(f"y must hold numbers, got type {kind}; convert them, dates to days for example")


def read_table(X: Any, nominal: Nominal | None = None) -> Table:
    """Split a checked X into numeric and nominal columns.

    Columns of type category, object, string and bool are nominal, as are the columns named in ``nominal``.

    Raises:
        InputError: a missing or infinite value, dates, complex numbers, values that cannot be compared, a name or
            position that is not a column.
    """
    columns = _Columns(X, nominal)
    codes = [columns.codes(j) for j in columns.nominal]
    return Table(
        numeric=columns.numeric,
        whole=np.array([types.is_integer_dtype(columns.dtype(j)) for j in columns.numeric], dtype=bool),
        numbers=columns.numbers(),
        nominal=columns.nominal,
        codes=np.stack(codes, axis=1) if codes else np.empty((len(X), 0), dtype=np.int64),
    )


def take_rows(X: Any, rows: Rows, table: Table | None = None, synthetic: SyntheticRows | None = None) -> Any:
    """Return the given rows of X and then the synthetic rows, with the column types of X; the index starts at 0."""
    if isinstance(X, np.ndarray):
        kept = X[rows]
        if synthetic is None or table is None:
            return kept
        return np.concatenate([kept, _synthetic_array(X, table, synthetic)])
    kept = X.take(rows)
    if synthetic is not None and table is not None:
        kept = pd.concat([kept, _synthetic_frame(X, table, synthetic)])
    return kept.reset_index(drop=True)


def take_labels(y: Any, rows: Rows, synthetic: SyntheticRows | None = None) -> Any:
    """Return the targets of the given rows and then of the synthetic rows, as a series or an array like ``y``."""
    if not isinstance(y, pd.Series):
        array = np.asarray(y)
        return (
            array[rows] if synthetic is None else np.concatenate([array[rows], _typed(synthetic.labels, array.dtype)])
        )
    kept = y.take(rows)
    if synthetic is not None:
        kept = pd.concat([kept, pd.Series(_typed(synthetic.labels, y.dtype), name=y.name)])
    return kept.reset_index(drop=True)


def _synthetic_array(X: NDArray[Any], table: Table, synthetic: SyntheticRows) -> NDArray[Any]:
    """Return synthetic rows as an array of the type of X."""
    if not table.nominal and X.dtype != object:
        return np.asarray(_typed(synthetic.numbers, X.dtype))
    rows = X[synthetic.base]
    for i, j in enumerate(table.numeric):
        dtype = np.dtype(np.int64) if X.dtype == object and table.whole[i] else X.dtype
        rows[:, j] = _typed(synthetic.numbers[:, i], dtype)
    for i, j in enumerate(table.nominal):
        rows[:, j] = X[synthetic.cells[:, i], j]
    return rows


def _synthetic_frame(X: pd.DataFrame, table: Table, synthetic: SyntheticRows) -> pd.DataFrame:
    """Return synthetic rows as a frame with the column types of X."""
    rows = X.take(synthetic.base)
    for i, j in enumerate(table.numeric):
        rows.isetitem(j, _typed(synthetic.numbers[:, i], X.dtypes.iloc[j]))
    for i, j in enumerate(table.nominal):
        rows.isetitem(j, X.iloc[:, j].array.take(synthetic.cells[:, i]))
    return rows


def _typed(values: Floats, dtype: Any) -> Any:
    """Convert numbers to a type: clipped to its range, and rounded for a type of whole numbers."""
    if types.is_integer_dtype(dtype):
        limits = np.iinfo(getattr(dtype, "numpy_dtype", dtype))
        top = min(float(limits.max), np.nextafter(2.0**63, 0)) if limits.max >= 2**53 else limits.max
        values = np.clip(np.rint(values), limits.min, top)
        if not isinstance(dtype, np.dtype):
            return pd.array(values.astype(limits.dtype), dtype=dtype)
    if not isinstance(dtype, np.dtype):
        return pd.array(values, dtype=dtype)
    if dtype.kind == "f" and dtype.itemsize < values.itemsize:
        values = np.clip(values, np.finfo(dtype).min, np.finfo(dtype).max)
    return values.astype(dtype)


class _Columns:
    """Columns of a frame or an array by position."""

    def __init__(self, X: Any, nominal: Nominal | None) -> None:
        is_object = isinstance(X, np.ndarray) and X.dtype.kind not in "iufb"
        self.frame = pd.DataFrame(X).infer_objects() if is_object else X if isinstance(X, pd.DataFrame) else None
        self.array = None if self.frame is not None else X
        self.names = list(self.frame.columns) if self.frame is not None else list(range(X.shape[1]))
        named = self._positions(nominal)
        self.nominal = [j for j in range(X.shape[1]) if j in named or self._is_nominal(j)]
        self.numeric = [j for j in range(X.shape[1]) if j not in self.nominal]

    def dtype(self, j: int) -> Any:
        """Return the type of column j."""
        return self.array.dtype if self.frame is None else self.frame.dtypes.iloc[j]  # type: ignore[union-attr]

    def numbers(self) -> Floats:
        """Return the ``(n, q)`` numeric columns."""
        if self.frame is None:
            taken = self.array if not self.nominal else self.array[:, self.numeric]  # type: ignore[index]
            values = np.asarray(taken, dtype=np.float64)
        else:
            values = np.empty((len(self.frame), len(self.numeric)))
            for i, j in enumerate(self.numeric):
                values[:, i] = self.frame.iloc[:, j].to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~np.isfinite(values)
        if bad.any():
            i = int(bad.any(axis=0).argmax())
            self._refuse(self.numeric[i], f"{int(bad[:, i].sum()):,} values that are missing or infinite")
        if values.size and (largest := np.abs(values).max(axis=0)).max() > _LARGEST:
            name = self.names[self.numeric[int(largest.argmax())]]
            raise InputError(f"column {str(name)!r} has values beyond {_LARGEST:g}; choose a larger unit")
        return values

    def codes(self, j: int) -> Rows:
        """Return the ``(n,)`` values of nominal column j, numbered from 0."""
        values = self.array[:, j] if self.frame is None else self.frame.iloc[:, j]  # type: ignore[index]
        try:
            codes = pd.factorize(values)[0].astype(np.int64)
        except TypeError as error:
            raise InputError(f"column {str(self.names[j])!r} cannot be a nominal column: {error}") from None
        if (codes < 0).any():
            self._refuse(j, f"{int((codes < 0).sum()):,} missing values")
        return codes

    def _refuse(self, j: int, what: str) -> None:
        raise InputError(f"column {str(self.names[j])!r} has {what}; impute or drop them first")

    def _is_nominal(self, j: int) -> bool:
        dtype = self.dtype(j)
        if isinstance(dtype, pd.CategoricalDtype) or types.is_bool_dtype(dtype) or types.is_object_dtype(dtype):
            return True
        if types.is_string_dtype(dtype):
            return True
        if not types.is_numeric_dtype(dtype) or types.is_complex_dtype(dtype):
            raise InputError(
                f"column {str(self.names[j])!r} has type {dtype}; turn it into numbers or categories, or name it in "
                "nominal="
            )
        return False

    def _positions(self, nominal: Nominal | None) -> set[int]:
        """Return the positions of the columns named as nominal, by name, by position or by a mask."""
        positions: set[int] = set()
        if isinstance(nominal, str | int):
            raise InputError(f"nominal must be a list of columns, got {nominal!r}; write [{nominal!r}]")
        if not isinstance(nominal, Iterable | None) or isinstance(nominal, Mapping | bytes):
            raise InputError(f"nominal must be a list of names or positions of columns, got {reprlib.repr(nominal)}")
        if isinstance(nominal, np.ndarray) and nominal.ndim != 1:
            raise InputError(f"nominal must be a list of names or positions, got an array of shape {nominal.shape}")
        asked = [] if nominal is None else list(nominal)
        masks = [isinstance(name, bool | np.bool_) for name in asked]
        if asked and all(masks):
            if len(asked) != len(self.names):
                raise InputError(f"nominal is a mask of {len(asked)} values, but X has {len(self.names)} columns")
            return {j for j, chosen in enumerate(asked) if chosen}
        if any(masks):
            raise InputError(
                f"nominal has {asked[masks.index(True)]!r} among other things; give names, positions, or a mask of "
                "true and false for every column"
            )
        for name in asked:
            by_name = [j for j, known in enumerate(self.names) if type(known) is not bool and _equal(known, name)]
            if not by_name and isinstance(name, int | np.integer) and 0 <= name < len(self.names):
                by_name = [int(name)]
            if not by_name:
                whole = isinstance(name, str) and any(str(known) == name for known in self.names)
                hint = f"; names there are whole numbers, so write {name} without quotes" if whole else ""
                raise InputError(f"nominal names {name!r}, which is no column of X; it has {quoted(self.names)}{hint}")
            positions.update(by_name)
        return positions


def _equal(known: Any, name: Any) -> bool:
    return isinstance(name, Hashable) and bool(known == name)
