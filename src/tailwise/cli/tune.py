"""``tailwise tune``: search methods and numbers on the validation rows, and judge what was found on the test rows."""

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, positive, whole
from tailwise.backends.names import MODELS
from tailwise.modalities.encoder_names import ENCODERS
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.data.task import Task
    from tailwise.search.outcome import Outcome
    from tailwise.search.space import Drawn
    from tailwise.search.study import Search, Trial

_WHAT, _AIM, _TABLE, _RUNS = "What is varied", "Aim", "Table", "Search"
_REPORT = "tune.json"
_FORMAT = "tailwise tune 1"
_OBJECTIVES = "few|medium|many|bmae|mae"
_SAID = {
    "data": "table",
    "target": "--target",
    "table": "--bin-width, --split, --group, --drop or --nominal",
    "space": "--method, --model or --encoder",
    "aim": "--minimise or --within",
    "recipe": "--seed or --epochs",
}
_TABLE_WORDS = {
    "bin_width": "--bin-width",
    "split": "--split",
    "group": "--group",
    "drop": "--drop",
    "nominal": "--nominal",
    "drop_missing_target": "--drop-missing-target",
}


def tune(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A CSV, TSV or Parquet file, or example:NAME.")],
    target: Annotated[str, typer.Option("--target", "-t", help="Column to predict.", rich_help_panel=_TABLE)],
    minimise: Annotated[
        str,
        typer.Option(
            "--minimise",
            metavar=_OBJECTIVES,
            help="Error on the validation rows: MAE of a region, mean over bins, or MAE over all.",
            rich_help_panel=_AIM,
        ),
    ] = "few",
    within: Annotated[
        str,
        typer.Option(
            "--within", help="Limit of the overall MAE above vanilla's: 2%, 0.02, or none.", rich_help_panel=_AIM
        ),
    ] = "2%",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="A method to try, its parameters varied. Repeatable.",
            show_default="ten",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="|".join(MODELS), help="What is trained.", rich_help_panel=_WHAT)
    ] = "network",
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            metavar="|".join(ENCODERS),
            help="An encoder to try. Repeatable.",
            show_default="mlp, mlp-ple",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", help="Trials the study shall have in all.", rich_help_panel=_RUNS)
    ] = 50,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", help="Seconds after which no trial is started.", rich_help_panel=_RUNS),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="Where the study is kept, for several machines at once: postgresql://..., sqlite:///FILE, or the path "
            "of a journal file.",
            show_default="study.journal in --out",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option("--seeds", help="Trainings of the best and of vanilla for the test rows.", rich_help_panel=_RUNS),
    ] = 3,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", help="Most epochs of a stage.", show_default="60", rich_help_panel=_RUNS),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.", rich_help_panel=_RUNS)] = 0,
    device: Annotated[
        str,
        typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to train.", rich_help_panel=_RUNS),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder to write; by default runs/tune-DATA. The same command again goes on with the study there.",
            rich_help_panel=_RUNS,
        ),
    ] = None,
    bin_width: Annotated[
        float | None, typer.Option("--bin-width", help="Width of the target's bins.", rich_help_panel=_TABLE)
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            metavar="auto|column|balanced|random",
            help="As for `tailwise train`; the test rows are kept from the search.",
            rich_help_panel=_TABLE,
        ),
    ] = "auto",
    group: Annotated[
        str | None, typer.Option("--group", help="Column whose groups are never split.", rich_help_panel=_TABLE)
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="Column to leave out. Repeatable.", rich_help_panel=_TABLE)
    ] = None,
    nominal: Annotated[
        list[str] | None,
        typer.Option("--nominal", help="Column to take as nominal. Repeatable.", rich_help_panel=_TABLE),
    ] = None,
    drop_missing_target: Annotated[
        bool, typer.Option("--drop-missing-target", help="Drop rows without a target.", rich_help_panel=_TABLE)
    ] = False,
) -> None:
    """Search for the method and numbers that serve a region best, without losing overall.

    Trials train on the training rows and are scored on the validation rows, whose score of the best is too good to be
    true; the best is then trained again, beside vanilla, and both are judged on test rows that no trial has seen.

    Example:  tailwise tune houses.csv --target price --minimise few --within 2% --trials 100
    """
    from tailwise.cli.show import notes, warnings_as_notes
    from tailwise.data.source import load_source
    from tailwise.experiment.prepare import prepare_table
    from tailwise.search.space import Drawn, Space
    from tailwise.search.study import Aim, Search, require_optuna

    require_optuna()
    whole(trials, "--trials", least=1)
    whole(seeds, "--seeds", least=1)
    if timeout is not None:
        positive(timeout, "--timeout")
    if epochs is not None and model != "network":
        raise InputError(f"--epochs is for networks; leave it out with --model {model}")
    aim = Aim(minimise, _share(within))
    with warnings_as_notes():
        space = Space.of(method or [], model, encoder or [])
    recipe = Recipe(
        epochs=Recipe.epochs if epochs is None else epochs,
        criterion="mae" if minimise == "mae" else "bmae",
        seed=seed,
        device=device,
    )
    choices: dict[str, Any] = {
        "bin_width": bin_width,
        "split": split,
        "group": group,
        "drop": drop or [],
        "nominal": nominal or [],
        "drop_missing_target": drop_missing_target,
    }
    source = load_source(data)
    table = prepare_table(source.rows, target, seed=seed, **choices)
    settings = {
        "data": source.sha256,
        "target": target,
        "table": choices,
        "space": asdict(space),
        "aim": asdict(aim),
        "recipe": {name: value for name, value in asdict(recipe).items() if name != "device"},
    }
    stem = data.removeprefix("example:").rsplit("/", 1)[-1].split(".")[0]
    folder = out or Path("runs") / f"tune-{stem}"
    fresh = not folder.exists()
    _check_folder(folder, settings)
    notes(source.notes + table.notes)
    try:
        search = Search(table, space, aim, recipe, settings=settings, folder=folder, storage=storage)
    except InputError:
        if fresh:
            shutil.rmtree(folder)
        raise
    _search(search, trials, timeout, folder)
    best = search.best()
    drawn = Drawn() if best is None or best.drawn is None else Drawn(**best.drawn)
    outcome = _outcome(search, drawn, seeds)
    command = shlex.join(
        ["tailwise", "train", data, "--target", target, *drawn.words(model), *_words(recipe, choices, model)]
    )
    _write(folder, settings, search, best, drawn, outcome, command)
    if seeds == 1:
        notes(["one training of each: the intervals speak of these two models on other rows, not of the methods"])
    _say(search, table, best, drawn, outcome, command, folder)


