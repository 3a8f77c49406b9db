"""Parse settings given as text: ``--set conr.window=2.0``, ``--shots 100,20``, ``--mask-target 30,40``."""

import json
from collections.abc import Sequence
from typing import Any

from tailwise._checks import InputError


def parse_set(settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Parameters by part.

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
    """Thresholds MANY,FEW.

    >>> parse_shots("100,20")
    (100.0, 20.0)
    """
    return None if text is None else _pair(text, "--shots takes MANY,FEW such as 100,20")


def parse_ranges(texts: Sequence[str]) -> list[tuple[float, float]]:
    """Ranges LOW,HIGH of the target.

    >>> parse_ranges(["30,40"])
    [(30.0, 40.0)]
    """
    return [_pair(text, "--mask-target takes LOW,HIGH such as 30,40") for text in texts]


def _pair(text: str, rule: str) -> tuple[float, float]:
    try:
        first, second = (float(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"{rule}, got {text!r}") from None
    return first, second
