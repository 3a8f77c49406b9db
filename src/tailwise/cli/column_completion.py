"""Shell completion of column names, from the header of the data file, and of parameters for ``--set``."""

from collections.abc import Callable

import typer

from tailwise._checks import InputError
from tailwise.cli.completion import starting

_LINES = 100  # of a file of JSON lines
_OF_MODELS = ("model", "encoder")


def complete_column(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a column of the table that the command names; a column is offered once."""
    given = context.params.values()
    used = {name for value in given if isinstance(value, list | tuple) for name in value}
    return [name for name in starting(_columns(context), incomplete) if name not in used]


def complete_missing(context: typer.Context, incomplete: str) -> list[str]:
    """Complete ``COLUMN=`` of ``--missing`` and ``--target-weight``."""
    return starting([f"{name}=" for name in _columns(context)], incomplete)


def complete_table(incomplete: str) -> list[str]:
    """Complete ``TABLE@TARGET``, once the table is written, and names of example tables."""
    from tailwise.cli.completion import complete_data

    table, at, start = incomplete.rpartition("@")
    if not at:
        return complete_data(incomplete)
    return [f"{table}@{name}" for name in starting(_header(table), start)]


def complete_setting(context: typer.Context, incomplete: str) -> list[str]:
    """Complete ``PART.NAME=`` of ``--set``: parts of the method, if there is one, then their parameters."""
    from tailwise.methods.catalog import CATALOG

    part, dot, start = incomplete.partition(".")
    if not dot:
        return [f"{name}." for name in starting((*_parts(context), *_OF_MODELS), incomplete)]
    names = _of_part(part) if part in CATALOG else _of_model(context, part)
    return [f"{part}.{name}=" for name in starting(names, start)]


def _parts(context: typer.Context) -> list[str]:
    """Return the parts of the methods that are named, or all parts."""
    from tailwise.methods.catalog import CATALOG

    given = context.params.get("method") or []
    methods = [given] if isinstance(given, str) else given
    named = [part for method in methods for part in method.split("+") if part in CATALOG]
    return list(dict.fromkeys(named)) or list(CATALOG)


def _of_part(part: str) -> list[str]:
    from tailwise.methods.catalog import PARTS

    described = PARTS[part]
    return [name for name in described.parameters() if name not in described.in_python]


def _of_model(context: typer.Context, kind: str) -> list[str]:
    """Return the parameters of the model or encoder that is named; none of a model that does not exist."""
    from tailwise.backends.names import MODELS, load_backend
    from tailwise.modalities.table import encoder_parameters

    given = context.params
    model, encoder = given.get("model"), given.get("encoder")
    if kind == "encoder" and isinstance(encoder, str | None):
        return encoder_parameters(encoder)
    if kind == "model" and isinstance(model, str) and model in MODELS and model != "network":
        return _or_none(lambda: list(load_backend(model).parameters({})))
    return []


def _columns(context: typer.Context) -> list[str]:
    """Return the columns of the table, or of the first of several."""
    data = context.params.get("data") or _unparsed(context, "data")
    table = data[0] if isinstance(data, list | tuple) and data else data
    if not isinstance(table, str):
        return []
    path = table.rpartition("@")[0]  # of TABLE@TARGET
    return _header(table) or (_header(path) if path else [])


def _unparsed(context: typer.Context, name: str) -> str | None:
    """Return an argument of a command whose last option has no value yet; nothing is assigned to arguments then."""
    arguments = [one.name for one in context.command.params if one.param_type_name == "argument"]
    words = [word for word in context.args if not word.startswith("-")]
    place = arguments.index(name) if name in arguments else len(words)
    return words[place] if place < len(words) else None


def _header(table: str) -> list[str]:
    """Return the columns of a table; none of one that cannot be read."""
    from tailwise.data.header import header

    return _or_none(lambda: header(table, lines=_LINES))


def _or_none(names: Callable[[], list[str]]) -> list[str]:
    try:
        return names()
    except (InputError, OSError):
        return []