def _share(text: str) -> float | None:
    """A share such as 2%, 0.02, or none."""
    if text.strip().lower() == "none":
        return None
    number, percent, rest = text.strip().partition("%")
    try:
        if rest:
            raise ValueError
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise InputError(f"--within takes a share such as 2% or 0.02, or none, got {text!r}") from None


def _check_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder, or raise unless it is empty or holds a study of these settings."""
    report = folder / _REPORT
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file; --out must name a folder")
    plain = json.loads(json.dumps(settings))
    if report.is_file():
        try:
            known = json.loads(report.read_text(encoding="utf-8"))
            if known["format"] != _FORMAT:
                raise ValueError
            saved = known["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{str(report)!r} is no report of a study; choose another --out") from error
        differ = [_SAID[name] for name in plain if saved.get(name) != plain[name]]
        if differ:
            raise InputError(
                f"{str(folder)!r} holds a study with another {', '.join(differ)}; go on with the same settings, or "
                "choose another --out"
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{str(folder)!r} is not empty and holds no study; choose another --out")
    from tailwise.runs.folder import write_json

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(report, {"format": _FORMAT, "settings": plain})
    except OSError as error:
        raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error


def _search(search: "Search", trials: int, timeout: float | None, folder: Path) -> None:
    """Run the trials behind a bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tailwise.cli.show import err, notes

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
    ended = search.trials()
    if ended and all(trial.state == "failed" for trial in ended):
        raise InputError(f"all {len(ended)} trials failed, the first: {ended[0].failed}")


