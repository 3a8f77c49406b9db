"""The ``tailwise train`` command that trains the settings of a search again."""

import shlex
from collections.abc import Mapping
from typing import Any

from tailwise.search.space import Drawn
from tailwise.training.recipe import Recipe

_TABLE_FLAGS = {
    "bin_width": "--bin-width",
    "split": "--split",
    "group": "--group",
    "drop": "--drop",
    "nominal": "--nominal",
    "drop_missing_target": "--drop-missing-target",
}


def train_command(
    data: str, target: str, drawn: Drawn, recipe: Recipe, choices: Mapping[str, Any], *, model: str = "network"
) -> str:
    """Return the command that trains the given settings on a table.

    Args:
        data: file, or ``example:NAME``.
        target: target column.
        drawn: settings of a trial.
        recipe: recipe of the search.
        choices: keywords of :func:`tailwise.experiment.prepare.prepare_table`.
        model: one of :data:`tailwise.backends.names.MODELS`.

    Example:
        >>> train_command("a.csv", "y", Drawn("inv"), Recipe(), {"split": "random"}, model="linear")
        'tailwise train a.csv --target y --method inv --model linear --seed 0 --criterion bmae --split random'
    """
    words = ["tailwise", "train", data, "--target", target, *_settings_words(drawn, model)]
    words += ["--seed", str(recipe.seed), "--criterion", recipe.criterion]
    if model == "network" and recipe.epochs != Recipe.epochs:
        words += ["--epochs", str(recipe.epochs)]
    return shlex.join([*words, *_table_words(choices)])


def _settings_words(drawn: Drawn, model: str) -> list[str]:
    words = ["--method", drawn.method]
    for part, params in drawn.params.items():
        words += _set_words(part, params)
    if model == "network":
        words += ["--encoder", drawn.encoder, *_set_words("encoder", drawn.model_params)]
    else:
        words += ["--model", model, *_set_words("model", drawn.model_params)]
    return words + ([] if drawn.lr is None else ["--lr", repr(drawn.lr)])


def _set_words(part: str, params: Mapping[str, Any]) -> list[str]:
    return [word for name, value in params.items() for word in ("--set", f"{part}.{name}={value!r}")]


def _table_words(choices: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, flag in _TABLE_FLAGS.items():
        value = choices.get(name)
        if value is True:
            words.append(flag)
        elif isinstance(value, list):
            words += [word for item in value for word in (flag, item)]
        elif value not in (None, False, "auto"):
            words += [flag, str(value)]
    return words
