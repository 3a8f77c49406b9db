"""Checks of the arrays that distributions are made of and asked with."""

from collections.abc import Iterable, Iterator
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError

Floats = NDArray[np.float64]
Rows = slice | NDArray[np.int64] | NDArray[np.bool_]

_ROUNDINGS_OF_FACTORS = 4  # of weights that are products, as those of pooled mixtures


def finite(values: ArrayLike, name: str, ndim: int) -> Floats:
    """Return a copy of ``values`` as float64 that cannot be written to.

    Raises:
        InputError: another number of dimensions, no values, or values that are NaN or infinite.
    """
    array = numbers(values, name).copy()
    if array.ndim != ndim:
        raise InputError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}, got shape {array.shape}")
    if array.shape[-1] == 0:
        raise InputError(f"{name} is empty, shape {array.shape}; at least one column is needed")
    bad = ~np.isfinite(array)
    if bad.any():
        position = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(f"{name} has {int(bad.sum())} values that are NaN or infinite, the first at {position}")
    array.setflags(write=False)
    return array


def numbers(values: ArrayLike, name: str) -> Floats:
    """Return ``values`` as float64; raise InputError if they are not numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise ValueError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number or an array of numbers, got {_shown(values)}") from None


def scalar(value: object, name: str) -> float:
    """Return ``value`` if it is a finite number, raise InputError otherwise."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise InputError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def shares(values: Floats, name: str) -> Floats:
    """Return ``(n, k)`` finite weights divided by their sum in each row, as :func:`nearly_one_as_one` gives it.

    Raises:
        InputError: a weight below 0, or a row of zeros.
    """
    if (values < 0).any():
        raise InputError(f"{name} must be at least 0, got {values.min():g}")
    total = values.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        raise InputError(f"{name} must have a value above 0 in every row; row {int((total <= 0).argmax())} has none")
    divided: Floats = values / nearly_one_as_one(total, values.shape[1])
    divided.setflags(write=False)
    return divided


def nearly_one_as_one(sums: Floats, terms: int | Floats) -> Floats:
    """Return sums of so many terms, and 1 for those that differ from 1 by rounding alone.

    Weights that were divided by their sum seldom add up to 1 exactly. They stay as they are where they are divided by
    these sums, so distributions that were saved are read back exactly.
    """
    rounding = (np.asarray(terms) + _ROUNDINGS_OF_FACTORS) * np.finfo(np.float64).eps
    return np.where(np.abs(sums - 1) <= rounding, 1.0, sums)


def increasing(values: ArrayLike, name: str) -> Floats:
    """Return at least two finite, strictly increasing numbers."""
    edges = finite(values, name, 1)
    if edges.size < 2 or not (np.diff(edges) > 0).all():
        raise InputError(f"{name} must be at least two increasing numbers, got {_shown(values)}")
    return edges


def per_row(values: ArrayLike, n: int, name: str) -> Floats:
    """Return values with one column or more, ``(n, k)``, from a scalar, ``(n,)``, ``(1, k)`` or ``(n, k)``.

    Raises:
        InputError: no numbers, NaN, or another shape.
    """
    array = numbers(values, name)
    if np.isnan(array).any():
        raise InputError(f"{name} must be numbers, got {int(np.isnan(array).sum())} that are NaN")
    if array.ndim == 0 or array.shape == (n,):
        return np.broadcast_to(array.reshape(-1, 1), (n, 1))
    if array.ndim == 2 and array.shape[0] in (1, n):
        return np.broadcast_to(array, (n, array.shape[1]))
    raise InputError(
        f"{name} must be one number, one a row ({n},), or columns (1, k) or ({n}, k), got shape {array.shape}; "
        f"for the same k values in every row use {name}[None, :]"
    )


def probabilities(levels: ArrayLike, name: str) -> Floats:
    """Return ``(k,)`` levels in (0, 1) from one number or a sequence; raise InputError otherwise."""
    array = np.atleast_1d(numbers(levels, name))
    if array.ndim != 1 or array.size == 0 or not ((array > 0) & (array < 1)).all():
        raise InputError(f"{name} must be between 0 and 1, both excluded, got {_shown(levels)}")
    return array


def index_rows(rows: Any, n: int) -> Rows:
    """Return a slice, a mask or row numbers; raise InputError for anything else."""
    if isinstance(rows, slice):
        return rows
    index = np.asarray(rows)
    if index.dtype == bool and index.shape == (n,):
        return index
    if index.ndim == 1 and (index.dtype.kind in "iu" or index.size == 0):
        index = index.astype(np.int64)
        if ((index >= -n) & (index < n)).all():
            return index
    raise InputError(f"rows must be a slice, a mask ({n},) or row numbers below {n}, got {_shown(rows)}")


def pieces(n: int, width: int, elements: int = 2**15) -> Iterator[slice]:
    """Slices of ``n`` rows, each with about ``elements`` numbers when a row has ``width``."""
    step = max(elements // max(width, 1), 1)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def same_length(lengths: Iterable[int], what: str) -> int:
    """Return the one length; raise InputError where there are several."""
    distinct = set(lengths)
    if len(distinct) != 1:
        raise InputError(f"{what} must have the same number of rows, got {sorted(distinct)}")
    return distinct.pop()


def _shown(values: object) -> str:
    text = repr(values)
    return text if len(text) < 80 else f"{text[:77]}..."
