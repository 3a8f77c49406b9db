"""``tailwise bench``: prepare and run the field's benchmarks, and compare results with the published numbers."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tailwise._checks import InputError, one_of, whole
from tailwise.cli import options
from tailwise.cli.completion import complete_protocol
from tailwise.cli.flags import with_flags
from tailwise.cli.settings import parse_set
from tailwise.cli.small_training import Small, with_small

bench = typer.Typer(
    name="bench",
    no_args_is_help=True,
    help="The field's benchmarks: [bold]list[/bold] them, [bold]prepare[/bold] their data, [bold]run[/bold] methods, "
    "and show the results in a [bold]table[/bold] with the published numbers.",
)

ProtocolName = Annotated[
    str, typer.Argument(metavar="PROTOCOL", help="See `tailwise bench list`.", autocompletion=complete_protocol)
]
ProtocolToShow = Annotated[
    str | None,
    typer.Argument(
        metavar="PROTOCOL", help="Show all about this one.", autocompletion=complete_protocol, show_default=False
    ),
]
Select = Annotated[
    str,
    typer.Option(
        "--select",
        metavar="val|test",
        help="Rows that select the epoch; test only where that is the published practice.",
        rich_help_panel=options.TRAINING,
    ),
]


@bench.command("list")
def list_protocols(name: ProtocolToShow = None) -> None:
    """List the benchmarks, or show one: its data, recipe, and differences from the published practice."""
    from tailwise.bench.protocols import PROTOCOLS, protocol_named
    from tailwise.cli.show_benchmark import protocol_text

    if name is not None:
        typer.echo(protocol_text(protocol_named(name)))
        return
    width = max(map(len, PROTOCOLS))
    lines = [f"{name:{width}}  {protocol.title}" for name, protocol in PROTOCOLS.items()]
    typer.echo("\n".join([*lines, "", "`tailwise bench list PROTOCOL` shows what to download and how it is trained."]))


@bench.command()
def prepare(
    protocol: ProtocolName,
    data: Annotated[Path, typer.Option("--data", help="Folder with the downloaded files.")],
    out: Annotated[Path, options.out("Folder for the index.")],
) -> None:
    """Read a benchmark's data, make its split, and write the index that [bold]run[/bold] trains on.

    Missing files are listed, with the folder they belong in.

    Example:  tailwise bench prepare agedb-dir --data downloads/agedb --out prepared/agedb
    """
    from tailwise.bench.protocols import protocol_named
    from tailwise.cli.show import notes, print_line, warnings_as_notes

    with warnings_as_notes() as warned:
        record = protocol_named(protocol).prepare(data, out)
    notes(warned)
    for table in record["tables"].values():
        counts = " / ".join(f"{n:,}" for n in table["rows"].values())
        print_line(f"{out / table['file']}: {counts} rows to train / validate / test. Split {table['split']}.")


@bench.command()
def toy(
    protocol: ProtocolName,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New or empty folder to write.")],
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 0,
) -> None:
    """Write a small synthetic copy of a benchmark's data, to try all commands without a download."""
    from tailwise.bench.protocols import protocol_named
    from tailwise.cli.show import print_line

    chosen = protocol_named(protocol)
    chosen.make_toy(folder, whole(seed, "--seed", least=0))
    settings = " ".join(f"--set {setting}" for setting in chosen.quick)
    print_line(
        f"{folder}: synthetic data of {protocol}. Next:\n"
        f"  tailwise bench prepare {protocol} --data {folder} --out {folder}-prepared\n"
        f"  tailwise bench run {protocol} --data {folder}-prepared --out {folder}-results --epochs 2 {settings}"
    )


@bench.command()
def run(
    protocol: ProtocolName,
    data: Annotated[Path, typer.Option("--data", help="Folder that `tailwise bench prepare` wrote.")],
    out: Annotated[Path, options.out("Folder to write. Finished trainings in it are not run again.")],
    method: Annotated[
        list[str] | None, options.methods("Methods, one or more: -m vanilla sqinv+lds.", "those of the protocol")
    ] = None,
    seeds: Annotated[int, options.seeds("Number of trainings of each method.")] = 5,
    epochs: Annotated[int | None, options.epochs("as published")] = None,
    settings: Annotated[
        list[str] | None,
        options.settings(
            "Parameter of a part, or a change of the protocol under recipe, image, text, signal or encoder, such as "
            "image.encoder=resnet18."
        ),
    ] = None,
    small: Small = False,
    jobs: options.Jobs = 1,
    backend: options.Backend = "loky",
    select: Select = "val",
) -> None:
    """Train methods on a benchmark with several seeds, following the published recipe as closely as possible.

    Without a GPU --small trains on small images; the table says what differs from the protocol.

    Example:  tailwise bench run agedb-dir --data prepared/agedb --out results/agedb -m vanilla sqinv+lds+fds --seeds 5
    """
    from tailwise._parallel import check_parallel
    from tailwise.bench.protocols import protocol_named
    from tailwise.bench.protocols.cells import SELECT, is_known, protocol_cells, run_cells
    from tailwise.bench.protocols.results import CELLS, check_folder, mark, tables_of
    from tailwise.cli.show import notes
    from tailwise.cli.show_benchmark import failures, show_tables
    from tailwise.cli.show_progress import follow
    from tailwise.compare.plan import notes_on_tables
    from tailwise.runs.lock import locked

    chosen = protocol_named(protocol)
    one_of(select, "--select", SELECT)
    whole(seeds, "--seeds", least=1)
    check_parallel(jobs, backend)
    changes = parse_set(settings or [])
    if small:
        changes = with_small(chosen, changes)
    if epochs is not None:
        changes["recipe"] = {**changes.get("recipe", {}), "epochs": whole(epochs, "--epochs", least=1)}
    with locked(out):
        check_folder(out, chosen)
        methods = method or chosen.methods
        cells = protocol_cells(chosen, data, methods, seeds=seeds, settings=changes, out=out, select=select)
        mark(out, chosen, cells)
        notes(notes_on_tables(cells))
        known = sum(is_known(cell, out / CELLS) for cell in cells)
        results = follow(run_cells(cells, out / CELLS, jobs=jobs, backend=backend), cells, jobs=jobs, known=known)
        tables = tables_of(chosen, out, [(cell, result) for cell, result in results if "error" in result])
    show_tables(chosen, tables, every=False)
    notes(failures(tables))
    if seeds == 1:
        notes(["with one seed nothing can be concluded; use --seeds 5"])


@bench.command()
def table(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder that `tailwise bench run` wrote.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also published methods that were not run.")] = False,
) -> None:
    """Show our means over seeds, with 95 % intervals, next to the published numbers of the same methods.

    A published number is within the noise if it lies in the 95 % prediction interval of a single run of ours.
    """
    from tailwise.bench.protocols import protocol_named
    from tailwise.bench.protocols.results import protocol_of, tables_of
    from tailwise.cli.show_benchmark import markdown_table, show_tables

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
