"""The page of a comparison: one self-contained page."""

from importlib.metadata import version

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from tailwise._numbers import number
from tailwise.bench.comparison import SCORES, GridComparison, TableComparison
from tailwise.report.charts import INK, chart

_WORST = 60.0  # percent at which the colours end


def compare_page(comparison: GridComparison, title: str) -> str:
    """The page of a comparison as HTML text.

    Args:
        comparison: entries beside a reference.
        title: of the page.
    """
    environment = Environment(
        loader=PackageLoader("tailwise.report"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": lambda value: number(float(f"{value:.3g}"))}
    tables = [
        {
            "found": table,
            "said": {(one.method, one.region): one for one in table.compared},
            "front": table.on_front(),
            "heat": Markup(heat_chart(table)) if table.compared else None,
            "trade": Markup(trade_chart(table, comparison.reference)) if len(table.on_front()) > 1 else None,
        }
        for table in comparison.tables
    ]
    return environment.get_template("compare.html").render(
        title=title,
        comparison=comparison,
        tables=tables,
        scores=list(SCORES),
        verdict=_verdict(comparison),
        tallies=comparison.tallies(),
        version=version("tailwise"),
    )


def _verdict(comparison: GridComparison) -> list[str]:
    """What can be concluded, in plain sentences."""
    if comparison.seeds == 1:
        return ["One seed was run: nothing can be concluded. Use --seeds 5."]
    said = []
    for table in comparison.tables:
        real = [one for one in table.compared if one.verdict in ("better", "worse")]
        where = f"On {table.table} " if len(comparison.tables) > 1 else ""
        if not real:
            nothing = f"no entry differs from {comparison.reference} by more than chance explains."
            said.append(where + nothing if where else nothing[0].upper() + nothing[1:])
        for one in real:
            region = "in the mean over bins" if one.region == "balanced" else f"over {one.region} rows"
            if one.region in ("many", "medium", "few"):
                region = f"where training rows are {one.region}"
            change = f" ({one.paired.percent:+.0f} %)" if one.paired.percent is not None else ""
            said.append(f"{where}{one.method} is {one.verdict} than {comparison.reference} {region}{change}.")
    return said


def heat_chart(table: TableComparison) -> str:
    """Change of each score against the reference in percent, as colours with the numbers in them."""
    names = list(dict.fromkeys(one.method for one in table.compared))
    percent = np.full((len(names), len(SCORES)), np.nan)
    text: dict[tuple[int, int], str] = {}
    for one in table.compared:
        if one.paired.percent is not None:
            cell = names.index(one.method), list(SCORES).index(one.region)
            percent[cell] = one.paired.percent
            text[cell] = f"{one.paired.percent:+.0f} %" + ("" if one.verdict == "no difference" else f" {one.verdict}")
    with chart(7.5, 0.8 + 0.42 * len(names), numbers=False) as (_, axes, made):
        axes.imshow(percent, cmap="RdBu_r", vmin=-_WORST, vmax=_WORST, aspect="auto")
        for (row, column), words in text.items():
            dark = abs(percent[row, column]) > 0.6 * _WORST
            axes.text(column, row, words, ha="center", va="center", fontsize=9, color="white" if dark else "#222222")
        axes.grid(visible=False)
        axes.set_xticks(range(len(SCORES)), [score.capitalize() for score in SCORES])
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return made[0]


def trade_chart(table: TableComparison, reference: str) -> str:
    """Error where rows are many against error where they are few; the line joins the entries no other one beats."""
    points: dict[str, tuple[float, float]] = {}
    for name in table.on_front():
        many, few = table.mean(name, "many"), table.mean(name, "few")
        if many is not None and few is not None:
            points[name] = many, few
    front = sorted(points[name] for name, on in table.on_front().items() if on)
    with chart(7.5, 4.6) as (_, axes, made):
        axes.plot(*zip(*front, strict=True), color=INK, linewidth=1.0, linestyle="--", zorder=1)
        for i, (name, (many, few)) in enumerate(points.items()):
            on = (many, few) in front
            axes.scatter(
                [many],
                [few],
                s=36,
                color="#4477aa" if on else "#aa7744",
                zorder=2,
                marker="D" if name == reference else "o",
            )
            axes.annotate(
                name, (many, few), xytext=(5, 5 if i % 2 else -10), textcoords="offset points", fontsize=8, color=INK
            )
        axes.margins(x=0.18)
        axes.set_xlabel(f"MAE where rows are many ({table.target})")
        axes.set_ylabel(f"MAE where rows are few ({table.target})")
    return made[0]
