"""What the terminal shows: progress while training, the table of errors by region."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.cli.flags import with_flags
from tailwise.labels.shots import REGIONS
from tailwise.metrics.regions import DISTANCE_METRICS, METRICS, RegionMetrics

if TYPE_CHECKING:
    from tailwise.compare.comparison import TableComparison
    from tailwise.compare.ranks import Ranking
    from tailwise.compare.statistics import Compared
    from tailwise.report.against import Comparison
    from tailwise.training.epoch import Epoch

_COLUMNS = ("rmse", "gm", "bmae", "bias")

err = Console(stderr=True)
out = Console()


class EpochBar:
    """A progress bar of epochs with the validation error by region."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[int, Any] = {}

    def show(self, epoch: "Epoch") -> None:
        """Advance to an epoch."""
        if epoch.validation:
            errors = {"MAE": epoch.validation["mae"]} | {
                r.capitalize(): epoch.validation[r] for r in REGIONS if r in epoch.validation
            }
        else:
            errors = epoch.terms
        text = " ".join(f"{name} {number(float(f'{value:.3g}'))}" for name, value in errors.items())
        if epoch.stage not in self.tasks:
            self.tasks[epoch.stage] = self.progress.add_task("", total=epoch.of, errors="")
        self.progress.update(self.tasks[epoch.stage], completed=epoch.epoch + 1, errors=text)

    def finish(self) -> None:
        """Fill the bars of stages that stopped early."""
        for task in self.progress.tasks:
            self.progress.update(task.id, total=task.completed)


@contextmanager
def epoch_bar() -> Iterator[EpochBar]:
    """Show a bar while training."""
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(bar_width=8),
        TextColumn("{task.fields[errors]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=err) as progress:
        bar = EpochBar(progress)
        yield bar
        bar.finish()


def region_table(regions: Mapping[str, RegionMetrics], *, title: str, unit: str, several: bool = False) -> Table:
    """Errors by region, with 95 % intervals for the MAE; of several targets, distances."""
    metrics = DISTANCE_METRICS if several else METRICS
    columns = [name for name in _COLUMNS if name in metrics]
    about = "distances between prediction and true value" if several else "a bias below 0 is too low"
    caption = Text(f"in units of {unit}; {about}")
    table = Table(title=Text(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("region", style="bold")
    for heading in ("n", metrics["mae"][0], "95 % interval", *(metrics[name][0] for name in columns)):
        table.add_column(heading, justify="right")
    for name in regions:
        values = {key: interval.value for key, interval in regions[name].metrics.items()}
        cells = [number(values[key]) if key in values else "-" for key in ("mae", *columns)]
        table.add_row(name.capitalize(), f"{regions[name].n:,}", cells[0], _range(regions[name], "mae"), *cells[1:])
    return table


def beside_table(
    comparison: Mapping[str, "Comparison"], our_name: str, their_name: str, *, several: bool = False
) -> Table:
    """MAE of two runs on the same rows, of several targets the distance, and whether they differ."""
    caption = Text("paired bootstrap over the test rows, 95 %")
    title = Text(f"{our_name} beside {their_name}: {(DISTANCE_METRICS if several else METRICS)['mae'][0]}")
    table = Table("region", title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (our_name, their_name, "change"):
        table.add_column(Text(heading), justify="right")
    for name, pair in comparison.items():
        change = pair.text if pair.differs else "no difference"
        table.add_row(name.capitalize(), number(pair.ours), number(pair.theirs), change)
    return table


def compared_table(table: "TableComparison", reference: str) -> Table:
    """Errors of the reference, and by how much the others differ from it, with what the tests say."""
    from tailwise.compare.comparison import SCORES

    caption = Text(
        f"{reference}: mean error in units of {table.target}. Others: change of it; better and worse where it is no "
        "chance, = where there is no difference, ? where one seed cannot tell"
    )
    shown = Table(title=Text(f"{table.table}: {table.target}"), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", overflow="fold")
    for score in SCORES:
        shown.add_column("balanced" if score == "balanced" else score.capitalize(), justify="right")
    shown.add_column("seconds", justify="right")
    said = {(one.method, one.region): one for one in table.compared}
    front = table.on_front()
    for name in table.scores:
        if name == reference:
            means = [table.mean(name, score) for score in SCORES]
            cells = [Text("-" if mean is None else number(float(f"{mean:.3g}"))) for mean in means]
        else:
            cells = [_change(said[name, score]) for score in SCORES]
        shown.add_row(Text(name + (" *" if front.get(name) else "")), *cells, f"{table.seconds[name]:.0f}")
    if any(front.values()):
        shown.caption = Text(f"{caption}. *: none is better both where rows are many and where they are few")
    return shown


def _change(one: "Compared") -> Text:
    percent = one.paired.percent
    if percent is None:
        return Text("-")
    styles = {"better": "bold green", "worse": "bold red"}
    sign = "=" if one.verdict == "no difference" else one.verdict if one.verdict in styles else "?"
    return Text(f"{percent:+.0f} % {sign}", style=styles.get(one.verdict, ""))


def ranks_table(score: str, ranking: "Ranking") -> Table:
    """Mean ranks over tables, and which do not differ."""
    distance = number(float(f"{ranking.critical_difference:.2g}"))
    caption = Text(f"{len(ranking.tables)} tables; ranks closer than {distance} are no difference (Nemenyi)")
    shown = Table(title=Text(f"mean ranks, {score}"), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("")
    shown.add_column("mean rank", justify="right")
    shown.add_column("alike")
    letters = {group: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i % 26] for i, group in enumerate(ranking.groups)}
    for name, rank in ranking.mean_ranks.items():
        shown.add_row(Text(name), f"{rank:.2f}", "".join(letter for group, letter in letters.items() if name in group))
    return shown


def _range(region: RegionMetrics, metric: str) -> str:
    interval = region.metrics.get(metric)
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{number(interval.low)} .. {number(interval.high)}"


@contextmanager
def warnings_as_notes() -> Iterator[list[str]]:
    """Gather the package's warnings of a block as notes for the user; others are shown as ever."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield lines
    for warning in caught:
        if warning.category is UserWarning:
            lines.append(with_flags(str(warning.message)))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@contextmanager
def warnings_told(known: list[str]) -> Iterator[None]:
    """Print the package's warnings of a block as notes when they come, each once, and add them to those known."""
    show_otherwise = warnings.showwarning

    def tell(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if category is not UserWarning:
            show_otherwise(message, category, *where)
        elif (note := with_flags(str(message))) not in known:
            known.append(note)
            notes([note])

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = tell  # type: ignore[assignment]
        yield


def notes(lines: list[str]) -> None:
    """Print what the user should know, on stderr, parameters of the library as options."""
    for line in lines:
        err.print(f"note: {with_flags(line)}", style="yellow", highlight=False, markup=False, soft_wrap=True)
