"""Show the trials of a search while they run, and print its outcome."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tailwise._numbers import number
from tailwise.backends.names import STACK
from tailwise.cli.show import err, notes, out, print_line
from tailwise.search.outcome import Outcome
from tailwise.search.study import Search


def run_trials(search: Search, trials: int, timeout: float | None, folder: Path) -> None:
    """Run trials behind a progress bar.

    Args:
        search: the search.
        trials: total number of trials of the study.
        timeout: seconds after which no trial is started.
        folder: folder of the study, named if the trials are interrupted.

    Raises:
        InputError: all trials failed.
    """
    columns = (
        TextColumn("trial"),
        MofNCompleteColumn(),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[best]}"),
        TimeRemainingColumn(compact=True),
    )
    try:
        with Progress(*columns, console=err) as progress:
            task = progress.add_task("", total=trials, completed=len(search.trials()), best="")
            for trial in search.run(trials, timeout=timeout):
                if trial.failed is not None:
                    notes([f"trial {trial.number} failed: {trial.failed}"])
                best = search.best()
                shown = "" if best is None else f"best {search.aim.minimise} {best.value:.4g}"
                progress.update(task, completed=min(len(search.trials()), trials), best=shown)
    except KeyboardInterrupt:
        notes([f"the trials that ended are kept in {folder}; the same command goes on"])
        raise
    search.check_success()


def print_study(search: Search, outcome: Outcome, *, command: str, report: Path) -> None:
    """Print the test errors of the best settings and of vanilla, the trials, and the command that trains the best.

    Args:
        search: the search with its trials.
        outcome: test errors.
        command: command that trains the best settings.
        report: path of the report.
    """
    best, plain = search.best(), search.space.plain_method
    if best is None:
        notes([f"no trial is better than {plain} within the limit: keeping {plain}"])
    best_settings = search.best_settings()
    name = best_settings.label(best_settings.method)
    out.print(outcome_table(outcome, name, search.table.schema.target, plain))
    scores = [(plain, search.aim.value(search.vanilla)), ("best", None if best is None else best.value)]
    shown = ", ".join(f"{name} {_short(score)}" for name, score in scores if score)
    trials = search.trials()
    states = [sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")]
    rows = "out of fold" if search.space.model == STACK else "on the validation rows"
    print_line(
        f"{search.aim.minimise} {rows}, where the best was chosen (too good): {shown}. {len(trials)} trials: "
        f"{states[0]} complete, {states[1]} pruned, {states[2]} failed."
    )
    print_line(command)
    print_line(f"report: {report}")


def outcome_table(outcome: Outcome, method: str, target: str, plain: str = "vanilla") -> Table:
    """Return the test MAE by region of a method and of vanilla, with the change and its interval."""
    title = Text(f"{method} and {plain}: MAE on test rows that no trial used")
    caption = Text(f"in units of {target}; paired bootstrap over seeds and rows, 95 %")
    shown = Table("region", title=title, caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("n", "best", plain, "change", "95 % interval"):
        shown.add_column(heading, justify="right")
    for name, region in outcome.regions.items():
        low, high = region.change.low, region.change.high
        ends = "" if low is None or high is None else f"{_short(low)} .. {_short(high)}"
        percent = "-" if region.percent is None else f"{region.percent:+.1f} %"
        change = percent if region.differs else f"no difference ({percent})"
        shown.add_row(name.capitalize(), f"{region.n:,}", _short(region.ours), _short(region.vanilla), change, ends)
    return shown


def _short(value: float) -> str:
    return number(float(f"{value:.3g}"))
