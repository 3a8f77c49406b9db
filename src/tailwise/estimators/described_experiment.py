"""The experiment that the parameters of :class:`tailwise.ImbalancedRegressor` describe."""

from dataclasses import replace
from typing import Any

import numpy as np

from tailwise._checks import InputError, true_or_false
from tailwise.experiment.quality import DEFAULT_QUALITY, FEWEST_ROWS, experiment_for, method_of_one
from tailwise.experiment.spec import AUTO_BALANCE, AUTO_METHOD, LIMITS, Experiment
from tailwise.modalities.encoder_names import AUTO
from tailwise.training.recipe import Recipe

_OF_RECIPE = ("epochs", "batch_size", "lr", "weight_decay", "patience", "criterion", "device", "precision")


def experiment_of(given: Any, n: int, seed: int) -> Experiment:
    """Return what an estimator trains.

    Args:
        given: an :class:`tailwise.ImbalancedRegressor`, whose parameters are read.
        n: number of rows.
        seed: of the training.

    Raises:
        InputError: a method and a quality, parameters of one network with a quality, no hurdle with one network, limits
            that do not work.
    """
    recipe = Recipe(seed=seed, **{name: getattr(given, name) for name in _OF_RECIPE})
    limits = {name: _number(getattr(given, name)) for name in LIMITS}
    censored = any(limit is not None for limit in limits.values())
    method = None if given.method == AUTO_METHOD else given.method
    of_network = given.method_params or given.encoder_params or given.encoder != AUTO
    if given.quality is not None and (method is not None or of_network):
        raise InputError("`quality` is without `method`, `encoder` and their parameters; leave one of them out")
    hurdle = true_or_false(given.hurdle, "`hurdle`")
    if not hurdle and (method is not None or of_network or given.quality == "fast"):
        raise InputError("`hurdle=False` is for a stack, and one network is trained; leave it out")
    if method is not None or of_network or (n < FEWEST_ROWS and given.quality is None):
        return Experiment(
            method or method_of_one(censored=censored),
            encoder=given.encoder,
            method_params=given.method_params or {},
            params=given.encoder_params or {},
            recipe=recipe,
            balance=given.balance or 0.0,
            within=given.within,
            transform=given.target_transform,
            **limits,
        )
    quality = given.quality or DEFAULT_QUALITY
    params: dict[str, Any] = {}
    if quality != "fast":
        params = {} if given.jobs is None else {"jobs": given.jobs}
        params |= {} if given.backend == "loky" else {"backend": given.backend}
        params |= {} if hurdle else {"hurdle": False}
    by_default: Any = 0.0 if censored else AUTO_BALANCE
    balance = by_default if given.balance is None else given.balance
    experiment = experiment_for(quality, recipe, balance=balance, within=given.within, params=params)
    return replace(experiment, transform=given.target_transform, **limits)


def _number(limit: Any) -> Any:
    """Return a limit, one of NumPy as a plain number."""
    return limit.item() if isinstance(limit, np.generic) else limit
