"""The ``tailwise train`` command that trains the settings of a search again."""

import json
from collections.abc import Mapping
from typing import Any

from tailwise.experiment.commands import Commands
from tailwise.experiment.spec import Experiment
from tailwise.training.recipe import Recipe


def train_command(data: str, target: str, experiment: Experiment, recipe: Recipe, choices: Mapping[str, Any]) -> str:
    """Return the command that trains the given settings on a table.

    Args:
        data: file, or ``example:NAME``.
        target: target column.
        experiment: what a trial trained.
        recipe: recipe of the search.
        choices: keywords of :func:`tailwise.experiment.prepare.prepare`.

    Example:
        >>> train_command("a.csv", "y", Experiment("inv", "linear"), Recipe(), {"split": "random"})
        'tailwise train a.csv --target y --split random --method inv --model linear --seed 0 --criterion both'
    """
    words = [*_settings_words(experiment, recipe), "--seed", str(recipe.seed), "--criterion", recipe.criterion]
    if experiment.model in ("network", "stack") and recipe.epochs is not None:
        words += ["--epochs", str(recipe.epochs)]
    return Commands.of(data, target, choices).train(experiment.method, *words)


def settings_line(experiment: Experiment, recipe: Recipe) -> str:
    """Return the settings of a trial in a line, as options without what all trials have.

    >>> settings_line(Experiment("inv", "linear"), Recipe())
    'inv --model linear'
    """
    return " ".join([experiment.method, *_settings_words(experiment, recipe)])


def _settings_words(experiment: Experiment, recipe: Recipe) -> list[str]:
    words: list[str] = []
    for part, params in experiment.method_params.items():
        words += _set_words(part, params)
    if experiment.model == "network":
        words += ["--encoder", experiment.encoder, *_set_words("encoder", experiment.params)]
    else:
        words += ["--model", experiment.model, *_set_words("model", experiment.params)]
    words += [] if experiment.transform is None else ["--transform", experiment.transform]
    if experiment.censoring is not None:
        for name, limit in experiment.censoring.given.items():
            words += ["--" + name.replace("_", "-"), f"{limit:.10g}"]
    lr = experiment.recipe.lr
    words += [] if experiment.balance == 0 else ["--balance", str(experiment.balance)]
    return words + ([] if lr is None or lr == recipe.lr else ["--lr", repr(lr)])


def _set_words(part: str, params: Mapping[str, Any]) -> list[str]:
    return [word for name, value in params.items() for word in ("--set", f"{part}.{name}={_text(value)}")]


def _text(value: Any) -> str:
    return json.dumps(list(value)) if isinstance(value, list | tuple) else repr(value)
