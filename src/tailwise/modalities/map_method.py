"""Methods for dense maps: which parts take them, and which of their defaults differ."""

from collections.abc import Mapping
from typing import Any

from tailwise._checks import InputError
from tailwise.methods.build import Method, compose
from tailwise.methods.catalog import PARTS
from tailwise.methods.grammar import VANILLA, parse

_CLIP = (0.2, 5.0)
_OF_ROWS = ("augment", "resample", "correction")


def map_method(name: str, params: Mapping[str, Mapping[str, Any]]) -> tuple[Method, dict[str, dict[str, Any]]]:
    """Return a method for maps, and its parameters.

    The default clip of FDS is that of its authors for depth, (0.2, 5): neighbouring pixels are similar, so bins that
    few images reach have almost no variance, and ratios of variances would have no bound.

    Args:
        name: parts joined by ``+``.
        params: parameters by part.

    Raises:
        InputError: what :func:`tailwise.methods.build.compose` refuses, parts that do not take maps.
    """
    given = {part: dict(values) for part, values in params.items()}
    if "fds" in name.split("+") and given.get("fds", {}).get("covariance") != "full":
        given["fds"] = {"clip": _CLIP} | given.get("fds", {})
    method = compose(name, **given)
    check_parts(method)
    return method, given


def check_parts(method: Method) -> None:
    """Raise unless every part of a method takes dense targets."""
    for name in [] if method.name == VANILLA else parse(method.name):
        part = PARTS[name]
        if "dense" not in part.targets or part.slot in _OF_ROWS:
            raise InputError(f"{name!r} is not for maps, whose pixels are the labels; leave it out of {method.name!r}")
