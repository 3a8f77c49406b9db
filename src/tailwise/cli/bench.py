"""``tailwise bench``: the field's benchmarks, prepared, run, and put beside the published numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, one_of, whole
from tailwise.cli.flags import with_flags

if TYPE_CHECKING:
    from tailwise.bench.protocols.base import Protocol
    from tailwise.compare.grid import Cell

bench = typer.Typer(
    name="bench",
    no_args_is_help=True,
    help="The field's benchmarks: [bold]list[/bold] them, [bold]prepare[/bold] their data, [bold]run[/bold] methods, "
    "and put the results in a [bold]table[/bold] beside the published numbers.",
)


def _complete(incomplete: str) -> list[str]:
    from tailwise.bench.protocols import PROTOCOLS

    return [name for name in PROTOCOLS if name.startswith(incomplete)]


_Name = Annotated[str, typer.Argument(metavar="PROTOCOL", help="See `tailwise bench list`.", autocompletion=_complete)]


@bench.command("list")
def list_protocols(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="PROTOCOL", help="Show everything of this one.", autocompletion=_complete, show_default=False
        ),
    ] = None,
) -> None:
    """List the benchmarks, or show one: its data, recipe, and what differs from the published practice."""
    from tailwise.bench.protocols import PROTOCOLS, protocol_named

    if name is None:
        width = max(map(len, PROTOCOLS))
        lines = [f"{name:{width}}  {protocol.title}" for name, protocol in PROTOCOLS.items()]
        typer.echo(
            "\n".join([*lines, "", "`tailwise bench list PROTOCOL` says what to download and how it is trained."])
        )
    else:
        typer.echo(_described(protocol_named(name)))


@bench.command()
def prepare(
    protocol: _Name,
    data: Annotated[Path, typer.Option("--data", help="Folder with what was downloaded.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the index into.")],
) -> None:
    """Find a benchmark's data, make its split, and write the index that [bold]run[/bold] trains on.

    Says what is missing and where it belongs.

    Example:  tailwise bench prepare agedb-dir --data downloads/agedb --out prepared/agedb
    """
    from tailwise.bench.protocols import protocol_named
    from tailwise.cli.bench_tables import print_line

    record = protocol_named(protocol).prepare(data, out)
    for table in record["tables"].values():
        counts = " / ".join(f"{n:,}" for n in table["rows"].values())
        print_line(f"{out / table['file']}: {counts} rows to train / validate / test. Split {table['split']}.")


@bench.command()
def toy(
    protocol: _Name,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New or empty folder to write.")],
    seed: Annotated[int, typer.Option("--seed", help="Of what is made up.")] = 0,
) -> None:
    """Write a small made-up copy of a benchmark's data, to try the whole way without it."""
    from tailwise.bench.protocols import protocol_named
    from tailwise.cli.bench_tables import print_line

    chosen = protocol_named(protocol)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{str(folder)!r} is not empty; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    chosen.toy(folder, whole(seed, "--seed", least=0))
    settings = " ".join(f"--set {setting}" for setting in chosen.quick)
    print_line(
        f"{folder}: made-up data of {protocol}. Next:\n"
        f"  tailwise bench prepare {protocol} --data {folder} --out {folder}-prepared\n"
        f"  tailwise bench run {protocol} --data {folder}-prepared --out {folder}-results --epochs 2 {settings}"
    )


