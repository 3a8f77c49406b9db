"""Parse options given as text: ``--set conr.window=2.0``, ``--shots 100,20``, ``--within 2%``, ``DATA@TARGET``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailwise._checks import InputError

_SEVERAL = ("--method", "-m", "--model", "--quantile", "--above", "--below")


def repeat_options(arguments: Sequence[str]) -> list[str]:
    """Return arguments with ``-m A B C`` written as ``-m A -m B -m C``.

    >>> repeat_options(["compare", "x.csv", "-m", "a", "b", "--seeds", "3"])
    ['compare', 'x.csv', '-m', 'a', '-m', 'b', '--seeds', '3']
    """
    words: list[str] = []
    option, count = "", 0
    for word in arguments:
        if word.startswith("-"):
            option, count = (word, 0) if word in _SEVERAL else ("", 0)
        elif option:
            count += 1
            if count > 1:
                words.append(option)
        words.append(word)
    return words


def parse_set(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return parameters by part.

    >>> parse_set(["conr.window=2.0", "fds.kernel=laplace", "fds.clip=[0.5, 2]"])
    {'conr': {'window': 2.0}, 'fds': {'kernel': 'laplace', 'clip': (0.5, 2)}}
    """
    params: dict[str, dict[str, Any]] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        part, dot, name = key.strip().partition(".")
        if not (equals and dot and part and name):
            raise InputError(f"--set takes PART.PARAMETER=VALUE such as conr.window=2.0, got {setting!r}")
        if name in params.setdefault(part, {}):
            raise InputError(f"--set gives {part}.{name} twice")
        params[part][name] = _value(text.strip(), f"{part}.{name}")
    return params


def _value(text: str, name: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        value = json.loads(text)
    except ValueError:
        if text.startswith("["):
            raise InputError(
                f"--set {name}: {text!r} starts with [ but is no valid JSON list such as [0.5, 2]"
            ) from None
        return text
    return tuple(value) if isinstance(value, list) else value


def parse_shots(text: str | None) -> tuple[float, float] | None:
    """Return the thresholds of MANY,FEW.

    >>> parse_shots("100,20")
    (100.0, 20.0)
    """
    return None if text is None else _pair(text, "--shots takes MANY,FEW such as 100,20")


def parse_counts(text: str, flag: str) -> tuple[int, ...]:
    """Return the whole numbers of N,N,...

    >>> parse_counts("1,24,168", "--lags")
    (1, 24, 168)
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{flag} takes whole numbers such as 1,24,168, got {text!r}") from None


def parse_ranges(texts: Sequence[str]) -> list[tuple[float, float]]:
    """Return the ranges LOW,HIGH of the target.

    >>> parse_ranges(["30,40"])
    [(30.0, 40.0)]
    """
    return [_pair(text, "--mask-target takes LOW,HIGH such as 30,40") for text in texts]


def parse_within(text: str) -> float | None:
    """Return a fraction, given in percent or as a number; None for ``none``.

    >>> parse_within("2%"), parse_within("0.02"), parse_within("none")
    (0.02, 0.02, None)
    """
    if text.strip().lower() == "none":
        return None
    number, percent, rest = text.strip().partition("%")
    try:
        if rest:
            raise ValueError
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise InputError(f"--within takes a fraction such as 2% or 0.02, or none, got {text!r}") from None


def parse_targets(tables: Sequence[str], target: str | None) -> list[tuple[str, str]]:
    """Return pairs of table and target: those of ``TABLE@TARGET``, and ``target`` for other tables.

    >>> parse_targets(["houses.csv", "tracks.csv@year"], "price")
    [('houses.csv', 'price'), ('tracks.csv', 'year')]
    """
    pairs = []
    for table in tables:
        path, at, name = table.rpartition("@")
        if at and name and not Path(table).exists():
            pairs.append((path, name))
        elif target is not None:
            pairs.append((table, target))
        else:
            raise InputError(f"{table!r} has no target; give --target, or write {table}@TARGET")
    return pairs


def _pair(text: str, rule: str) -> tuple[float, float]:
    try:
        first, second = (float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"{rule}, got {text!r}") from None
    return first, second
