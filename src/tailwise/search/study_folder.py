"""The folder of a study: its settings, its journal, and the report with trials and outcome."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise._files import UNFINISHED, names_besides, write_json, write_text
from tailwise.backends.names import STACK
from tailwise.data.task import Task
from tailwise.report.trial_charts import ShownTrial
from tailwise.report.tune_page import tune_page
from tailwise.runs.package_versions import versions
from tailwise.search.aim import Aim
from tailwise.search.outcome import Outcome
from tailwise.search.space import Space, stored_settings
from tailwise.search.study import Search, Trial
from tailwise.search.train_command import settings_line
from tailwise.training.recipe import Recipe

REPORT, PAGE = "tune.json", "tune.html"
_FORMAT = "tailwise tune 1"
_PARAMETERS = {
    "data": "table",
    "target": "`target`",
    "table": "`bin_width`, `split`, `test`, `group`, `time`, `drop`, `nominal`, `numeric` or `date`",
    "space": "`method`, `model`, `encoder`, `transform`, `censored_below` or `censored_above`",
    "aim": "`minimise` or `within`",
    "recipe": "`seed` or `epochs`",
}


def study_settings(
    sha256: str, target: str, choices: Mapping[str, Any], space: Space, aim: Aim, recipe: Recipe
) -> dict[str, Any]:
    """Return what identifies a study, as JSON values; the device does not.

    Args:
        sha256: digest of the table's file.
        target: target column.
        choices: keywords of :func:`tailwise.experiment.prepare.prepare`.
        space: methods and parameters to vary.
        aim: error to minimise.
        recipe: recipe of all trials.
    """
    described = recipe if space.model == STACK else recipe.alone()
    return {
        "data": sha256,
        "target": target,
        "table": dict(choices),
        "space": space.described(),
        "aim": asdict(aim),
        "recipe": {name: value for name, value in asdict(described).items() if name != "device"},
    }


def open_search(
    table: Task,
    space: Space,
    aim: Aim,
    recipe: Recipe,
    *,
    settings: Mapping[str, Any],
    folder: Path,
    storage: str | None = None,
) -> Search:
    """Return the search of a folder, which is made unless it holds a study with the same settings.

    Args:
        table: a prepared table.
        space: methods and parameters to vary.
        aim: error to minimise.
        recipe: recipe of all trials.
        settings: see :func:`study_settings`.
        folder: folder of the study.
        storage: see :class:`tailwise.search.study.Search`.

    Raises:
        InputError: a folder with other content or with a study of other settings, a storage that cannot be opened.
            Nothing is left in a new folder.
    """
    is_new = not names_besides(folder)
    _open_folder(folder, settings)
    try:
        return Search(table, space, aim, recipe, settings=settings, folder=folder, storage=storage)
    except InputError:
        if is_new:
            shutil.rmtree(folder)  # the lock in it too, which its holder no longer needs
        raise


def write_report(
    folder: Path, search: Search, settings: Mapping[str, Any], outcome: Outcome, command: str, *, seeds: int
) -> Path:
    """Write ``tune.json`` and the page, with the settings, trials and outcome of a study; return the page's path.

    Args:
        folder: folder of the study.
        search: the search with its trials.
        settings: see :func:`study_settings`.
        outcome: test errors of the best settings and of vanilla.
        command: command that trains the best settings.
        seeds: number of trainings that were tested.
    """
    best = search.best()
    rows = "out of fold" if search.space.model == STACK else "validation"
    inner = {
        "rows": f"{rows}; the best score was chosen for being the best, so it is too good",
        "vanilla": search.vanilla,
        "best": search.vanilla if best is None else best.errors,
    }
    report = {
        "format": _FORMAT,
        "settings": settings,
        "best": {
            "trial": None if best is None else best.number,
            **stored_settings(search.best_settings(), search.recipe),
        },
        "command": command,
        "inner": inner,
        "outer": {"rows": "test; no trial saw them", **outcome.to_json()},
        "trials": [asdict(trial) for trial in search.trials()],
        "versions": versions(),
    }
    write_json(folder / REPORT, report)
    write_text(folder / PAGE, _page(search, outcome, command, seeds))
    return folder / PAGE


def _page(search: Search, outcome: Outcome, command: str, seeds: int) -> str:
    best, aim, target = search.best(), search.aim, search.table.schema.target
    return tune_page(
        [_shown(search, trial) for trial in search.trials()],
        outcome,
        best=None if best is None else best.number,
        command=command,
        vanilla=search.vanilla,
        minimise=aim.minimise,
        within=aim.within,
        target=target,
        title=f"{target}: search of methods and parameters",
        seeds=seeds,
        plain=search.space.plain_method,
    )


def _shown(search: Search, trial: Trial) -> ShownTrial:
    drawn = None if trial.drawn is None else search.space.stored(trial.drawn, search.recipe)
    words = "" if drawn is None else settings_line(drawn, search.recipe)
    overall = (trial.errors or {}).get("mae")
    score = None if trial.state == "failed" else trial.value
    return ShownTrial(trial.number, words, trial.state, score, overall, trial.allowed, trial.failed)


def _open_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder, or raise unless it is empty or holds a study with these settings."""
    report = folder / REPORT
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{str(folder)!r} is a file; `out` must name a folder")
    plain = json.loads(json.dumps(settings))
    if report.is_file():
        saved = _saved_settings(report)
        differ = [_PARAMETERS[name] for name in plain if saved.get(name) != plain[name]]
        if differ:
            raise InputError(
                f"{str(folder)!r} holds a study with another {', '.join(differ)}; go on with the same settings, or "
                "choose another `out`"
            )
        return
    if names_besides(folder, REPORT + UNFINISHED):
        raise InputError(f"{str(folder)!r} is not empty and holds no study; choose another `out`")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(report, {"format": _FORMAT, "settings": plain})
    except OSError as error:
        raise InputError(f"cannot write to {str(folder)!r}: {error.strerror}") from error


def _saved_settings(report: Path) -> dict[str, Any]:
    try:
        saved = json.loads(report.read_text(encoding="utf-8"))
        if saved["format"] != _FORMAT:
            raise ValueError
        return dict(saved["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(report)!r} is no report of a study; choose another `out`") from error
