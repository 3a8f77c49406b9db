"""Progress of a training: a bar in a terminal, a line that is rewritten in a notebook."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from tailwise._numbers import number
from tailwise.labels.shots import REGIONS
from tailwise.training.epoch import Epoch

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class Bar(Protocol):
    """Shows the progress of a training."""

    def show(self, epoch: Epoch) -> None:
        """Show an epoch that ended."""


class EpochBar:
    """A progress bar of epochs, rounds or models with the validation errors by region."""

    def __init__(self, progress: "Progress") -> None:
        self.progress = progress
        self.stages: dict[int, int] = {}

    def show(self, epoch: Epoch) -> None:
        """Advance the bar to an epoch."""
        if epoch.stage not in self.stages:
            self.stages[epoch.stage] = int(self.progress.add_task("", total=epoch.of, errors="", step=epoch.title))
        task: object = self.stages[epoch.stage]
        self.progress.update(task, completed=epoch.epoch + 1, errors=errors_of(epoch))  # type: ignore[arg-type]

    def finish(self) -> None:
        """Fill the bars of stages that stopped early."""
        for task in self.progress.tasks:
            self.progress.update(task.id, total=task.completed)


class EpochLine:
    """A line of text that each epoch overwrites, for notebooks without widgets."""

    def __init__(self) -> None:
        self.width = 0

    def show(self, epoch: Epoch) -> None:
        """Overwrite the line."""
        line = f"{epoch.title} {epoch.epoch + 1}/{epoch.of} {errors_of(epoch)}"
        sys.stderr.write("\r" + line.ljust(self.width))
        sys.stderr.flush()
        self.width = len(line)

    def finish(self) -> None:
        """End the line."""
        sys.stderr.write("\n" if self.width else "")


def errors_of(epoch: Epoch) -> str:
    """Return the validation errors of an epoch as text, or its loss terms where there are none.

    >>> errors_of(Epoch(0, 0, 5, {"mse": 2.0}, {"mae": 3.21987, "few": 9.0}, 0.1, 1.0, True))
    'MAE 3.22 Few 9'
    """
    errors = epoch.terms
    if epoch.validation:
        regions = {r.capitalize(): epoch.validation[r] for r in REGIONS if r in epoch.validation}
        errors = {"MAE": epoch.validation["mae"]} | regions
    return " ".join(f"{name} {number(float(f'{value:.3g}'))}" for name, value in errors.items())


@contextmanager
def epoch_bar(console: "Console | None" = None) -> Iterator[Bar]:
    """Show the progress of a training on standard error.

    Args:
        console: where; by default standard error, in a notebook below the cell.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = console or Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:  # rich needs it there
        line = EpochLine()
        yield line
        line.finish()
        return
    columns = (
        TextColumn("{task.fields[step]}"),
        MofNCompleteColumn(),
        BarColumn(bar_width=8),
        TextColumn("{task.fields[errors]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console) as progress:
        bar = EpochBar(progress)
        yield bar
        bar.finish()
