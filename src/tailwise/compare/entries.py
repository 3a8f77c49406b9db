"""Combine methods and models into the entries of a comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS
from tailwise.compare.sweep import swept_entries
from tailwise.experiment.quality import DEFAULT_QUALITY, experiment_for
from tailwise.experiment.spec import Experiment, recipe_of
from tailwise.labels.censoring import CENSORED_METHOD
from tailwise.methods.build import compose
from tailwise.methods.grammar import parse
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.modalities.kinds import kinds

STACK = "stack"
DEFAULT_METHODS = ("vanilla", "sqinv+lds")
DEFAULT_MODELS = (AUTO, "lightgbm", STACK)  # of tables with one target


def default_methods(*, censored: bool) -> tuple[str, ...]:
    """Return the methods of a comparison that names none; of censored labels the one with their likelihood."""
    return (CENSORED_METHOD,) if censored else DEFAULT_METHODS


def default_models(*, censored: bool) -> tuple[str, ...]:
    """Return the models of a comparison of a table with one target that names none."""
    return (AUTO, STACK) if censored else DEFAULT_MODELS


def entries_of(
    methods: Sequence[str],
    models: Sequence[str] = (AUTO,),
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    recipe: Mapping[str, Any] | None = None,
    sweep: bool = False,
    lightgbm: bool = False,
    transform: str | None = None,
    limits: Mapping[str, Any] | None = None,
) -> list[Experiment]:
    """Return an entry for every method on every model, the methods of the first model first.

    The stack, which has no method, is one entry.

    Args:
        methods: method strings.
        models: encoders of a network (or ``"auto"``), and names of other models.
        settings: parameters by part of a method; under ``image``, ``text`` and ``signal`` those of their encoders.
        recipe: fields of :class:`tailwise.training.recipe.Recipe` of networks that differ from its defaults.
        sweep: whether to add, on the first model, weights with a power from 0 (vanilla) to 1.
        lightgbm: whether to add plain LightGBM, which costs little.
        transform: of the target, for all entries; see :class:`tailwise.experiment.spec.Experiment`.
        limits: ``censored_below``, ``censored_above`` or both, at which labels are censored, for all entries. A stack
            then has the balance 0, since none can be chosen.

    Raises:
        InputError: an unknown method or model, parameters of a part that no method has, fewer than two entries.

    Example:
        >>> [entry.name for entry in entries_of(["vanilla", "sqinv+lds"], ["mlp", "linear"])]
        ['mlp vanilla', 'mlp sqinv+lds', 'linear vanilla', 'linear sqinv+lds']
    """
    networks = (AUTO, *ENCODERS)
    for model in models:
        one_of(model, "`model`", (*networks, *(name for name in MODELS if name != "network")))
    settings, recipe = settings or {}, recipe or {}
    media = {kind: settings[kind] for kind in kinds() if kind in settings}
    method_params = {part: params for part, params in settings.items() if part not in kinds()}
    unused = set(method_params)
    entries = []
    for model in dict.fromkeys(models):
        if model == STACK:
            stack = experiment_for(DEFAULT_QUALITY, recipe_of(recipe), params={"jobs": 1, **media})
            entries.append(replace(stack, balance=0.0) if limits else stack)
            continue
        for method in dict.fromkeys(methods):
            params = {part: values for part, values in method_params.items() if part in parse(method)}
            unused -= set(params)
            compose(method, **params)  # raise for a mistake before anything is trained
            if model in networks:
                entries.append(
                    Experiment(method, encoder=model, method_params=params, params=media, recipe=recipe_of(recipe))
                )
            else:
                entries.append(Experiment(method, model=model, method_params=params))
    if unused:
        raise InputError(f"`settings` names {sorted(unused)[0]!r}, which is part of no method that is compared")
    if sweep:
        entries += [entry for entry in swept_entries(entries[0]) if entry not in entries]
    plain = Experiment("vanilla", model="lightgbm")
    if lightgbm and plain not in entries:
        entries.append(plain)
    if len(entries) < 2:
        raise InputError("one method on one model has nothing to be compared with; give more with `method` or `model`")
    return [replace(entry, transform=transform, **dict(limits or {})) for entry in entries]
