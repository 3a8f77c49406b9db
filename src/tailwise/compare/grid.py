"""Run a grid of trainings, tables x entries x seeds: resumable cell by cell, in parallel over joblib."""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise._files import write_json
from tailwise._parallel import check_parallel, in_parallel
from tailwise.compare.cell import Cell, plain_cell, same_settings
from tailwise.compare.origins import rows_known
from tailwise.compare.parts_given import given_table
from tailwise.compare.predictions import Predictions
from tailwise.compare.shares import shares_tested
from tailwise.metrics.angles import angular_error
from tailwise.metrics.errors import weighted_median
from tailwise.metrics.region_errors import region_rows
from tailwise.metrics.remaining_life import nasa_score

if TYPE_CHECKING:
    import pandas as pd

    from tailwise.data.task import Task
    from tailwise.experiment.evaluate import PredictedPart

_FOLD = "tailwise fold"

Result = dict[str, Any]
EXTRA: dict[str, Callable[[NDArray[np.float64], NDArray[np.float64]], float]] = {"nasa": nasa_score}


def run_grid(
    cells: Iterable[Cell],
    folder: Path,
    *,
    jobs: int = 1,
    backend: str = "loky",
    read: Callable[[Cell, Path], Result | None] | None = None,
    run: Callable[[Cell, Path], tuple[Cell, Result]] | None = None,
) -> Iterator[tuple[Cell, Result]]:
    """Run the cells without a stored result, and yield the results of all cells.

    Args:
        cells: trainings to run.
        folder: folder of the results. A cell is not run again if the stored result has the same settings and its
            predictions are stored too.
        jobs: number of trainings in parallel; each has one thread if there are several.
        backend: of joblib, see :func:`tailwise._parallel.in_parallel`.
        read: function that returns the stored result of a cell, by default :func:`read_cell`.
        run: function that runs a cell, by default :func:`run_cell`.

    Yields:
        Cell and result, stored results first. A result has ``metrics`` by region, ``seconds``, ``rows`` of each part,
        the fractions ``tested`` (see :func:`tailwise.compare.shares.shares_tested`), and the SHA-256 of its
        ``predictions``, the file :meth:`Cell.predictions_file`; that of a failed cell has ``error``, is not stored, and
        the cell is run again by a later call.

    Raises:
        InputError: a backend that cannot be used, fewer than one job.
    """
    from joblib import delayed

    check_parallel(jobs, backend)
    read, run = read or read_cell, run or run_cell
    missing = []
    for cell in cells:
        stored = read(cell, folder)
        if stored is None:
            missing.append(cell)
        else:
            yield cell, stored
    calls = (delayed(run)(cell, folder) for cell in missing)
    yield from in_parallel(calls, jobs=jobs, backend=backend, in_order=False)


def read_cell(cell: Cell, folder: Path) -> Result | None:
    """Return the stored result of a cell with the same settings, if its predictions are stored unchanged."""
    result = read_result(cell, folder)
    try:
        digest = hashlib.sha256(cell.predictions_file(folder).read_bytes()).hexdigest()
    except OSError:
        return None
    return result if result is not None and result.get("predictions") == digest else None


