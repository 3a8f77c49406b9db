"""Print to the terminal: progress of a training, errors by region, notes."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.cli.flags import with_flags
from tailwise.metrics.region_metrics import DISTANCE_METRICS, METRICS, RegionMetrics

if TYPE_CHECKING:
    from tailwise.metrics.confidence import Interval
    from tailwise.report.against import Comparison

_WIDEST = 10_000
_COLUMNS = ("rmse", "gm", "bmae", "bias")
_HEADLINES = {"as_rows_come": "as rows come", "bmae": "evenly"}


class Screen(Console):
    """A terminal whose tables keep their numbers: one that is too narrow wraps the lines."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a table at least as wide as its longest words."""
        if len(objects) == 1 and isinstance(objects[0], Table):
            needed = Measurement.get(self, self.options.update(max_width=_WIDEST), objects[0]).minimum
            if needed > self.width:
                Console(stderr=self.stderr, width=needed, quiet=self.quiet).print(objects[0], **options)
                return
        super().print(*objects, **options)


err = Screen(stderr=True)
out = Screen()


def region_table(
    regions: Mapping[str, RegionMetrics],
    *,
    title: str,
    unit: str,
    several: bool = False,
    as_rows_come: "Interval | None" = None,
) -> Table:
    """Return a table of errors by region, with 95 % intervals for the MAE; distances for several targets.

    Args:
        regions: metrics by region.
        title: of the table.
        unit: of the target.
        several: whether errors are distances for several targets.
        as_rows_come: error of rows as they come, for the first line; the second is the error evenly over values.
    """
    metrics = DISTANCE_METRICS if several else METRICS
    columns = [name for name in _COLUMNS if name in metrics]
    about = "distances between prediction and true value" if several else "a bias below 0 is too low"
    caption = Text(f"in units of {unit}; {about}{_relative(regions, unit)}")
    table = Table(title=Text(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("region", style="bold")
    for heading in ("n", metrics["mae"][0], "95 % interval", *(metrics[name][0] for name in columns)):
        table.add_column(heading, justify="right")
    if as_rows_come is not None:
        for name, error in (("As rows come", as_rows_come), ("Evenly", regions["all"].metrics["bmae"])):
            table.add_row(name, "", number(error.value), _range(error), *("" for _ in columns))
    for name in regions:
        values = {key: interval.value for key, interval in regions[name].metrics.items()}
        cells = [number(values[key]) if key in values else "-" for key in ("mae", *columns)]
        table.add_row(
            name.capitalize(), f"{regions[name].n:,}", cells[0], _range(regions[name].metrics.get("mae")), *cells[1:]
        )
    return table


def _relative(regions: Mapping[str, RegionMetrics], unit: str) -> str:
    """Return a line with R² and relative errors over all rows, as far as there are some."""
    values = {key: interval.value for key, interval in regions["all"].metrics.items()}
    parts = [f"R² {values['r2']:.2f}"] if "r2" in values else []
    parts += [f"MAE {number(values['mae_percent'])} % of the mean {unit}"] if "mae_percent" in values else []
    parts += [f"MAPE {number(values['mape'])} %"] if "mape" in values else []
    return f"\nall rows: {', '.join(parts)}" if parts else ""


def beside_table(
    comparison: Mapping[str, "Comparison"], our_name: str, their_name: str, *, several: bool = False
) -> Table:
    """Return a table of the MAE of two runs on the same rows (distances for several targets), and their differences."""
    caption = Text("paired bootstrap over the test rows, 95 %")
    title = Text(f"{our_name} beside {their_name}: {(DISTANCE_METRICS if several else METRICS)['mae'][0]}")
    table = Table("region", title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in (our_name, their_name, "change"):
        table.add_column(Text(heading), justify="right")
    for name, pair in comparison.items():
        change = pair.text if pair.differs else "no difference"
        heading = _HEADLINES.get(name, name).capitalize()
        table.add_row(heading, number(pair.ours), number(pair.theirs), change)
    return table


def _range(interval: "Interval | None") -> str:
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{number(interval.low)} .. {number(interval.high)}"


@contextmanager
def warnings_as_notes() -> Iterator[list[str]]:
    """Collect the package's warnings of a block as notes for the user; other warnings are issued as usual."""
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
def warnings_shown(known: list[str]) -> Iterator[None]:
    """Print the package's warnings of a block as notes when they occur, each once, and append them to ``known``."""
    show_others = warnings.showwarning

    def tell(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if category is not UserWarning:
            show_others(message, category, *where)
        elif (note := with_flags(str(message))) not in known:
            known.append(note)
            notes([note])

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = tell  # type: ignore[assignment]
        yield


def notes(lines: list[str]) -> None:
    """Print notes for the user on stderr, parameters of the library as options."""
    for line in lines:
        err.print(f"note: {with_flags(line)}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def note_on_all_columns(unseen: Mapping[str, float], option: str) -> list[str]:
    """Return a note on the option that writes the fractions of all columns, where the note on them has not all."""
    from tailwise.data.seen import COLUMNS_SHOWN  # needs pandas

    left_out = len(unseen) > COLUMNS_SHOWN
    return [f"{option} FILE.json has the fractions of all {len(unseen)} columns with such values"] if left_out else []


def print_line(line: str) -> None:
    """Print a line unchanged, without markup or wrapping."""
    out.print(line, highlight=False, markup=False, soft_wrap=True)
