"""Print a comparison: errors and verdicts by table, mean ranks, conclusions."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.cli.flags import with_flags
from tailwise.cli.show import notes, out, print_line
from tailwise.compare.compared_scores import HEADINGS, SCORES
from tailwise.compare.comparison import GridComparison
from tailwise.compare.conclusions import conclusions
from tailwise.compare.ranks import Ranking
from tailwise.compare.statistics import BETTER, NO_DIFFERENCE, WORSE, Compared
from tailwise.compare.table_comparison import TableComparison

_RANKED = ("come", "few")  # the page has all scores
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def print_comparison(comparison: GridComparison, *, trainings: int, page: Path) -> None:
    """Print tables, ranks, conclusions and cost; failures as notes.

    Args:
        comparison: comparison of entries with a reference.
        trainings: number of trainings.
        page: path of the page.
    """
    for table in comparison.tables:
        out.print(compared_table(table, comparison.reference))
    for score, ranking in comparison.ranking.items():
        if score in _RANKED:
            out.print(ranks_table(score, ranking))
    for line in conclusions(comparison):
        print_line(with_flags(line))
    notes([f"{name} is left out: {reason}" for name, reason in comparison.left_out.items()])
    notes(
        [
            f"{table.n_failed[name]} trainings of {name} on {table.table} failed"
            f"{' and it is left out' if name not in table.scores else ''}: {reason}"
            for table in comparison.tables
            for name, reason in table.failed.items()
        ]
    )
    minutes = sum(comparison.seconds().values()) / 60
    print_line(f"{trainings} trainings, {minutes:.1f} minutes of computing: {page}")


def compared_table(table: TableComparison, reference: str) -> Table:
    """Return the errors of the reference and the changes of the other entries, with verdicts."""
    caption = (
        f"{reference}: mean error in units of {table.target}. Others: change from it; better and worse if "
        "significant, = if no difference, ? if one seed is inconclusive. Last line: what 80 % of such comparisons "
        "would find"
    )
    shown = Table(title=Text(f"{table.table}: {table.target}"), box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("", overflow="fold")
    for score in SCORES:
        shown.add_column(HEADINGS[score], justify="right")
    shown.add_column("seconds", justify="right")
    compared = {(one.method, one.region): one for one in table.compared}
    front = table.on_front()
    for name in table.scores:
        if name == reference:
            means = [table.mean(name, score) for score in SCORES]
            cells = [Text("-" if mean is None else number(float(f"{mean:.3g}"))) for mean in means]
        else:
            cells = [_change(compared[name, score]) for score in SCORES]
        shown.add_row(Text(name + (" *" if front.get(name) else "")), *cells, f"{table.seconds[name]:.0f}")
    if table.constant:
        shown.add_row(Text("constant", style="dim"), *(_constant(table, reference, score) for score in SCORES), "")
    smallest = table.smallest_found()
    if smallest:
        could = [Text("-" if score not in smallest else f"{smallest[score]:.0f} %", style="dim") for score in SCORES]
        shown.add_row(Text("smallest difference found", style="dim"), *could, "")
    dominance = "*: no other has smaller many-shot and few-shot errors" if any(front.values()) else ""
    shown.caption = Text(". ".join(filter(None, (caption, dominance))))
    return shown


def _constant(table: TableComparison, reference: str, score: str) -> Text:
    """Return the change of the constant's error from the reference's."""
    mean, error = table.mean(reference, score), table.constant.get(score)
    return Text(f"{100 * (error / mean - 1):+.0f} %" if mean and error is not None else "-", style="dim")


def _change(one: Compared) -> Text:
    percent = one.paired.percent
    if percent is None:
        return Text("-")
    styles = {BETTER: "bold green", WORSE: "bold red"}
    sign = "=" if one.verdict == NO_DIFFERENCE else one.verdict if one.verdict in styles else "?"
    return Text(f"{percent:+.0f} % {sign}", style=styles.get(one.verdict, ""))


def ranks_table(score: str, ranking: Ranking) -> Table:
    """Return the mean ranks over tables, with letters for groups that do not differ."""
    distance = number(float(f"{ranking.critical_difference:.2g}"))
    caption = Text(f"{len(ranking.tables)} tables; ranks closer than {distance} do not differ (Nemenyi)")
    title = Text(f"mean ranks, {HEADINGS[score].lower()}")
    shown = Table(title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column("")
    shown.add_column("mean rank", justify="right")
    shown.add_column("alike")
    letters = {group: _LETTERS[i % len(_LETTERS)] for i, group in enumerate(ranking.groups)}
    for name, rank in ranking.mean_ranks.items():
        shown.add_row(Text(name), f"{rank:.2f}", "".join(letter for group, letter in letters.items() if name in group))
    return shown
