"""Print a benchmark: its protocol as text, and its results next to the published numbers, also as Markdown."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tailwise.cli.flags import with_flags

if TYPE_CHECKING:
    from tailwise.bench.protocols.base import Protocol
    from tailwise.bench.published import Published
    from tailwise.bench.standings import BenchTable, Mean, Row

# A line of a table: whether it is ours, and its cells.
Line = tuple[bool, list[str]]


def protocol_text(protocol: "Protocol") -> str:
    """Return all about a protocol as text."""
    recipe = ", ".join(f"{key}={value}" for key, value in protocol.recipe.items()) or "the library's defaults"
    published = [f"{part}.{key}={value}" for part, params in protocol.parts.items() for key, value in params.items()]
    parts = ", ".join(published) or "the library's defaults"
    lines = [
        f"{protocol.name}: {protocol.title}",
        "",
        f"source   {protocol.source}",
        f"data     {with_flags(protocol.layout)}",
        f"unit     {protocol.unit}",
        f"metrics  {', '.join(protocol.metrics)} of {', '.join(protocol.regions)}",
        f"recipe   {recipe}",
        f"loss     {protocol.loss or 'mse'}",
        f"parts    {parts}",
        f"methods  {' '.join(protocol.methods)}",
        *([f"--small  {', '.join(protocol.small)}"] if protocol.small else []),
        "",
        "differences from the published practice, known or possible",
        *(f"  - {with_flags(line)}" for line in protocol.deviations),
    ]
    return "\n".join(lines)


def show_tables(protocol: "Protocol", tables: Sequence["BenchTable"], *, every: bool) -> None:
    """Print the tables of a protocol, one per metric, with notes and sources below.

    Args:
        protocol: the benchmark.
        tables: results and published numbers.
        every: whether to show published methods that were not run.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from tailwise.cli.show import out, print_line

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
        for line in _footnotes(one, sources):
            print_line(line)
    print_line(f"in {protocol.unit}; differences from the published practice: tailwise bench list {protocol.name}")


def markdown_table(one: "BenchTable", *, every: bool) -> str:
    """Return a benchmark's tables as Markdown.

    Args:
        one: results and published numbers.
        every: whether to show published methods that were not run.
    """
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
    return "\n\n".join([*parts, "  \n".join(_footnotes(one, sources))])


def failures(tables: Sequence["BenchTable"]) -> list[str]:
    """Return a line for each method with a failed training."""
    return [
        f"{table.benchmark}, {row.label} failed: {row.failed}" for table in tables for row in table.rows if row.failed
    ]


def _sources(one: "BenchTable", *, every: bool) -> dict[tuple[str, str], int]:
    """Return the sources of the published numbers that are shown, with their notes, numbered from 1."""
    numbers = [number for row in one.rows for number in row.beside] + (list(one.others) if every else [])
    sources = dict.fromkeys((number.source, number.note) for number in numbers)
    return {source: i for i, source in enumerate(sources, start=1)}


def _footnotes(one: "BenchTable", sources: Mapping[tuple[str, str], int]) -> list[str]:
    lines = ["ours: mean over seeds and its 95 % interval by Student's t"]
    if sources:
        lines.append(
            "published: = within the noise of ours (the prediction interval of one run), ? where one seed or another "
            "protocol is inconclusive"
        )
    if one.changed:
        lines.append(f"not as the protocol has it: {', '.join(one.changed)}")
    return lines + [f"[{i}] {source}{f': {note}' if note else ''}" for (source, note), i in sources.items()]


def _lines(
    one: "BenchTable", metric: str, sources: Mapping[tuple[str, str], int], *, every: bool
) -> tuple[list[str], list[Line]]:
    """Return the headings and the lines of a metric's table."""
    from tailwise.bench.standings import SCORES

    regions = [region for name, region in one.columns if name == metric]
    headings = [SCORES[metric].heading, *(region.capitalize() for region in regions)]
    lines: list[Line] = []
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
) -> list[Line]:
    """Return a line for each source of published numbers."""
    by_label: dict[str, dict[str, str]] = {}
    for number in numbers:
        if number.metric == metric:
            inside = row.verdict(number) if row else False
            mark = " ?" if inside is None else " =" if inside else ""
            label = f"  {number.label} [{sources[number.source, number.note]}]"
            by_label.setdefault(label, {})[number.region] = f"{number.value:g}{mark}"
    return [(False, [label, *(cells.get(region, "") for region in regions)]) for label, cells in by_label.items()]


def _ours(mean: "Mean | None") -> str:
    if mean is None:
        return "-"
    return f"{mean.value:.3g}" + ("" if mean.half is None else f" ± {mean.half:.2g}")
