"""Check parameters of models."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tailwise._checks import InputError, did_you_mean, whole

FIXED: Mapping[str, str] = {
    "objective": "the method (l1, poisson, tweedie, sera)",
    "loss": "the method (l1, poisson, tweedie, sera)",
    "random_state": "`seed`",
    "early_stopping": "the validation rows",
    "categorical_features": "the columns",
    "class_weight": "the method",
    "importance_type": "nothing that is computed",
}


def checked_parameters(
    name: str,
    given: Mapping[str, Any],
    *,
    known: Collection[str],
    defaults: Mapping[str, Any],
    fixed: Mapping[str, str] = FIXED,
    counts: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the parameters of a model: its defaults, then those that are given.

    Args:
        name: of the model.
        given: parameters by name.
        known: names of all parameters.
        defaults: values where none is given.
        fixed: parameters that cannot be chosen, and what they follow from.
        counts: parameters that count rounds or trees.

    Raises:
        InputError: a parameter that is fixed or unknown, a count that is not a whole number above 0.
    """
    for key in given:
        if key in fixed:
            raise InputError(f"{name}: {key} follows from {fixed[key]}; leave model.{key} out")
        if key not in known:
            raise InputError(f"{name} has no parameter {key!r}{did_you_mean(key, known)}")
    params = {**defaults, **given}
    for key in counts:
        whole(params[key], f"{name}: {key}", least=1)
    return params