@bench.command()
def run(
    protocol: _Name,
    data: Annotated[Path, typer.Option("--data", help="Folder that `tailwise bench prepare` wrote.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder to write. Trainings that are finished there are not run again."),
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="Methods, one or more: -m vanilla sqinv+lds.", show_default="the protocol's"
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Trainings of each method.")] = 5,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Most epochs.", show_default="the published recipe")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PART.NAME=VALUE",
            help="Parameter of a part, or under recipe, image, text, signal, encoder what differs from the protocol, "
            "such as image.encoder=resnet18. Repeatable.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Trainings at once.")] = 1,
    backend: Annotated[str, typer.Option("--backend", help="Of joblib: loky, or dask, ray on a cluster.")] = "loky",
    select: Annotated[
        str,
        typer.Option(
            "--select",
            metavar="val|test",
            help="Rows that choose the epoch; test only where that is the published practice.",
        ),
    ] = "val",
) -> None:
    """Train methods on a benchmark, seed by seed, with the published recipe as far as it goes.

    Example:  tailwise bench run agedb-dir --data prepared/agedb --out results/agedb -m vanilla sqinv+lds+fds --seeds 5
    """
    from tailwise.bench.protocols import protocol_named
    from tailwise.bench.protocols.cells import SELECT, protocol_cells
    from tailwise.bench.protocols.results import check_folder, mark, tables_of
    from tailwise.cli.bench_tables import show_tables
    from tailwise.cli.settings import parse_set
    from tailwise.cli.show import notes

    chosen = protocol_named(protocol)
    one_of(select, "--select", SELECT)
    given = parse_set(settings or [])
    if epochs is not None:
        given["recipe"] = {**given.get("recipe", {}), "epochs": whole(epochs, "--epochs", least=1)}
    check_folder(out, chosen)
    cells = protocol_cells(
        chosen,
        data,
        method or chosen.methods,
        seeds=whole(seeds, "--seeds", least=1),
        settings=given,
        out=out,
        select=select,
    )
    mark(out, chosen, cells)
    results = _trained(cells, out, whole(jobs, "--jobs", least=1), backend)
    tables = tables_of(chosen, out, [(cell, result) for cell, result in results if "error" in result])
    show_tables(chosen, tables, every=False)
    notes(
        [f"{table.benchmark}, {row.label} failed: {row.failed}" for table in tables for row in table.rows if row.failed]
    )
    if seeds == 1:
        notes(["with one seed nothing can be concluded; use --seeds 5"])


@bench.command()
def table(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that `tailwise bench run` wrote.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print plain values.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also published methods that were not run.")] = False,
) -> None:
    """Put our means over seeds, with 95 % intervals, beside the published numbers of the same methods.

    A published number is inside the noise where another run with the spread of ours may well have given it.
    """
    from tailwise.bench.protocols import protocol_named
    from tailwise.bench.protocols.results import protocol_of, tables_of
    from tailwise.cli.bench_tables import markdown_table, show_tables

    if markdown and as_json:
        raise InputError("--markdown and --json cannot be used together; leave one out")
    chosen = protocol_named(protocol_of(out))
    tables = tables_of(chosen, out)
    if as_json:
        plain = {"protocol": chosen.name, "deviations": [with_flags(line) for line in chosen.deviations]}
        typer.echo(json.dumps(plain | {"tables": [one.to_json() for one in tables]}, indent=2))
    elif markdown:
        typer.echo("\n\n".join(markdown_table(one, every=every) for one in tables))
    else:
        show_tables(chosen, tables, every=every)


def _trained(cells: Sequence["Cell"], out: Path, jobs: int, backend: str) -> list[tuple["Cell", Mapping[str, Any]]]:
    """Run the cells that are missing and show where the grid stands."""
    from tailwise.bench.protocols.cells import is_known, run_cells
    from tailwise.bench.protocols.results import CELLS
    from tailwise.cli.live import standing

    results: list[tuple[Cell, Mapping[str, Any]]] = []
    known = sum(is_known(cell, out / CELLS) for cell in cells)
    with standing(cells, jobs, known) as tell:
        for cell, result in run_cells(cells, out / CELLS, jobs=jobs, backend=backend):
            results.append((cell, result))
            tell(cell, result)
    return results


def _described(protocol: "Protocol") -> str:
    """Everything of a protocol, as text."""
    recipe = ", ".join(f"{key}={value}" for key, value in protocol.recipe.items()) or "the library's defaults"
    published = [f"{part}.{key}={value}" for part, own in protocol.parts.items() for key, value in own.items()]
    parts = ", ".join(published) or "the library's defaults"
    lines = [
        f"{protocol.name}: {protocol.title}",
        "",
        f"source   {protocol.source}",
        f"data     {with_flags(protocol.layout)}",
        f"unit     {protocol.unit}",
        f"metrics  {', '.join(protocol.metrics)} of {', '.join(protocol.regions)}",
        f"recipe   {recipe}",
        f"loss     {protocol.loss or 'mse'}",
        f"parts    {parts}",
        f"methods  {' '.join(protocol.methods)}",
        "",
        "differs from the published practice, or is not known of it",
        *(f"  - {with_flags(line)}" for line in protocol.deviations),
    ]
    return "\n".join(lines)
