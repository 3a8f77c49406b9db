"""``tailwise methods`` and ``tailwise examples``."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, did_you_mean
from tailwise.cli.completion import complete_part
from tailwise.cli.flags import with_flags

if TYPE_CHECKING:
    from tailwise._part import Part


def methods(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Show all about this part.", autocompletion=complete_part, show_default=False
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print all parts as a Markdown table.")] = False,
) -> None:
    """List the parts of a method, or show one: parameters, targets, cost, paper, and its use in your own training loop.

    Join parts by [bold]+[/bold], at most one a slot (any number of regularizers): [bold]sqinv+lds+fds+conr[/bold].
    [bold]vanilla[/bold] is the plain network. Set parameters with [bold]--set conr.window=2.0[/bold].
    """
    from tailwise.methods.catalog import PARTS, REPLACED

    if name is not None and name not in PARTS:
        hint = f"; {REPLACED[name]}" if name in REPLACED else did_you_mean(name, PARTS)
        raise InputError(f"there is no part {name!r}{hint}")
    if markdown:
        typer.echo(_markdown())
    else:
        typer.echo(_one(name, PARTS[name]) if name else _all())


def _all() -> str:
    """Return a line per part, by slot."""
    from tailwise.methods.catalog import PARTS

    width = max(map(len, PARTS))
    lines = []
    for slot in dict.fromkeys(part.slot for part in PARTS.values()):
        named = [(name, part.summary) for name, part in PARTS.items() if part.slot == slot]
        lines += [slot, *(f"  {name:{width}}  {summary}" for name, summary in named), ""]
    return "\n".join(lines) + "\n`tailwise methods NAME` shows all about one part."


def _one(name: str, part: "Part") -> str:
    shown = _parameters(part)
    width = max(map(len, shown), default=0)
    lines = [
        f"{name}: {part.summary}",
        "",
        f"slot     {part.slot}",
        f"targets  {', '.join(_TARGETS[target] for target in part.targets)}",
        f"cost     {part.cost}",
    ]
    letters = [f"{letter}: {meaning}" for letter, meaning in _LETTERS.items() if re.search(rf"\b{letter}\b", part.cost)]
    if letters:
        lines.append(f"         ({', '.join(letters)})")
    if part.source != "-":
        lines.append(f"source   {part.reference}")
    if shown:
        lines += ["", "parameters (--set PART.NAME=VALUE)"]
    lines += [f"  {parameter:{width}}  {text}" for parameter, text in shown.items()]
    return "\n".join([*lines, "", "in a loop of your own", *(f"  {line}" for line in part.use.splitlines())])


def _markdown() -> str:
    from tailwise.methods.catalog import PARTS

    titles = ("part", "slot", "what it does", "targets", "parameters [unit]", "cost of a step", "source")
    rows = [titles, ("---",) * len(titles)]
    for name, part in PARTS.items():
        parameters = "; ".join(f"{parameter}={text}" for parameter, text in _parameters(part).items())
        rows.append(
            (f"`{name}`", part.slot, part.summary, ", ".join(part.targets), parameters, part.cost, part.reference)
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def examples() -> None:
    """List the example tables that need no file: use one as [bold]example:NAME[/bold]."""
    from rich.console import Console
    from rich.table import Table

    from tailwise.data.examples import EXAMPLES, PREFIX

    table = Table("example", "target", "description", "source", title="Example tables")
    for name, example in EXAMPLES.items():
        table.add_row(f"[bold]{PREFIX}{name}[/bold]", example.target, example.about, example.source)
    Console().print(table)


_TARGETS = {"scalar": "scalar (B,)", "k": "K-dimensional (B, K)", "dense": "dense (B, H, W)"}
_LETTERS = {
    "B": "rows of a batch",
    "d": "features",
    "C": "bins",
    "M": "heads, components or points",
    "R": "references",
}


def _parameters(part: "Part") -> dict[str, str]:
    """Return the default of each parameter in words, with its other possible values and its unit."""
    choices = part.choices()
    return {
        name: _default(default, choices.get(name, ()), part.of_none.get(name)) + _unit(part, name)
        for name, default in part.parameters().items()
        if name not in part.in_python
    }


def _default(default: Any, choices: tuple[str, ...], of_none: str | None) -> str:
    if isinstance(default, bool):
        return "true (or false)" if default else "false (or true)"
    of_none = None if of_none is None else with_flags(of_none)
    others = [choice for choice in choices if choice != default]
    if of_none is not None and default is not None:
        others.append(f"none: {of_none}")
    shown = default if isinstance(default, str) else of_none if default is None else repr(default)
    return f"{shown}" + (f" (or {', '.join(others)})" if others else "")


def _unit(part: "Part", parameter: str) -> str:
    unit = part.units.get(parameter)
    most = f", at most {part.most[parameter]:g}" if parameter in part.most else ""
    return most + (f" [{unit}]" if unit else "")
