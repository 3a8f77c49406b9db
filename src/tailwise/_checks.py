"""Checks of arguments, and the exception they raise."""

import difflib
import os
from collections.abc import Iterable
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray


class InputError(ValueError):
    """Invalid input of a caller; the message names the thing, the rule, the value seen and the way out.

    The command line prints it as one line and exits with 2; in Python it is an ordinary ``ValueError``.
    """


class Shaped(Protocol):
    """Anything with a shape: a NumPy array or a tensor."""

    @property
    def shape(self) -> Any:
        """Shape of the array."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest known name, ``; did you mean 'conr'?``, or all known names if none is near.

    >>> did_you_mean("con", ["conr", "fds"])
    "; did you mean 'conr'?"
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    lower = {choice.lower(): choice for choice in choices}
    if not near and name.lower() in lower:
        near = [lower[name.lower()]]
    if near:
        return f"; did you mean {shown(near[0])}?"
    names = [short(choice) for choice in choices]
    known = ", ".join(names[: _most(names)])
    return f"; known are {known}" + (f" and {len(names) - _most(names)} more" if _most(names) < len(names) else "")


_MOST_NAMES = 10_000  # in a folder, of those that are compared with a name


def name_nearby(path: Path, *, folders: bool = False) -> str:
    """Return a hint at the nearest name beside a path that does not exist, ``; did you mean 'houses.csv'?``.

    It is empty if no name is near.

    Args:
        path: the path.
        folders: whether only folders count.
    """
    try:
        with os.scandir(path.parent) as entries:
            seen = [e.name for e in islice(entries, _MOST_NAMES) if not e.name.startswith(".")]
        near = difflib.get_close_matches(path.name, sorted(seen), n=3, cutoff=0.6)
        nearest = next((name for name in near if not folders or (path.parent / name).is_dir()), None)
    except (OSError, ValueError):  # a folder that is absent or may not be read, a name that no file can have
        return ""
    return "" if nearest is None else f"; did you mean {shown(path.parent / nearest)}?"


_LONGEST, _LONGEST_LIST = 60, 150  # characters of a name or a cell, and of a list of names, in a message


def shown(value: object) -> str:
    """Format a name or a cell for a message, in quotes and on one line, cut in the middle where it is long.

    >>> shown("price"), len(shown("x" * 1000))
    ("'price'", 63)
    """
    text, half = str(value), _LONGEST // 2
    quote = repr(text if len(text) <= _LONGEST else f"{text[:half]}...{text[2 - half :]}")
    return quote if len(quote) <= 2 * _LONGEST else quote[: 2 * _LONGEST] + "...'"


def short(value: object) -> str:
    """Return a name or a cell as text on one line, cut in the middle where it is long.

    >>> short("price"), len(short("x" * 1000))
    ('price', 61)
    """
    text, half = str(value), _LONGEST // 2
    text = text if text.isprintable() else repr(text[: 2 * _LONGEST])[1:-1]
    return text if len(text) <= _LONGEST else f"{text[:half]}...{text[2 - half :]}"


def quoted(names: Iterable[object], *, most: int = 10) -> str:
    """Format names for a message: ``'a', 'b' and 3 more``."""
    items = [shown(name) for name in names]
    most = min(most, _most(items))
    tail = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + tail


def _most(items: list[str]) -> int:
    """Return how many names a message has room for."""
    length = 0
    for place, item in enumerate(items):
        length += len(item) + 2
        if place and length > _LONGEST_LIST:
            return place
    return len(items)


def one_of(value: str, name: str, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is allowed, raise otherwise."""
    choices = tuple(allowed)
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


_SMALLEST, _LARGEST = 1e-18, 1e18  # their squares stay in the range of float32


def positive(value: object, name: str, *, least: float = _SMALLEST, most: float = _LARGEST) -> float:
    """Return ``value`` if it is a finite number above zero, from ``least`` to ``most``, raise otherwise."""
    number = _number(value)
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{name} must be a finite number above 0, got {value!r}")
    if number < least:
        raise InputError(f"{name} must be at least {least:g}, got {value!r}")
    return _at_most(number, name, most)


def not_negative(value: object, name: str, *, most: float = _LARGEST) -> float:
    """Return ``value`` if it is a finite number from zero to ``most``, raise otherwise."""
    number = _number(value)
    if not (np.isfinite(number) and number >= 0):
        raise InputError(f"{name} must be a finite number of at least 0, got {value!r}")
    return _at_most(number, name, most)


def true_or_false(value: object, name: str) -> bool:
    """Return ``value`` if it is true or false, raise otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} must be true or false, got {value!r}")
    return bool(value)


def _number(value: object) -> float:
    """Convert a number to a float, infinite beyond the range of floats; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.inf


