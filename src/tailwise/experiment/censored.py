"""Check what an experiment on censored labels needs: one target, a likelihood of such labels, labels at the limits."""

from tailwise._checks import InputError
from tailwise.backends.names import STACK
from tailwise.data.task import Task
from tailwise.experiment.spec import Experiment
from tailwise.labels.censoring import CENSORED_METHOD, Censoring
from tailwise.methods.build import Method

_WAY = f"use the default, a stack, or the network with `method='{CENSORED_METHOD}'`"
_NETWORK = "network"


def check_one_target(experiment: Experiment, targets: str) -> None:
    """Raise for limits of several targets.

    Args:
        experiment: with limits or without.
        targets: how many targets there are, as text.

    Raises:
        InputError: limits.
    """
    if experiment.censoring is not None:
        raise InputError(f"`{_name(experiment.censoring)}` is for one target, and {targets}; leave it out")


def check_censoring(task: Task, experiment: Experiment, censoring: Censoring) -> None:
    """Raise unless an experiment can be trained on the censored labels of a task.

    Args:
        task: a table with one target.
        experiment: what is to be trained.
        censoring: its limits.

    Raises:
        InputError: a model or a method without a likelihood of censored labels, a balance or its choice, labels that
            the limits do not describe.
    """
    name = _name(censoring)
    if experiment.model != STACK:
        check_likelihood(experiment)
    if experiment.balance != 0:
        raise InputError(
            f"a `balance` needs the density of the true values, which is unknown with `{name}`; leave one of them out"
        )
    if experiment.within:
        raise InputError(
            f"`within` is for the choice of a balance, and there is none with `{name}`; leave one of them out"
        )
    censoring.check(task.rows_of("train")[1], task.rows_of("val")[1])


def check_likelihood(experiment: Experiment) -> None:
    """Raise unless one model has a likelihood of censored labels, and no part that takes them for measured ones.

    Args:
        experiment: one model, with limits or without; without, nothing is checked.

    Raises:
        InputError: a model or a method without the likelihood.
    """
    if experiment.censoring is None:
        return None
    name, method = _name(experiment.censoring), experiment.compose()
    if experiment.model != _NETWORK:
        lacking = f"model {experiment.model!r}"
    elif method.gives(CENSORED_METHOD):
        return _check_parts(name, method)
    else:
        lacking = repr(method.name)
    raise InputError(f"`{name}` needs a likelihood of censored labels, and {lacking} has none; {_WAY}")


def _check_parts(name: str, method: Method) -> None:
    """Raise for parts that take labels at a limit for measured ones."""
    parts = [filling.name for stage in method.stages for filling in stage.fillings if filling.part.slot == "augment"]
    pieces = [type(piece).__name__ for piece in (method.resampler, method.correction) if piece is not None]
    taken = next(iter(parts + pieces), None)
    if taken is not None:
        raise InputError(f"{taken} of {method.name!r} takes labels for true values; leave it out, or `{name}`")


def _name(censoring: Censoring) -> str:
    return next(iter(censoring.given))
