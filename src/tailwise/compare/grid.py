"""A grid of trainings, tables x entries x seeds: resumable cell by cell, in parallel over joblib."""

import hashlib
import json
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise._files import write_json
from tailwise.compare.predictions import Predictions
from tailwise.compare.shares import shares_tested
from tailwise.experiment.spec import Experiment
from tailwise.metrics.angles import angular_error
from tailwise.metrics.regions import region_rows

if TYPE_CHECKING:
    import pandas as pd

    from tailwise.data.task import Task

_FOLD = "tailwise fold"
_OF_SEVERAL = ("also", "angles")


@dataclass(frozen=True)
class Cell:
    """One training: a table, an entry, and the seed of the split and of everything random.

    Args:
        table: name of the table.
        data: file, or ``example:NAME``.
        target: target column.
        entry: what is trained.
        seed: of the split, and of the training.
        choices: how the table is prepared, see :func:`tailwise.experiment.prepare.prepare`.
        rows: most rows that are used, drawn by the seed; all if not given.
        fold: which of ``folds`` is tested; without folds the seed makes a split of its own.
        folds: folds of the table, each with rows of every region, drawn by the seed.
        sha256: of the file's bytes, where known: a result of other bytes is not taken for one of these.
        order: place of the entry among those that are compared.
        also: other target columns that are predicted together with it.
        angles: whether the targets are pitch and yaw in degrees, whose angular error is reported too.
    """

    table: str
    data: str
    target: str
    entry: Experiment
    seed: int
    choices: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    fold: int | None = None
    folds: int | None = None
    sha256: str | None = None
    order: int = 0
    also: tuple[str, ...] = ()
    angles: bool = False

    @property
    def split(self) -> tuple[int, int]:
        """What tells the cells of one entry apart: seed and fold."""
        return self.seed, -1 if self.fold is None else self.fold

    def file(self, folder: Path) -> Path:
        """Where the cell's result is."""
        name = re.sub(r"[^\w.+=-]+", "-", self.entry.name).strip("-")
        plain = self.entry.to_json()
        if plain["params"] or plain["recipe"]:  # which the name does not tell
            beside = json.dumps([plain["params"], plain["recipe"]], sort_keys=True, default=list)
            name += "-" + hashlib.sha256(beside.encode()).hexdigest()[:8]
        fold = "" if self.fold is None else f"-fold{self.fold}"
        return folder / self.table / f"{name}-{self.seed}{fold}.json"

    def predictions_file(self, folder: Path) -> Path:
        """Where the cell's test rows and predictions are, beside its result."""
        return self.file(folder).with_suffix(".npz")


Result = dict[str, Any]


def run_grid(
    cells: Iterable[Cell],
    folder: Path,
    *,
    jobs: int = 1,
    backend: str = "loky",
    read: "Callable[[Cell, Path], Result | None] | None" = None,
    run: "Callable[[Cell, Path], tuple[Cell, Result]] | None" = None,
) -> Iterator[tuple[Cell, Result]]:
    """Run the cells that are missing and give every cell's result as it is there.

    Args:
        cells: what to train.
        folder: where results are; a cell whose settings are those of the file there, with its predictions beside it, is
            not run again.
        jobs: trainings at once, each with one thread if there are several.
        backend: of joblib: ``"loky"``, or on a cluster ``"dask"``, ``"ray"``.
        read: gives the result that is there already, :func:`read_cell` if not given.
        run: runs a cell, :func:`run_cell` if not given.

    Yields:
        Cell and result: ``metrics`` by region, ``seconds``, ``rows`` of each part, the shares ``tested`` (see
        :func:`tailwise.compare.shares.shares_tested`), and the SHA-256 of its ``predictions``, the file
        :meth:`Cell.predictions_file`; or ``error`` for a cell that failed, which a later call tries again. First those
        that are there already.
    """
    from joblib import Parallel, delayed, parallel_config

    check_backend(backend)
    read, run = read or read_cell, run or run_cell
    missing = []
    for cell in cells:
        known = read(cell, folder)
        if known is None:
            missing.append(cell)
        else:
            yield cell, known
    threads = {"inner_max_num_threads": 1} if backend == "loky" and jobs > 1 else {}
    with parallel_config(backend=backend, n_jobs=jobs, **threads):
        found = Parallel(return_as="generator_unordered")(delayed(run)(cell, folder) for cell in missing)
        yield from found


def check_backend(name: str) -> None:
    """Raise unless joblib has a backend of this name that gives results as they come."""
    from joblib import Parallel, parallel_config

    try:
        if name == "ray":  # joblib knows it only after Ray has told it
            from ray.util.joblib import register_ray  # type: ignore[import-not-found]

            register_ray()
        with parallel_config(backend=name):
            Parallel(return_as="generator_unordered")
    except (ValueError, ImportError) as error:
        raise InputError(f"`backend` {name!r} cannot be used: {' '.join(str(error).split())}") from error


