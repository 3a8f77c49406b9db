"""A benchmark's tables in the terminal and as Markdown: our means beside the published numbers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailwise.bench.protocols.base import Protocol
    from tailwise.bench.published import Published
    from tailwise.bench.standings import BenchTable, Mean, Row


def print_line(line: str) -> None:
    """Print a line as it is."""
    from tailwise.cli.show import out

    out.print(line, highlight=False, markup=False, soft_wrap=True)


def show_tables(protocol: "Protocol", tables: Sequence["BenchTable"], *, every: bool) -> None:
    """Print the tables of a protocol, one a metric, with what stands below them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from tailwise.cli.show import out

    for one in tables:
        sources = _sources(one, every=every)
        for metric in dict.fromkeys(metric for metric, _ in one.columns):
            headings, lines = _lines(one, metric, sources, every=every)
            title = Text(f"{one.benchmark}: {headings[0]}")
            shown = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
            shown.add_column("", overflow="fold")
            for heading in headings[1:]:
                shown.add_column(heading, justify="right", no_wrap=True)
            for ours, cells in lines:
                shown.add_row(*map(Text, cells), style="" if ours else "dim")
            out.print(shown)
        for line in _below(one, sources):
            print_line(line)
    print_line(f"in {protocol.unit}; what differs from the published practice: tailwise bench list {protocol.name}")


def markdown_table(one: "BenchTable", *, every: bool) -> str:
    """A benchmark's tables as Markdown."""
    sources = _sources(one, every=every)
    parts = [f"### {one.benchmark}"]
    for metric in dict.fromkeys(metric for metric, _ in one.columns):
        headings, lines = _lines(one, metric, sources, every=every)
        rows = [
            headings,
            ["---", *["---:"] * (len(headings) - 1)],
            *([f"**{c[0]}**", *c[1:]] if ours else c for ours, c in lines),
        ]
        parts.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
    return "\n\n".join([*parts, "  \n".join(_below(one, sources))])


def _numbers(one: "BenchTable", *, every: bool) -> list["Published"]:
    """Published numbers that are shown."""
    beside = [number for row in one.rows for number in row.beside]
    return [*beside, *one.others] if every else beside


def _sources(one: "BenchTable", *, every: bool) -> dict[tuple[str, str], int]:
    """Sources with their notes, numbered."""
    found = dict.fromkeys((number.source, number.note) for number in _numbers(one, every=every))
    return {source: i for i, source in enumerate(found, start=1)}


def _below(one: "BenchTable", sources: Mapping[tuple[str, str], int]) -> list[str]:
    """What stands below a table."""
    lines = ["ours: mean over seeds and its 95 % interval by Student's t"]
    if sources:
        lines.append(
            "published: = inside the noise of ours (another run with our spread may well give it), ? where one seed or "
            "another protocol cannot tell"
        )
    if one.changed:
        lines.append(f"not as the protocol has it: {', '.join(one.changed)}")
    return lines + [f"[{i}] {source}{f': {note}' if note else ''}" for (source, note), i in sources.items()]


def _lines(
    one: "BenchTable", metric: str, sources: Mapping[tuple[str, str], int], *, every: bool
) -> tuple[list[str], list[tuple[bool, list[str]]]]:
    """Headings, and lines of cells with whether they are ours."""
    from tailwise.bench.standings import SCORES

    regions = [region for of, region in one.columns if of == metric]
    headings = [SCORES[metric].heading, *(region.capitalize() for region in regions)]
    lines: list[tuple[bool, list[str]]] = []
    for row in one.rows:
        means = [row.means.get((metric, region)) for region in regions]
        seeds = max((mean.n for mean in means if mean is not None), default=0)
        lines.append((True, [f"{row.label}, {seeds} seed{'' if seeds == 1 else 's'}", *map(_ours, means)]))
        lines += _published(row.beside, metric, regions, sources, row)
    if every:
        lines += _published(one.others, metric, regions, sources, None)
    return headings, lines


def _published(
    numbers: Sequence["Published"],
    metric: str,
    regions: Sequence[str],
    sources: Mapping[tuple[str, str], int],
    row: "Row | None",
) -> list[tuple[bool, list[str]]]:
    """A line for each source of published numbers."""
    found: dict[str, dict[str, str]] = {}
    for number in numbers:
        if number.metric == metric:
            inside = row.verdict(number) if row else False
            mark = " ?" if inside is None else " =" if inside else ""
            label = f"  {number.label} [{sources[number.source, number.note]}]"
            found.setdefault(label, {})[number.region] = f"{number.value:g}{mark}"
    return [(False, [label, *(cells.get(region, "") for region in regions)]) for label, cells in found.items()]


def _ours(mean: "Mean | None") -> str:
    if mean is None:
        return "-"
    return f"{mean.value:.3g}" + ("" if mean.half is None else f" ± {mean.half:.2g}")
