"""Options that name columns of each modality, the same for every command that takes a table."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from tailwise.cli.column_completion import complete_column
from tailwise.modalities.kinds import column_options
from tailwise.modalities.modality import ColumnOption

Command = TypeVar("Command", bound=Callable[..., Any])
Media = dict[str, Any]
_PANEL, _PARAMETER = "Columns", "media"


def with_media_options(command: Command) -> Command:
    """Return a command with an option for each keyword that names columns, in place of its parameter ``media``.

    ``media`` then is what :func:`tailwise.experiment.prepare.prepare` takes as keywords.

    Args:
        command: a function with a parameter ``media``.
    """
    options = [option for _, option in column_options()]
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += [_parameter(option) for option in options] if parameter.name == _PARAMETER else [parameter]

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        media = {option.name: _columns(option, given.pop(option.name)) for option in options}
        return command(**given, **{_PARAMETER: media})

    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return with_options  # type: ignore[return-value]


def _parameter(option: ColumnOption) -> inspect.Parameter:
    words = " ".join(["COLUMN"] * option.together)
    settings = typer.Option(
        _flag(option), metavar=words, help=option.help, autocompletion=complete_column, rich_help_panel=_PANEL
    )
    values: Any = list[str] if option.together == 1 else tuple[(str,) * option.together]  # type: ignore[misc]
    annotation = Annotated[values | None, settings]
    return inspect.Parameter(option.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _flag(option: ColumnOption) -> str:
    return "--" + option.name.replace("_", "-")


def _columns(option: ColumnOption, given: Any) -> Any:
    """Return the columns of an option: a list of single ones, or ``None`` for no columns that are read together."""
    return (given or []) if option.together == 1 else given
