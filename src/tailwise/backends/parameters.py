"""Check parameters of models, and weights of rows."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def check_weight(sample_weight: NDArray[np.float64], n: int) -> None:
    """Raise unless there is a weight of at least 0 for each of ``n`` training rows, and some are above 0.

    Raises:
        InputError: another shape, a weight that is negative or not finite, no weight above 0.
    """
    if sample_weight.shape != (n,):
        raise InputError(
            f"sample_weight must have shape ({n},), one number a training row, got shape {sample_weight.shape}"
        )
    wrong = sample_weight[~(np.isfinite(sample_weight) & (sample_weight >= 0))]
    if wrong.size:
        raise InputError(f"sample_weight must hold finite numbers of at least 0, got {wrong[0]:g}")
    if not sample_weight.any():
        raise InputError("sample_weight is 0 for every training row; give some rows a weight above 0")
