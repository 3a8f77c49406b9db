"""Show the progress of a grid of trainings: a live table in a terminal, elsewhere a line per training."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.cli.flags import with_flags
from tailwise.cli.show import err
from tailwise.compare.cell import Cell
from tailwise.compare.compared_scores import HEADINGS, SCORES
from tailwise.compare.progress import GridProgress, mean_error

Result = Mapping[str, Any]


def follow(
    results: Iterable[tuple[Cell, dict[str, Any]]], cells: Sequence[Cell], *, jobs: int, known: int
) -> list[tuple[Cell, dict[str, Any]]]:
    """Collect the results of a grid as they come, and show its progress.

    Args:
        results: results of all cells, stored ones first.
        cells: all cells of the grid.
        jobs: number of trainings in parallel.
        known: number of stored results, which are not printed.
    """
    collected = []
    try:
        with shown_progress(cells, jobs, known) as show:
            for cell, result in results:
                collected.append((cell, result))
                show(cell, result)
    except KeyboardInterrupt:
        _print("stopped; finished trainings are kept, the same command goes on")
        raise
    return collected


@contextmanager
def shown_progress(cells: Sequence[Cell], jobs: int, known: int) -> Iterator[Callable[[Cell, Result], None]]:
    """Provide a function that takes each result and shows the progress; failures are printed at once.

    Args:
        cells: all cells of the grid.
        jobs: number of trainings in parallel.
        known: number of stored results, which come first and are not printed.
    """
    progress = GridProgress(cells, jobs)
    if known:
        _print(f"{known} of {len(cells)} trainings are there already")

    def show_line(cell: Cell, result: Result) -> None:
        progress.add(cell, result)
        fold = "" if cell.fold is None else f", fold {cell.fold}"
        name = f"{cell.table}, {cell.entry.name}, seed {cell.seed}{fold}"
        if "error" in result:
            _print(f"failed: {name}: {with_flags(result['error'])}", style="bold red")
        elif not err.is_terminal and progress.done > known:
            means = {score: mean_error([result], score) for score in SCORES}
            errors = ", ".join(f"{HEADINGS[s].lower()} {_short(mean)}" for s, mean in means.items() if mean is not None)
            _print(f"{name}: {errors} ({result['seconds']:.1f} s); {progress_line(progress)}")

    if not err.is_terminal:
        yield show_line
        return
    with Live(progress_table(progress), console=err, refresh_per_second=4) as live:

        def show_line_and_table(cell: Cell, result: Result) -> None:
            show_line(cell, result)
            live.update(progress_table(progress))

        yield show_line_and_table


def progress_line(progress: GridProgress) -> str:
    """Return the number of trainings done and failed, and the time left."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    seconds = progress.seconds_left()
    left = "" if seconds is None or progress.done == progress.total else f", about {_span(seconds)} left"
    return f"{progress.done} of {progress.total} trainings{failed}{left}"


def progress_table(progress: GridProgress) -> Group:
    """Return the mean errors so far on the table of the last training, followed by the line."""
    shown = Table(title=Text(f"{progress.table}: mean error so far"), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", overflow="fold")
    for score in SCORES:
        shown.add_column(HEADINGS[score], justify="right")
    shown.add_column("done", justify="right")
    for (table, entry), results in progress.results.items():
        if table == progress.table:
            means = [mean_error(results, score) for score in SCORES]
            failed = sum("error" in result for result in results)
            done = Text(f"{len(results) - failed}/{progress.planned[table, entry]}")
            if failed:
                done.append(f" {failed} failed", style="bold red")
            shown.add_row(Text(entry), *("-" if mean is None else _short(mean) for mean in means), done)
    return Group(shown, Text(progress_line(progress)))


def _short(value: float) -> str:
    return number(float(f"{value:.3g}"))


def _span(seconds: float) -> str:
    """Return a duration in words, as precise as an estimate can be.

    >>> _span(8.2), _span(190), _span(9000)
    ('8 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print(line: str, style: str | None = None) -> None:
    err.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
