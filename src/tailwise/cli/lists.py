"""``tailwise methods`` and ``tailwise examples``."""

from typing import Annotated

import typer


def methods(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table instead.")] = False,
) -> None:
    """List the parts of a method: what each does, its slot and its parameters.

    Join parts by [bold]+[/bold], at most one a slot (any number of regularizers): [bold]sqinv+lds+fds+conr[/bold].
    [bold]vanilla[/bold] is the plain network. Set parameters with [bold]--set conr.window=2.0[/bold].
    """
    from tailwise.methods.parts import PARTS

    rows = [
        (
            name,
            part.slot,
            part.summary,
            ", ".join(part.targets),
            ", ".join(f"{k}={_short(v)}" for k, v in part.parameters().items()),
            part.source,
        )
        for name, part in PARTS.items()
    ]
    titles = ("part", "slot", "what it does", "targets", "parameters", "source")
    if markdown:
        typer.echo("| " + " | ".join(titles) + " |")
        typer.echo("|" + "---|" * len(titles))
        for name, *cells in rows:
            typer.echo("| " + " | ".join([f"`{name}`", *cells]) + " |")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title="Parts of a method (papers: tailwise methods --markdown)", box=SIMPLE_HEAD, show_lines=True)
    for title in ("part", "slot", "what it does", "parameters"):
        table.add_column(title, overflow="fold")
    for name, slot, summary, _, parameters, _ in rows:
        table.add_row(Text(name, style="bold"), slot, Text(summary), Text(parameters.replace(", ", "\n")))
    Console().print(table)


def examples() -> None:
    """List the example tables that need no file: use one as [bold]example:NAME[/bold]."""
    from rich.console import Console
    from rich.table import Table

    from tailwise.data.examples import EXAMPLES, PREFIX

    table = Table("example", "target", "what it is", "source", title="Example tables")
    for name, example in EXAMPLES.items():
        table.add_row(f"[bold]{PREFIX}{name}[/bold]", example.target, example.about, example.source)
    Console().print(table)


def _short(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
