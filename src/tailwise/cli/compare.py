"""``tailwise compare``: methods and models on the same splits, and which differences are real."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, one_of, whole
from tailwise.backends.names import MODELS
from tailwise.cli import media_options
from tailwise.modalities.catalog import kinds
from tailwise.modalities.encoder_names import AUTO, ENCODERS

if TYPE_CHECKING:
    from tailwise.compare.comparison import GridComparison
    from tailwise.compare.grid import Cell, Entry

_WHAT, _TABLE, _RUNS = "What is compared", "Table", "Runs"
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"seeds": 3, "rows": 5000, "recipe": {"epochs": 40, "patience": 12}},
    "standard": {"seeds": 5, "rows": 20_000, "recipe": {}},
    "thorough": {"seeds": 10, "rows": None, "recipe": {"epochs": 120}},
}
SEVERAL = ("--method", "-m", "--model")
_POWERS = (0.25, 0.5, 0.75, 1.0)


@media_options.with_media_options
def compare(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...", help="One table or several, or example:NAME; with a target of its own: DATA@TARGET."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target", "-t", help="Column to predict, of tables given without @TARGET.", rich_help_panel=_TABLE
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Methods, one or more: -m vanilla sqinv+lds.", rich_help_panel=_WHAT),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="Encoders and models, one or more: --model mlp tabm lightgbm.", rich_help_panel=_WHAT
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            help="What the others are compared with, as 'MODEL METHOD'; the first model with the first method if not "
            "given.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    sweep: Annotated[
        bool,
        typer.Option(
            "--sweep",
            help="Also the power of the weights from 0 to 1 (reweight+lds) on the first model: the trade-off between "
            "many and few.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PART.NAME=VALUE", help="Parameter of a part. Repeatable.", rich_help_panel=_WHAT
        ),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="|".join(PRESETS),
            help="quick: 3 seeds, at most 5,000 rows, 40 epochs. standard: 5 seeds, at most 20,000 rows. thorough: 10 "
            "seeds, all rows, 120 epochs.",
            rich_help_panel=_RUNS,
        ),
    ] = "quick",
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", help="Splits and trainings a table.", show_default="by preset", rich_help_panel=_RUNS),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option("--folds", help="Test every fold of K instead of one split a seed.", rich_help_panel=_RUNS),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", help="Most epochs of a network.", show_default="by preset", rich_help_panel=_RUNS),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="Trainings at once.", rich_help_panel=_RUNS)] = 1,
    backend: Annotated[
        str, typer.Option("--backend", help="Of joblib: loky, or dask, ray on a cluster.", rich_help_panel=_RUNS)
    ] = "loky",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder to write; by default runs/compare-DATA. Trainings that are finished there are not run again.",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    bin_width: Annotated[
        float | None, typer.Option("--bin-width", help="Width of the target's bins.", rich_help_panel=_TABLE)
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Column whose groups are never split.", rich_help_panel=_TABLE)
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="Column to leave out. Repeatable.", rich_help_panel=_TABLE)
    ] = None,
    nominal: Annotated[
        list[str] | None, typer.Option("--nominal", help="Column to take as nominal.", rich_help_panel=_TABLE)
    ] = None,
    media: media_options.Media | None = None,
    drop_missing_target: Annotated[
        bool, typer.Option("--drop-missing-target", help="Drop rows without a target.", rich_help_panel=_TABLE)
    ] = False,
) -> None:
    """Train methods and models on the same splits, and say by region which differences are real.

    A difference counts when a paired t test over the seeds, corrected for seeds that share rows and, after Holm, for
    the number of comparisons, says so; else it is called no difference.

    Example:  tailwise compare houses.csv -t price -m vanilla sqinv+lds rrt+lds --model mlp-ple lightgbm
    """
    from tailwise.cli.settings import parse_set
    from tailwise.compare.comparison import compare_grid
    from tailwise.compare.grid import check_backend
    from tailwise.report.compare_page import compare_page
    from tailwise.runs.folder import write_json

    one_of(preset, "--preset", tuple(PRESETS))
    chosen = PRESETS[preset]
    whole(jobs, "--jobs", least=1)
    n_seeds = whole(chosen["seeds"] if seeds is None else seeds, "--seeds", least=1)
    if folds is not None and group is not None:
        raise InputError("--folds and --group cannot be used together; leave one out")
    recipe = {**chosen["recipe"], **({} if epochs is None else {"epochs": whole(epochs, "--epochs", least=1)})}
    entries = _entries(method or ["vanilla", "sqinv+lds"], model or [AUTO], parse_set(settings or []), sweep, recipe)
    names = [entry.name for entry in entries]
    base = names[0] if reference is None else one_of(reference, "--reference", names)
    choices = {
        "bin_width": bin_width,
        "group": group,
        "drop": drop or [],
        "nominal": nominal or [],
        "drop_missing_target": drop_missing_target,
        **(media or {}),
    }
    targets = _targets(data, target)
    cells = _cells(targets, entries, choices, n_seeds, folds, chosen["rows"])
    folder = out or Path("runs") / f"compare-{cells[0].table}"
    check_backend(backend)
    _check_folder(folder)
    results = _run(cells, folder, jobs, backend)
    comparison = compare_grid(results, base, folder=folder / "cells")
    write_json(folder / "comparison.json", comparison.to_json())
    said = list(dict.fromkeys(name for _, name in targets))
    of = ", ".join(table.table for table in comparison.tables)
    page = compare_page(comparison, f"{said[0]} of {of}" if len(said) == 1 else of)
    (folder / "comparison.html").write_text(page, encoding="utf-8")
    _say(comparison, folder, results)


def _entries(
    methods: Sequence[str],
    models: Sequence[str],
    params: dict[str, dict[str, Any]],
    sweep: bool,
    recipe: dict[str, Any],
) -> list["Entry"]:
    """Every method on every model that can train it."""
    from tailwise.compare.comparison import SWEEP
    from tailwise.compare.grid import Entry
    from tailwise.methods.method import compose, parse

    known = (AUTO, *ENCODERS, *(name for name in MODELS if name != "network"))
    for name in models:
        one_of(name, "--model", known)
    of_media = {kind: params[kind] for kind in kinds() if kind in params}
    params = {part: given for part, given in params.items() if part not in kinds()}
    unused = set(params)
    made = []
    for name in dict.fromkeys(models):
        network = name in (AUTO, *ENCODERS)
        kind: Any = {"encoder": name, "params": of_media} if network else {"model": name}
        for method in dict.fromkeys(methods):
            own = {part: given for part, given in params.items() if part in parse(method)}
            unused -= set(own)
            compose(method, **own)  # a mistake is told before anything is trained
            made.append(Entry(method, method_params=own, recipe=recipe if network else {}, **kind))
    if unused:
        raise InputError(f"--set names {sorted(unused)[0]!r}, which is part of no method that is compared")
    if sweep:
        first = made[0]
        kind = (
            {"encoder": first.encoder, "params": first.params} if first.model == "network" else {"model": first.model}
        )
        swept = [Entry("vanilla", recipe=first.recipe, **kind)]  # power 0
        swept += [
            Entry(SWEEP, method_params={"reweight": {"power": power}}, recipe=first.recipe, **kind) for power in _POWERS
        ]
        made += [entry for entry in swept if entry not in made]
    if len(made) < 2:
        raise InputError("one method on one model has nothing to be compared with; give more with -m or --model")
    return made


def _targets(data: Sequence[str], target: str | None) -> list[tuple[str, str]]:
    """Each table and its target, as in ``houses.csv@price``, or the one target of all."""
    found = []
    for name in data:
        path, at, own = name.rpartition("@")
        if at and own and not Path(name).exists():
            found.append((path, own))
        elif target is not None:
            found.append((name, target))
        else:
            raise InputError(f"{name!r} has no target; give --target, or write {name}@TARGET")
    return found


def _cells(
    targets: Sequence[tuple[str, str]],
    entries: Sequence["Entry"],
    choices: dict[str, Any],
    seeds: int,
    folds: int | None,
    rows: int | None,
) -> list["Cell"]:
    from tailwise.compare.grid import Cell
    from tailwise.data.source import load_source
    from tailwise.experiment.prepare import prepare_table

    tables = [name.removeprefix("example:").rsplit("/", 1)[-1].split(".")[0] for name, _ in targets]
    twice = [name for name in dict.fromkeys(tables) if tables.count(name) > 1]
    if twice:
        raise InputError(f"two tables are called {twice[0]!r}, by the first part of the file's name; rename one")
    digests = []
    for name, target in targets:
        source = load_source(name)
        # A mistake is told before anything is written or trained; folds are no such split, but any table has one.
        kind = {} if folds is None else {"split": "random"}
        prepare_table(source.rows, target, **{"folder": source.folder, **choices, **kind})
        digests.append(source.sha256)
    return [
        Cell(table, source, target, entry, seed, choices, rows, fold, folds, digest, order)
        for seed in range(seeds)
        for fold in ([None] if folds is None else range(whole(folds, "--folds", least=2)))
        for table, (source, target), digest in zip(tables, targets, digests, strict=True)
        for order, entry in enumerate(entries)
    ]


def _check_folder(folder: Path) -> None:
    """Raise unless the folder is new, empty, or that of a comparison."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file; --out must name a folder")
    marker = folder / "comparison.json"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise InputError(f"{str(folder)!r} is not empty and holds no comparison; choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not marker.exists():
            marker.write_text("{}", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error


def _run(cells: Sequence["Cell"], folder: Path, jobs: int, backend: str) -> list[tuple["Cell", dict[str, Any]]]:
    """Run the grid and show where it stands."""
    from tailwise.cli.live import standing
    from tailwise.compare.grid import read_cell, run_grid

    results = []
    known = sum(read_cell(cell, folder / "cells") is not None for cell in cells)
    with standing(cells, jobs, known) as tell:
        for cell, result in run_grid(cells, folder / "cells", jobs=jobs, backend=backend):
            results.append((cell, result))
            tell(cell, result)
    return results


def _say(comparison: "GridComparison", folder: Path, results: Sequence[tuple["Cell", dict[str, Any]]]) -> None:
    from tailwise.cli.show import compared_table, notes, out, ranks_table
    from tailwise.compare.conclusions import conclusions

    for table in comparison.tables:
        out.print(compared_table(table, comparison.reference))
    for score, ranking in comparison.ranking.items():
        if score in ("all", "few"):
            out.print(ranks_table(score, ranking))
    for line in conclusions(comparison):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    notes([f"{name} is left out: {reason}" for name, reason in comparison.left_out.items()])
    notes(
        [
            f"{table.n_failed[name]} trainings of {name} on {table.table} failed"
            f"{' and it is left out' if name not in table.scores else ''}: {reason}"
            for table in comparison.tables
            for name, reason in table.failed.items()
        ]
    )
    seconds = sum(comparison.seconds().values())
    out.print(
        f"{len(results)} trainings, {seconds / 60:.1f} minutes of computing: {folder / 'comparison.html'}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def spread(arguments: Sequence[str]) -> list[str]:
    """Arguments with ``-m A B C`` written as ``-m A -m B -m C``.

    >>> spread(["compare", "x.csv", "-m", "a", "b", "--seeds", "3"])
    ['compare', 'x.csv', '-m', 'a', '-m', 'b', '--seeds', '3']
    """
    spelt: list[str] = []
    option, given = "", 0
    for word in arguments:
        if word.startswith("-"):
            option, given = (word, 0) if word in SEVERAL else ("", 0)
        elif option:
            given += 1
            if given > 1:
                spelt.append(option)
        spelt.append(word)
    return spelt
