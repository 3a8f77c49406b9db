"""What the terminal shows while a comparison trains: a live table, or a line a training where it is no terminal."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.cli.flags import with_flags
from tailwise.cli.show import err
from tailwise.compare.comparison import SCORES

if TYPE_CHECKING:
    from tailwise.compare.grid import Cell


class Standing:
    """Where a grid stands: means so far by entry, what is done and failed, the time left.

    Args:
        cells: of the whole grid.
        jobs: trainings at once.
    """

    def __init__(self, cells: Sequence["Cell"], jobs: int) -> None:
        self.of: dict[tuple[str, str], int] = {}
        for cell in cells:
            self.of[_key(cell)] = self.of.get(_key(cell), 0) + 1
        self.jobs = jobs
        self.results: dict[tuple[str, str], list[Mapping[str, Any]]] = {key: [] for key in self.of}
        self.table = cells[0].table

    def add(self, cell: "Cell", result: Mapping[str, Any]) -> None:
        """Take in a finished or failed training."""
        self.results[_key(cell)].append(result)
        self.table = cell.table

    @property
    def done(self) -> int:
        """Trainings that are finished or failed."""
        return sum(len(results) for results in self.results.values())

    @property
    def failed(self) -> int:
        """Those of them that failed."""
        return sum("error" in result for results in self.results.values() for result in results)

    def seconds_left(self) -> float | None:
        """What the missing trainings take if each takes as long as its entry's others, or as the mean of all."""
        took = {key: [r["seconds"] for r in results if "seconds" in r] for key, results in self.results.items()}
        everything = [seconds for of_entry in took.values() for seconds in of_entry]
        if not everything:
            return None
        left = sum((n - len(self.results[key])) * float(np.mean(took[key] or everything)) for key, n in self.of.items())
        return left / self.jobs

    def line(self) -> str:
        """Done, failed, and the time left."""
        total = sum(self.of.values())
        failed = f", {self.failed} failed" if self.failed else ""
        left = self.seconds_left()
        about = "" if left is None or self.done == total else f", about {_span(left)} left"
        return f"{self.done} of {total} trainings{failed}{about}"

    def show(self) -> Group:
        """Means so far on the table of the last training, and the line."""
        shown = Table(title=Text(f"{self.table}: mean error so far"), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        shown.add_column("", overflow="fold")
        for score in SCORES:
            shown.add_column(score if score == "balanced" else score.capitalize(), justify="right")
        shown.add_column("done", justify="right")
        for (table, entry), results in self.results.items():
            if table == self.table:
                means = [_mean(results, score) for score in SCORES]
                failed = sum("error" in result for result in results)
                done = Text(f"{len(results) - failed}/{self.of[table, entry]}")
                if failed:
                    done.append(f" {failed} failed", style="bold red")
                shown.add_row(Text(entry), *("-" if m is None else number(float(f"{m:.3g}")) for m in means), done)
        return Group(shown, Text(self.line()))


@contextmanager
def standing(cells: Sequence["Cell"], jobs: int, known: int) -> Iterator[Any]:
    """Give a function that takes in each training and shows where the grid stands.

    A terminal has a table that is drawn anew; elsewhere each training is a line. A failure is told at once.

    Args:
        cells: of the whole grid.
        jobs: trainings at once.
        known: how many results come first that are there already; they have no line.
    """
    now = Standing(cells, jobs)
    if known:
        _print(f"{known} of {len(cells)} trainings are there already")

    def told(cell: "Cell", result: Mapping[str, Any]) -> None:
        now.add(cell, result)
        fold = "" if cell.fold is None else f", fold {cell.fold}"
        name = f"{cell.table}, {cell.entry.name}, seed {cell.seed}{fold}"
        if "error" in result:
            _print(f"failed: {name}: {with_flags(result['error'])}", style="bold red")
        elif not err.is_terminal and now.done > known:
            found = {score: _mean([result], score) for score in SCORES}
            errors = ", ".join(f"{s} {number(float(f'{v:.3g}'))}" for s, v in found.items() if v is not None)
            _print(f"{name}: {errors} ({result['seconds']:.1f} s); {now.line()}")

    if not err.is_terminal:
        yield told
        return
    with Live(now.show(), console=err, refresh_per_second=4) as live:

        def told_and_shown(cell: "Cell", result: Mapping[str, Any]) -> None:
            told(cell, result)
            live.update(now.show())

        yield told_and_shown


def _key(cell: "Cell") -> tuple[str, str]:
    return cell.table, cell.entry.name


def _mean(results: Sequence[Mapping[str, Any]], score: str) -> float | None:
    region, metric = SCORES[score]
    found = [result.get("metrics", {}).get(region, {}).get(metric) for result in results]
    values = [value for value in found if value is not None]
    return float(np.mean(values)) if values else None


def _span(seconds: float) -> str:
    """A time in words, as precise as a guess can be.

    >>> _span(8.2), _span(190), _span(9000)
    ('8 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print(line: str, style: str | None = None) -> None:
    err.print(line, style=style, highlight=False, markup=False, soft_wrap=True)
