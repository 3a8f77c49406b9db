"""Plan a comparison: the cells of tables, entries and splits."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tailwise._checks import InputError, whole
from tailwise.compare.cell import Cell
from tailwise.compare.parts_given import check_split
from tailwise.experiment.spec import Experiment

if TYPE_CHECKING:
    from tailwise.data.task import Task
    from tailwise.labels.censoring import Censoring


def plan_cells(
    tables: Sequence[tuple[str, str]],
    entries: Sequence[Experiment],
    *,
    choices: Mapping[str, Any] | None = None,
    seeds: int = 3,
    folds: int | None = None,
    rows: int | None = None,
) -> list[Cell]:
    """Return a cell for every entry on every split of every table, the cells of a split together.

    Every table is read and prepared once, so that a mistake is raised before anything is written or trained.

    Args:
        tables: pairs of a file (or ``example:NAME``) and its target column.
        entries: methods and models to compare, see :func:`tailwise.compare.entries.entries_of`.
        choices: keywords of :func:`tailwise.experiment.prepare.prepare`, for all tables.
        seeds: number of seeds, from 0; each makes its own split: at random, or with ``time`` as
            :mod:`tailwise.compare.origins` says.
        folds: number of folds of each seed, each of which is tested once, instead of one split per seed.
        rows: maximum number of rows of a table; no limit if not given.

    Raises:
        InputError: tables that cannot be read or prepared, or that have the same name; seeds or folds out of range;
            folds together with a group column; what :func:`tailwise.compare.parts_given.check_split` refuses; entries
            without a likelihood of censored labels, where labels are.

    Example:
        >>> entries = [Experiment(method, encoder="mlp") for method in ("vanilla", "sqinv")]
        >>> cells = plan_cells([("example:diabetes", "progression")], entries, seeds=2)
        >>> [(cell.seed, cell.entry.name) for cell in cells]
        [(0, 'mlp vanilla'), (0, 'mlp sqinv'), (1, 'mlp vanilla'), (1, 'mlp sqinv')]
    """
    choices = choices or {}
    whole(seeds, "`seeds`", least=1)
    if folds is not None:
        whole(folds, "`folds`", least=2)
        if choices.get("time") is not None:
            raise InputError(
                "`folds` are drawn at random, and `time` splits rows by time; leave one out: with `time` each of the "
                "`seeds` tests earlier rows"
            )
        if choices.get("group") is not None:
            raise InputError("`folds` and `group` cannot be used together; leave one out")
    check_split(choices, tables=len(tables), folds=folds)
    names = [table_name(data) for data, _ in tables]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(f"two tables are called {repeated[0]!r}, by the first part of the file's name; rename one")
    tasks = [_checked(data, target, choices, entries, folded=folds is not None) for data, target in tables]
    return [
        Cell(name, data, target, entry, seed, choices, rows, fold, folds, digest, order, notes=notes)
        for seed in range(seeds)
        for fold in ([None] if folds is None else range(folds))
        for name, (data, target), (digest, notes) in zip(names, tables, tasks, strict=True)
        for order, entry in enumerate(entries)
    ]


def notes_on_tables(cells: Sequence[Cell]) -> list[str]:
    """Return the notes on the tables of cells, each once; of several tables they begin with the name."""
    by_table = {cell.table: cell.notes for cell in cells}
    if len(by_table) == 1:
        return list(*by_table.values())
    return [f"{name}: {note}" for name, notes in by_table.items() for note in notes]


def table_name(data: str) -> str:
    """Return the name of a table: its file's name up to the first dot, or the name of the example.

    >>> table_name("tables/houses.v2.csv"), table_name("example:airports")
    ('houses', 'airports')
    """
    return data.removeprefix("example:").rsplit("/", 1)[-1].split(".")[0]


def _checked(
    data: str, target: str, choices: Mapping[str, Any], entries: Sequence[Experiment], *, folded: bool
) -> tuple[str, tuple[str, ...]]:
    """Prepare a table once, to raise for mistakes, and return its SHA-256 and notes; folds need no split of it."""
    from tailwise.data.source import load_source
    from tailwise.experiment.prepare import prepare

    source = load_source(data, text=choices.get("nominal", ()))
    task = prepare(source, target, **{**choices, **({"split": "random"} if folded else {})})
    for entry in entries:
        if entry.censoring is not None:
            _check_censored(task, entry, entry.censoring)
    return task.digest, tuple(dict.fromkeys(task.notes))


def _check_censored(task: "Task", entry: Experiment, censoring: "Censoring") -> None:
    """Raise, with its name, for an entry that cannot be trained on censored labels."""
    from tailwise.experiment.censored import check_censoring

    try:
        check_censoring(task, entry, censoring)
    except InputError as error:
        raise InputError(f"entry {entry.name!r}: {error}") from error