def read_result(cell: Cell, folder: Path) -> Result | None:
    """Return the stored result of a cell with the same settings, with or without its predictions."""
    try:
        result: Result = json.loads(cell.file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if same_settings(result.get("cell"), cell) else None


def run_cell(cell: Cell, folder: Path) -> tuple[Cell, Result]:
    """Train one cell and write its predictions and its result; a failed cell gives its error and writes nothing."""

    def train(cell: Cell) -> Result:
        result, predictions = _trained(cell)
        cell.file(folder).parent.mkdir(parents=True, exist_ok=True)
        return {**result, "predictions": predictions.write(cell.predictions_file(folder))}

    return run_with(train, cell, folder)


def run_with(train: Callable[[Cell], Result], cell: Cell, folder: Path) -> tuple[Cell, Result]:
    """Train one cell and write its result; a failed cell gives its error, so that the other cells continue."""
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result = train(cell)
    except InputError as error:
        return cell, {"cell": plain_cell(cell), "error": str(error)}
    except Exception as error:  # a bug in one cell must not discard the results of the others
        return cell, {"cell": plain_cell(cell), "error": f"{type(error).__name__}: {error}"}
    cell.file(folder).parent.mkdir(parents=True, exist_ok=True)
    result = {"cell": plain_cell(cell), **result, "seconds": time.perf_counter() - started}
    write_json(cell.file(folder), result)
    return cell, result


def _trained(cell: Cell) -> tuple[dict[str, Any], Predictions]:
    from tailwise.experiment.evaluate import evaluate
    from tailwise.experiment.fit import fit

    task, position = _task(cell)
    epochs: list[Any] = []
    model = fit(task, cell.entry.with_recipe(seed=cell.seed), on_epoch=epochs.append)
    evaluation = evaluate(model, task, resamples=0)
    predicted, metrics = evaluation.predicted, evaluation.metrics()
    if cell.angles:
        angles = angular_error(predicted.y, predicted.pred)
        for name, chosen in region_rows(predicted.y, task.shots).items():
            metrics[name] |= {"angular": float(angles[chosen].mean())} if chosen.any() else {}
    if cell.extra:
        for name, chosen in region_rows(predicted.y, task.shots).items():
            score = EXTRA[cell.extra]
            metrics[name] |= {cell.extra: score(predicted.y[chosen], predicted.pred[chosen])} if chosen.any() else {}
    result = {
        "metrics": metrics,
        "coverage": {name: region.to_json() for name, region in (evaluation.coverage or {}).items()},
        "rows": {part: task.count(part) for part in ("train", "val", "test")},
        "tested": shares_tested(task, again=task.split == "column" and cell.folds is None),
        **({"constant": _constant(task, predicted)} if predicted.y.ndim == 1 else {}),
        "epochs": len(epochs),
    }
    rows = position[predicted.row]
    return result, Predictions.of(rows, predicted.y, predicted.counted(), task.shots, predicted.weight)


def _constant(task: "Task", predicted: "PredictedPart") -> dict[str, float]:
    """Return the errors of the median of the training labels, by score of a comparison."""
    from tailwise.experiment.leaderboard import CONSTANT, Standing

    median = weighted_median(task.rows_of("train")[1], task.weight_of("train"))
    constant = predicted.counted(np.full(len(predicted.y), median))
    errors = Standing.of(CONSTANT, predicted.y, constant, task.shots, predicted.weight)
    return {"come": errors.as_rows_come, "evenly": errors.evenly, **errors.mae}


def _task(cell: Cell) -> tuple["Task", NDArray[np.int64]]:
    """Return the prepared table of a cell, and the position of each of its rows in the source.

    Rows of tables of parts follow those of the source; a limit of the number of rows is one of the source's rows.
    """
    from tailwise.experiment.prepare import prepare

    table = given_table(cell.data, cell.choices)
    source = table.source
    if cell.sha256 not in (None, source.sha256):
        raise InputError(f"{cell.data!r} has changed since the comparison began; run it again")
    frame = source.rows.frame()
    position, choices = np.arange(len(frame)), dict(cell.choices)
    if cell.choices.get("time") is not None:
        position = rows_known(frame, cell.choices, seed=cell.seed, most=cell.rows)
        frame, choices = frame.iloc[position].reset_index(drop=True), {**choices, "split": "time"}
    elif cell.rows is not None and len(frame) > cell.rows:
        position = np.sort(np.random.default_rng(cell.seed).choice(len(frame), cell.rows, replace=False))
        frame = frame.iloc[position].reset_index(drop=True)
    if cell.folds is not None:
        labelled = _target(frame, cell).notna().to_numpy()
        position = position[labelled]
        frame, choices = _with_fold(frame[labelled].reset_index(drop=True), cell)
    task = prepare(frame, [cell.target, *cell.also], seed=cell.seed, **{"folder": source.folder, **choices})
    return task, table.positions(position)


def _target(frame: "pd.DataFrame", cell: Cell) -> "pd.Series[float]":
    """Return the target of all rows, NaN where it is missing."""
    from tailwise.data.cell_rules import CellRules
    from tailwise.data.targets import target_reading, target_values

    return target_values(frame, cell.target, target_reading(frame, cell.target, CellRules.from_choices(cell.choices)))


def _with_fold(frame: "pd.DataFrame", cell: Cell) -> tuple["pd.DataFrame", dict[str, Any]]:
    """Return the table with a split column, one fold for test and one of the others for validation, and its choices."""
    from tailwise.model_selection import StratifiedRegressionKFold

    y = _target(frame, cell).to_numpy()
    folds = StratifiedRegressionKFold(cell.folds or 2, random_state=cell.seed)
    rest, test = list(folds.split(y.reshape(-1, 1), y))[cell.fold or 0]
    _, held = next(folds.split(y[rest].reshape(-1, 1), y[rest]))
    part = np.full(len(y), "train", dtype=object)
    part[test], part[rest[held]] = "test", "val"
    return frame.assign(**{_FOLD: part}), {**cell.choices, "split": "column", "split_column": _FOLD}