def read_cell(cell: Cell, folder: Path) -> dict[str, Any] | None:
    """The result of a cell that was run with the same settings, if there is one and its predictions are as written."""
    known = read_result(cell, folder)
    try:
        digest = hashlib.sha256(cell.predictions_file(folder).read_bytes()).hexdigest()
    except OSError:
        return None
    return known if known is not None and known.get("predictions") == digest else None


def read_result(cell: Cell, folder: Path) -> Result | None:
    """The result of a cell that was run with the same settings, whatever is beside it."""
    try:
        known: Result = json.loads(cell.file(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return known if _same_settings(known.get("cell"), plain_cell(cell)) else None


def _same_settings(known: Any, plain: dict[str, Any]) -> bool:
    """Return whether a result that is there has the settings of a cell, however the recipe was written."""
    try:
        return bool({**known, "entry": Experiment.from_json(known["entry"]).to_json()} == plain)
    except (TypeError, KeyError, InputError):
        return False


def run_cell(cell: Cell, folder: Path) -> tuple[Cell, Result]:
    """Train one cell and write its predictions and its result; of a failure only say it."""

    def train(cell: Cell) -> Result:
        result, predicted = _trained(cell)
        cell.file(folder).parent.mkdir(parents=True, exist_ok=True)
        return {**result, "predictions": predicted.write(cell.predictions_file(folder))}

    return run_with(train, cell, folder)


def run_with(train: Callable[[Cell], Result], cell: Cell, folder: Path) -> tuple[Cell, Result]:
    """Train one cell and write its result; of a failure only say it, so that the other cells go on."""
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            result = train(cell)
    except InputError as error:
        return cell, {"cell": plain_cell(cell), "error": str(error)}
    except Exception as error:  # a defect of one cell must not lose the hours of the others
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
    result = {
        "metrics": metrics,
        "coverage": {name: region.to_json() for name, region in (evaluation.coverage or {}).items()},
        "rows": {part: task.count(part) for part in ("train", "val", "test")},
        "tested": shares_tested(task),
        "epochs": len(epochs),
    }
    return result, Predictions.of(position[predicted.row], predicted.y, predicted.pred, task.shots)


def _task(cell: Cell) -> tuple["Task", NDArray[np.int64]]:
    """Return the prepared table of a cell, and the position of each of its rows in the source."""
    from tailwise.data.source import load_source
    from tailwise.data.targets import target_values
    from tailwise.experiment.prepare import prepare

    source = load_source(cell.data)
    if cell.sha256 not in (None, source.sha256):
        raise InputError(f"{cell.data!r} has changed since the comparison began; run it again")
    frame = source.rows.frame()
    position = np.arange(len(frame))
    if cell.rows is not None and len(frame) > cell.rows:
        position = np.sort(np.random.default_rng(cell.seed).choice(len(frame), cell.rows, replace=False))
        frame = frame.iloc[position].reset_index(drop=True)
    choices = dict(cell.choices)
    if cell.folds is not None:
        labelled = target_values(frame, cell.target).notna().to_numpy()
        position = position[labelled]
        frame, choices = _with_fold(frame[labelled].reset_index(drop=True), cell)
    task = prepare(frame, [cell.target, *cell.also], seed=cell.seed, **{"folder": source.folder, **choices})
    return task, position


def _with_fold(frame: "pd.DataFrame", cell: Cell) -> tuple["pd.DataFrame", dict[str, Any]]:
    """The table with a column that says train, val or test: one fold is tested, and one of the rest validates."""
    from tailwise.data.targets import target_values
    from tailwise.model_selection import StratifiedRegressionKFold

    y = target_values(frame, cell.target).to_numpy()
    folds = StratifiedRegressionKFold(cell.folds or 2, random_state=cell.seed)
    rest, test = list(folds.split(y.reshape(-1, 1), y))[cell.fold or 0]
    _, held = next(folds.split(y[rest].reshape(-1, 1), y[rest]))
    part = np.full(len(y), "train", dtype=object)
    part[test], part[rest[held]] = "test", "val"
    return frame.assign(**{_FOLD: part}), {**cell.choices, "split": "column", "split_column": _FOLD}


def plain_cell(cell: Cell) -> dict[str, Any]:
    """Return a cell as JSON gives it back, without its place among others, and without what is not set."""
    plain: dict[str, Any] = {one.name: getattr(cell, one.name) for one in fields(cell)} | {
        "entry": cell.entry.to_json()
    }
    del plain["order"]
    plain = json.loads(json.dumps(plain))
    return {name: value for name, value in plain.items() if name not in _OF_SEVERAL or value}
