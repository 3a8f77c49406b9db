"""``tailwise methods`` and ``tailwise examples``."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tailwise.methods.part import Part


def methods(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table instead.")] = False,
) -> None:
    """List the parts of a method: what each does, its slot, targets, cost, paper and parameters.

    Join parts by [bold]+[/bold], at most one a slot (any number of regularizers): [bold]sqinv+lds+fds+conr[/bold].
    [bold]vanilla[/bold] is the plain network. Set parameters with [bold]--set conr.window=2.0[/bold].
    """
    from tailwise.methods.parts import PARTS

    rows = {
        name: (
            part.slot,
            part.summary,
            ", ".join(part.targets),
            [f"{key}={_short(value)}{_unit(part, key)}" for key, value in part.parameters().items()],
            part.cost,
            part.source + (f" {part.year}" if part.year else ""),
        )
        for name, part in PARTS.items()
    }
    if markdown:
        titles = ("part", "slot", "what it does", "targets", "parameters [unit]", "cost of a step", "source")
        typer.echo("| " + " | ".join(titles) + " |")
        typer.echo("|" + "---|" * len(titles))
        for name, (slot, summary, targets, parameters, cost, source) in rows.items():
            cells = (f"`{name}`", slot, summary, targets, ", ".join(parameters), cost, source)
            typer.echo("| " + " | ".join(cells) + " |")
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title="Parts of a method",
        caption="targets: scalar (B,), k (B, K), dense (B, H, W). Cost of a step beside the network: B rows, "
        "d features, C bins, M heads, components or points, R references.",
        box=SIMPLE_HEAD,
        show_lines=True,
    )
    for title in ("part", "what it does", "parameters [unit]"):
        table.add_column(title, overflow="fold")
    for name, (slot, summary, targets, parameters, cost, source) in rows.items():
        about = Text(summary) + Text(f"\n{slot}; {targets}; {cost}\n{source}", style="dim")
        table.add_row(Text(name, style="bold"), about, Text("\n".join(parameters)))
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


def _unit(part: "Part", parameter: str) -> str:
    return f" [{part.units[parameter]}]" if parameter in part.units else ""


def _short(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