def _outcome(search: "Search", drawn: "Drawn", seeds: int) -> "Outcome":
    """Train what was found and vanilla from several seeds, and compare them on the test rows."""
    from tailwise.cli.show import err, warnings_as_notes
    from tailwise.search.outcome import judge, test_predictions
    from tailwise.search.space import Drawn

    names = [search.recipe.seed + i for i in range(seeds)]
    with err.status("training the best, and vanilla, for the test rows"), warnings_as_notes():
        vanilla = list(test_predictions(search, Drawn(), names))
        ours = vanilla if drawn == Drawn() else list(test_predictions(search, drawn, names))
    return judge(search, ours, vanilla)


def _words(recipe: Recipe, choices: Mapping[str, Any], model: str) -> list[str]:
    """Options of ``tailwise train`` for the rest: seed, epochs, and how the table is read."""
    words = ["--seed", str(recipe.seed), "--criterion", recipe.criterion]
    if model == "network" and recipe.epochs != Recipe.epochs:
        words += ["--epochs", str(recipe.epochs)]
    for name, option in _TABLE_WORDS.items():
        value = choices[name]
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [word for item in value for word in (option, item)]
        elif value not in (None, False, "auto"):
            words += [option, str(value)]
    return words


def _write(
    folder: Path,
    settings: Mapping[str, Any],
    search: "Search",
    best: "Trial | None",
    drawn: "Drawn",
    outcome: "Outcome",
    command: str,
) -> None:
    from tailwise.runs.folder import versions, write_json

    inner = {
        "rows": "validation; the best score was chosen for being the best, so it is too good",
        "vanilla": search.vanilla,
        "best": search.vanilla if best is None else best.errors,
    }
    report = {
        "format": _FORMAT,
        "settings": settings,
        "best": {"trial": None if best is None else best.number, **drawn.to_json()},
        "command": command,
        "inner": inner,
        "outer": {"rows": "test; no trial saw them", **outcome.to_json()},
        "trials": [asdict(trial) for trial in search.trials()],
        "versions": versions(),
    }
    write_json(folder / _REPORT, report)


def _say(
    search: "Search",
    table: "Task",
    best: "Trial | None",
    drawn: "Drawn",
    outcome: "Outcome",
    command: str,
    folder: Path,
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from tailwise._numbers import number
    from tailwise.cli.show import notes, out

    def short(value: float) -> str:
        return number(float(f"{value:.3g}"))

    ended = search.trials()
    states = [sum(trial.state == state for trial in ended) for state in ("complete", "pruned", "failed")]
    title = f"{drawn.method} beside vanilla: MAE on test rows that no trial saw"
    caption = Text(f"in units of {table.schema.target}; paired bootstrap over seeds and rows, 95 %")
    shown = Table("region", title=Text(title), caption=caption, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("n", "found", "vanilla", "change", "95 % interval"):
        shown.add_column(heading, justify="right")
    for name, beside in outcome.regions.items():
        low, high = beside.change.low, beside.change.high
        ends = "" if low is None or high is None else f"{short(low)} .. {short(high)}"
        percent = "-" if beside.percent is None else f"{beside.percent:+.1f} %"
        change = percent if beside.differs else f"no difference ({percent})"
        shown.add_row(name.capitalize(), f"{beside.n:,}", short(beside.ours), short(beside.vanilla), change, ends)
    if best is None:
        notes(["no trial is better than vanilla within the limit: vanilla it is"])
    out.print(shown)
    scores = [search.aim.value(search.vanilla), None if best is None else best.value]
    said = ", ".join(f"{name} {short(value)}" for name, value in zip(("vanilla", "best"), scores, strict=True) if value)
    out.print(
        f"{search.aim.minimise} on the validation rows, where the best was chosen (too good): {said}. {len(ended)} "
        f"trials: {states[0]} complete, {states[1]} pruned, {states[2]} failed.",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    out.print(command, highlight=False, markup=False, soft_wrap=True)
    out.print(f"report: {folder / _REPORT}", highlight=False, markup=False, soft_wrap=True)
