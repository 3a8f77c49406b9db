"""Read JSON that a run or a model holds, and check the kinds of its values: the files may have been edited by hand."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailwise._checks import InputError

_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    None: "null",
}


@dataclass(frozen=True)
class Each:
    """The shape of an object with any names.

    Args:
        shape: of every value.
    """

    shape: Any


def read_stored(path: Path, shape: Any = dict) -> dict[str, Any]:
    """Return the object in a JSON file, with values of the kinds it was written with.

    Args:
        path: the file.
        shape: ``str``, ``int``, ``float``, ``bool``, ``dict``, ``list`` or ``None`` for a value of that kind, ``Any``;
            ``{"name": shape}`` for an object with at least these names, those that end in ``?`` may be absent;
            :class:`Each`; ``[shape]`` for a list; a tuple of shapes, one to fit.

    Raises:
        InputError: a file that cannot be read, or a value of another kind; it names the file and the field.
    """
    try:
        value = json.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {_reason(error)}; train again") from error
    check_stored(value, shape, path)
    if not isinstance(value, dict):
        raise InputError(f"{str(path)!r} must hold an object; train again")
    return value


def read_stored_lines(path: Path, shape: Any) -> list[dict[str, Any]]:
    """Return the objects in a file with one a line; see :func:`read_stored`.

    Raises:
        InputError: a file that cannot be read, or a line of another kind; it names the file and the line.
    """
    try:
        values = [json.loads(line) for line in path.read_bytes().decode("utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {_reason(error)}; train again") from error
    for number, value in enumerate(values, start=1):
        check_stored(value, shape, path, f"line {number}")
    return values


def check_stored(value: Any, shape: Any, path: Path, field: str = "") -> None:
    """Raise unless a value read from a file has a shape; see :func:`read_stored`.

    Raises:
        InputError: another kind of value; it names the file and the field.

    Example:
        >>> check_stored({"label": 3}, {"label": str}, Path("r/config.json"))
        Traceback (most recent call last):
        tailwise._checks.InputError: 'r/config.json': label must be text, got 3; train again
    """
    for where, wanted, given in _misfits(value, shape, field):
        shown = repr(given)
        got = "nothing" if given is _ABSENT else shown if len(shown) < 40 else shown[:36] + "..."
        raise InputError(f"{str(path)!r}: {where or 'the file'} must be {wanted}, got {got}; train again")


_ABSENT = object()


def _misfits(value: Any, shape: Any, field: str) -> Iterator[tuple[str, str, Any]]:
    """Yield field, wanted kind and value of what does not fit."""
    if shape is Any:
        return
    if isinstance(shape, tuple):
        misfits = [list(_misfits(value, one, field)) for one in shape]
        if all(misfits):
            inner = max((one[0] for one in misfits), key=lambda misfit: len(misfit[0]))
            outer = (field, " or ".join(map(_kind, shape)), value)
            yield outer if inner[0] == field else inner
    elif isinstance(shape, Each | dict) and not isinstance(value, dict):
        yield field, _kind(dict), value
    elif isinstance(shape, Each):
        for name, one in value.items():
            yield from _misfits(one, shape.shape, _inside(field, name))
    elif isinstance(shape, dict):
        for name, one in shape.items():
            plain = name.removesuffix("?")
            if plain in value:
                yield from _misfits(value[plain], one, _inside(field, plain))
            elif plain == name:
                yield _inside(field, plain), _kind(one), _ABSENT
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield field, _kind(list), value
        else:
            for place, one in enumerate(value):
                yield from _misfits(one, shape[0], f"{field}[{place}]")
    elif not _fits(value, shape):
        yield field, _kind(shape), value


def _fits(value: Any, kind: Any) -> bool:
    if kind is None:
        return value is None
    if kind in (int, float):
        numeric = isinstance(value, kind | int) and not isinstance(value, bool)
        return numeric and abs(value) < 1e300 and math.isfinite(value)
    return isinstance(value, kind)


def _kind(shape: Any) -> str:
    if isinstance(shape, tuple):
        return " or ".join(map(_kind, shape))
    if isinstance(shape, Each | dict):
        return _KINDS[dict]
    return _KINDS[list] if isinstance(shape, list) else _KINDS.get(shape, "something else")


def _inside(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"it is not JSON ({error})" if isinstance(error, ValueError) else "it is nested too deeply"
