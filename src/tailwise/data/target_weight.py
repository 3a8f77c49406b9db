"""Weights of several targets: how much each counts in the training and in the errors over all of them."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from tailwise._checks import InputError, did_you_mean, shown

TargetWeight = Mapping[str, float] | Sequence[str]


def target_weights(given: TargetWeight, targets: Sequence[str]) -> dict[str, float]:
    """Return the weights of targets by name, without those that are not named, which weigh 1.

    Args:
        given: weights by target, ``{"price": 2.0}``, or as texts ``["price=2"]``.
        targets: names of the targets.

    Raises:
        InputError: one target alone, an unknown or repeated name, a weight that is not a finite number above 0.

    Example:
        >>> target_weights(["price=2"], ["price", "rent"])
        {'price': 2.0}
    """
    if not given:
        return {}
    if len(targets) == 1:
        raise InputError("`target_weight` divides the training among several targets, and there is one; leave it out")
    weights: dict[str, float] = {}
    for name, weight in given.items() if isinstance(given, Mapping) else map(_parsed, given):
        if name not in targets:
            raise InputError(f"`target_weight` names {shown(name)}, which is no target{did_you_mean(name, targets)}")
        if name in weights:
            raise InputError(f"`target_weight` names {shown(name)} twice; name it once")
        if isinstance(weight, bool) or not isinstance(weight, Real) or not 0 < float(weight) < math.inf:
            raise InputError(
                f"`target_weight` of {shown(name)} must be a finite number above 0, got {weight!r}; a target that is "
                "to count nothing is left out of `target`"
            )
        weights[name] = float(weight)
    return weights


def note_on_target_weights(weights: Mapping[str, float], targets: Sequence[str]) -> list[str]:
    """Return a note on the fraction that each target has of training and errors; none where all are equal.

    >>> note_on_target_weights({"price": 3.0}, ["price", "rent"])
    ['training and errors over all targets count by `target_weight`: price 75 %, rent 25 %']
    """
    each = {name: weights.get(name, 1.0) for name in targets}
    if len(set(each.values())) == 1:
        return []
    total = sum(each.values())
    parts = ", ".join(f"{name} {100 * weight / total:.3g} %" for name, weight in each.items())
    return [f"training and errors over all targets count by `target_weight`: {parts}"]


def _parsed(text: Any) -> tuple[str, Any]:
    """Return name and weight of ``NAME=WEIGHT``; a weight that is no number stays text, to be shown."""
    name, equals, value = str(text).rpartition("=")
    if not equals:
        raise InputError(f"`target_weight` must be NAME=WEIGHT, such as price=2, got {shown(text)}")
    try:
        return name, float(value)
    except ValueError:
        return name, value
