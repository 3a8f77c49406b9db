"""Print a diagnosis: a chart of rows by bin, tables, findings and advice."""

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.cli.flags import with_flags
from tailwise.diagnose.facts import Density, Diagnosis
from tailwise.report.findings import findings, target_lines

_LETTERS = {"many": "M", "medium": "m", "few": "f", "zero": "."}
_STYLES = {"many": "blue", "medium": "yellow", "few": "red", "zero": "magenta"}
_WIDTH, _HEIGHT, _GUTTER, _WIDEST_BAR = 68, 8, 9, 6


def summary(diagnosis: Diagnosis, name: str, *, plain: bool = False) -> Group:
    """Return everything but the advice, for a terminal of 80 columns.

    Args:
        diagnosis: the diagnosis.
        name: name of the table.
        plain: draw with ASCII characters only.
    """
    return Group(
        Text(f"{diagnosis.target.name} of {name}", style="bold"),
        *(Text(line) for line in target_lines(diagnosis)),
        Text(),
        *chart(diagnosis.density, plain=plain),
        _region_table(diagnosis),
        _weight_table(diagnosis),
        *(Text.assemble((f"{title}: ", "bold"), line) for title, line in findings(diagnosis)),
        Text(),
    )


def chart(density: Density, *, plain: bool = False) -> list[Text]:
    """Return rows by bin as a bar chart of text on a logarithmic scale, coloured by region, with its letters below.

    Args:
        density: rows by bin.
        plain: draw with ASCII characters only.
    """
    bins_per_bar = math.ceil(len(density.counts) / _WIDTH)
    starts = range(0, len(density.counts), bins_per_bar)
    counts = [_mean(density.counts[i : i + bins_per_bar]) for i in starts]
    smoothed = [_mean(density.smoothed[i : i + bins_per_bar]) for i in starts]
    regions = [_region_of(count, density) for count in counts]
    width = min(_WIDEST_BAR, _WIDTH // len(counts))
    top = max(counts)
    eighths = " #######█" if plain else " ▁▂▃▄▅▆▇█"
    full, line = ("#", "-") if plain else ("█", "─")
    lines = []
    for level in reversed(range(_HEIGHT)):
        label = f"{top:,.0f}" if level == _HEIGHT - 1 else ""
        row = Text(f"{label:>{_GUTTER - 2}} " + ("|" if plain else "│"))
        for count, curve, region in zip(counts, smoothed, regions, strict=True):
            part = _height(count, top) - 8 * level
            if part > 0:
                row.append((full if part >= 8 else eighths[part]) * width, style=_STYLES[region])
            else:
                row.append((line if 0 < _height(curve, top) - 8 * level <= 8 else " ") * width, style="dim")
        lines.append(row)
    letters = Text(f"{'region':>{_GUTTER - 2}}  ")
    for region in regions:
        letters.append(_LETTERS[region] * width, style=_STYLES[region])
    low, high = (number(density.edges[end]) for end in (0, -1))
    total = width * len(counts)
    scale = f"{low}{high:>{max(total - len(low), len(high) + 1)}}"
    bar = "one bin" if bins_per_bar == 1 else f"the mean of {bins_per_bar} bins"
    legend = Text(" " * _GUTTER)
    for region, letter in _LETTERS.items():
        legend.append(f"{letter} {'no row' if region == 'zero' else region}  ", style=_STYLES[region])
    legend.append(f"{line} LDS curve above the bars", style="dim")
    caption = Text(f"{'':{_GUTTER}}rows per bin on a logarithmic scale; a bar is {bar}", style="dim")
    return [*lines, letters, Text(" " * _GUTTER + scale), legend, caption, Text()]


def _height(count: float, top: float) -> int:
    """Return the height of a bar in eighths of a line, at least one for any row."""
    return max(round(8 * _HEIGHT * math.log1p(count) / math.log1p(top)), int(count > 0))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _region_of(count: float, density: Density) -> str:
    if count == 0:
        return "zero"
    return "many" if count > density.many else "few" if count < density.few else "medium"


def _region_table(diagnosis: Diagnosis) -> Table:
    density, model = diagnosis.density, diagnosis.model
    rules = {
        "many": f"> {density.many:,.3g} per bin",
        "medium": "between",
        "few": f"< {density.few:,.3g} per bin",
        "zero": "no row",
    }
    title = "regions" if model is None else f"regions, and the errors of a quick model ({model.folds} folds)"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("region", style="bold")
    table.add_column("rule")
    for heading in ("bins", "rows", "fraction", *(() if model is None else ("MAE", "bias", "R²"))):
        table.add_column(heading, justify="right")
    for region in density.regions:
        cells = [f"{region.bins:,}", f"{region.rows:,}", f"{region.share:.1%}"]
        table.add_row(
            region.name, rules[region.name], *cells, *_errors(diagnosis, region.name), style=_STYLES[region.name]
        )
    for name in ("few, low end", "few, high end", "all"):
        if model is not None and (error := model.of(name)) is not None:
            table.add_row(name, "", "", f"{error.n:,}", "", *_errors(diagnosis, name))
    if model is not None:
        table.caption = Text(
            f"out of fold, {model.rows:,} rows, in units of {diagnosis.target.name}; a bias below 0 is too low; R² is "
            "relative to the region's mean"
        )
    return table


def _errors(diagnosis: Diagnosis, region: str) -> list[str]:
    if diagnosis.model is None:
        return []
    error = diagnosis.model.of(region)
    if error is None:
        return ["-", "-", "-"]
    no_r2 = error.r2 is None or region.endswith("end")
    return [number(error.mae), number(error.bias), "" if no_r2 else f"{error.r2:.2f}"]


def _weight_table(diagnosis: Diagnosis) -> Table:
    table = Table(title="effect of weights", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("method", style="bold")
    for heading in ("effective sample size", "fraction of rows", "largest weight / mean"):
        table.add_column(heading, justify="right")
    for weighting in diagnosis.weightings:
        table.add_row(
            weighting.method,
            f"{weighting.effective_rows:,.0f}",
            f"{weighting.share:.0%}",
            f"{weighting.largest:,.1f}",
        )
    return table


def print_advice(diagnosis: Diagnosis, console: Console) -> None:
    """Print findings, actions and reasons within the width of the terminal, and commands on one line, to be copied."""
    console.print(Text("what to do", style="bold"))
    for rank, advice in enumerate(diagnosis.advice, start=1):
        console.print(Text())
        console.print(Text(f"{rank}. {advice.finding}", style="bold"))
        for title, text in (("do", advice.action), ("why", advice.reason)):
            console.print(
                Padding(Text.assemble((f"{title}: ", "bold"), with_flags(text)), (0, 0, 0, 3)), highlight=False
            )
        for command in advice.commands:
            console.print(Text(f"   {command}", style="cyan"), soft_wrap=True)