def _at_most(number: float, name: str, most: float) -> float:
    """Return ``number`` if it is at most ``most``, raise otherwise."""
    if number > most:
        raise InputError(f"{name} must be at most {most:g}, got {number!r}")
    return number


def number_range(value: object, name: str) -> tuple[float, float]:
    """Return ``value`` if it is a pair (low, high) of finite numbers with 0 <= low <= high, raise otherwise."""
    if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(v, Real) for v in value):
        low, high = float(value[0]), float(value[1])
        if 0 <= low <= high < np.inf:
            return low, high
    raise InputError(f"{name} must be a range (low, high) of numbers with 0 <= low <= high, got {value!r}")


def whole(value: object, name: str, *, least: int, most: int = 2**53) -> int:
    """Return ``value`` if it is a whole number from ``least`` to ``most``, raise otherwise."""
    number = _number(value)
    if not np.isfinite(number) or number != round(number) or not least <= number <= most:
        rule = f"of at least {least}" if most == 2**53 else f"from {least} to {most:,}"
        raise InputError(f"{name} must be a whole number {rule}, got {value!r}")
    return int(number)


def quantile_levels(values: object, name: str = "levels") -> list[float]:
    """Return at least two increasing levels of quantiles between 0 and 1, raise otherwise."""
    levels = [_number(value) for value in values] if isinstance(values, Iterable) else []
    if len(levels) < 2 or not (np.diff([0.0, *levels, 1.0]) > 0).all():
        raise InputError(
            f"{name} must be at least two increasing numbers between 0 and 1, both excluded, got {values!r}"
        )
    return levels


def label_array(y: ArrayLike, name: str = "y") -> NDArray[np.float64]:
    """Return labels as a float64 vector; raise if they are no numbers, empty, not one-dimensional or not finite."""
    try:
        values = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(_no_numbers(y, name)) from None
    if values.ndim != 1:
        raise InputError(f"{name} must be one-dimensional, (n,), got shape {values.shape}")
    if values.size == 0:
        raise InputError(f"{name} is empty; at least one label is needed")
    bad = ~np.isfinite(values)
    if bad.any():
        raise InputError(
            f"{name} has {int(bad.sum())} labels that are NaN or infinite, the first at position "
            f"{int(bad.argmax())}; drop or impute them first"
        )
    return values


def _no_numbers(y: ArrayLike, name: str) -> str:
    """Return what is wrong with labels that cannot be converted to numbers."""
    try:
        cells = np.asarray(y, dtype=object).ravel()
    except ValueError:
        cells = np.empty(0, dtype=object)
    for place, cell in enumerate(cells):
        if np.iterable(cell) and not isinstance(cell, str):
            break
        try:
            float(cell)
        except (TypeError, ValueError):
            way_out = (
                "convert it first, or read the table with tailwise.prepare, which reads numbers with currency signs, "
                "thousands separators or decimal commas"
                if any(letter.isdigit() for letter in str(cell))
                else "choose a numeric target"
            )
            return f"{name} must hold numbers, got {shown(cell)} at position {place}; {way_out}"
    return f"{name} must be a one-dimensional array of numbers, all rows of one length"


def row_weights(weight: ArrayLike | None, n: int, name: str = "sample_weight") -> NDArray[np.float64] | None:
    """Return the weights of n rows as a float64 vector, ``None`` for rows that all count the same.

    Raises:
        InputError: another shape, a weight that is negative or not finite, no weight above 0.
    """
    if weight is None:
        return None
    values = np.asarray(weight, dtype=np.float64)
    if values.shape != (n,):
        raise InputError(f"{name} must have shape ({n},), one number a row, got shape {values.shape}")
    wrong = values[~(np.isfinite(values) & (values >= 0))]
    if wrong.size:
        raise InputError(f"{name} must hold finite numbers of at least 0, got {wrong[0]:g}")
    if not values.any():
        raise InputError(f"{name} is 0 for every row; give some rows a weight above 0")
    return values


def same_shape(pred: Shaped, target: Shaped) -> None:
    """Raise if a prediction has a different shape than its target.

    ``(B, 1)`` against ``(B,)`` would silently broadcast to ``(B, B)``.
    """
    if tuple(pred.shape) != tuple(target.shape):
        wrong = "target" if len(target.shape) == 2 and target.shape[1] == 1 else "pred"
        raise InputError(
            f"pred has shape {tuple(pred.shape)} but target {tuple(target.shape)}; they must be equal "
            f"(scalar targets are (B,): use {wrong}.squeeze(-1))"
        )


def not_a_column(target: Shaped) -> None:
    """Raise if scalar targets have the shape ``(B, 1)``, where they must be ``(B,)``."""
    if len(target.shape) == 2 and target.shape[1] == 1:
        raise InputError(
            f"target has shape {tuple(target.shape)}, but scalar targets are (B,); use target.squeeze(-1), and "
            "pred.squeeze(-1) where there are predictions"
        )
