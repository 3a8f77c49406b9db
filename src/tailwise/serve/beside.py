"""Compare runs: errors by region, and the paired change on equal test rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.labels.shots import Shots
from tailwise.metrics.confidence import Interval
from tailwise.metrics.headlines import as_rows_come
from tailwise.metrics.region_metrics import region_metrics
from tailwise.report.against import HEADLINES, Comparison, compare
from tailwise.runs.folder import MODEL, PREDICTIONS, open_run
from tailwise.runs.set_aside import MANIFEST
from tailwise.serve.files import file_inside, read_object
from tailwise.serve.runs import Run

MOST_RUNS = 8

_DESCRIPTION = "model.json"


@dataclass(frozen=True, eq=False)
class Tested:
    """Test rows of a finished run.

    Args:
        row: ``(n,)`` positions in the source, increasing.
        y_true: ``(n,)`` labels, target units.
        y_pred: ``(n,)`` predictions.
        shots: regions, from the training labels of the run.
        weight: ``(n,)`` how much each row counts; ``None`` where all count alike.
    """

    row: NDArray[np.int64]
    y_true: NDArray[np.float64]
    y_pred: NDArray[np.float64]
    shots: Shots
    weight: NDArray[np.float64] | None = None

    def same_rows(self, other: "Tested") -> bool:
        """Return whether another run was tested on the same rows with the same labels."""
        return np.array_equal(self.row, other.row) and np.array_equal(self.y_true, other.y_true)

    def same_regions(self, other: "Tested") -> bool:
        """Return whether another run has the same bins and regions."""
        ours, theirs = self.shots, other.shots
        return (
            np.array_equal(ours.scalar_bins.edges, theirs.scalar_bins.edges)
            and np.array_equal(ours.bin_codes, theirs.bin_codes)
            and (ours.gaps is None) == (theirs.gaps is None)
            and (ours.gaps is None or theirs.gaps is None or ours.gaps.to_json() == theirs.gaps.to_json())
        )


@dataclass(frozen=True)
class Column:
    """A run in a comparison.

    Args:
        run: the run.
        name: short name, unique in the comparison.
        tested: test rows, if they could be read.
        remark: reason why filled is no paired change, or another remark.
        errors: MAE by region.
        rows: test rows by region.
        changes: change against the first run by region and headline; empty if the test rows differ.
        headlines: errors as rows come and evenly over values, by the keys of
            :data:`tailwise.report.against.HEADLINES`.
    """

    run: Run
    name: str
    tested: Tested | None
    remark: str
    errors: Mapping[str, Interval]
    rows: Mapping[str, int]
    changes: Mapping[str, Comparison]
    headlines: Mapping[str, Interval]


def put_beside(root: Path, runs: Sequence[Run]) -> list[Column]:
    """Compare runs with the first of them.

    Args:
        root: the served folder, resolved.
        runs: two runs or more, the reference first.

    Raises:
        InputError: fewer than two different runs, more than eight, or a broken one.
    """
    if len({run.id for run in runs}) < 2:
        raise InputError("a comparison needs at least two runs; tick two or more in the list")
    if len(runs) > MOST_RUNS:
        raise InputError(f"at most {MOST_RUNS} runs can be shown beside each other, got {len(runs)}")
    for run in runs:
        if run.state == "broken":
            raise InputError(f"run {run.id!r} is broken: {run.reason}")
    names = short_names(runs)
    first = _column(root, runs[0], names[0], None)
    return [first, *(_column(root, run, name, first) for run, name in zip(runs[1:], names[1:], strict=True))]


def short_names(runs: Sequence[Run]) -> list[str]:
    """Return unique names of runs: labels, labels with seeds if labels repeat, or paths."""
    labels = [run.label or run.id for run in runs]
    if len(set(labels)) == len(runs):
        return labels
    seeded = [f"{label} (seed {run.seed})" for label, run in zip(labels, runs, strict=True)]
    return seeded if len(set(seeded)) == len(runs) else [run.id for run in runs]


def read_tested(root: Path, run: Run) -> Tested:
    """Return the test rows of a finished run with unaltered files.

    Raises:
        InputError: an unfinished run, or files that are missing, altered or of another kind.
    """
    if run.state != "finished":
        raise InputError(f"run {run.id!r} is not finished")
    manifest = file_inside(root, run.folder / MANIFEST).stat()
    predictions = file_inside(root, run.folder / PREDICTIONS).stat()
    return _read_tested(root, run.folder, manifest.st_mtime_ns, predictions.st_mtime_ns)


@lru_cache(maxsize=32)
def _read_tested(root: Path, folder: Path, _finished: int, _written: int) -> Tested:
    open_run(folder)
    description = read_object(root, file_inside(root, folder / MODEL / _DESCRIPTION))
    try:
        frame = pd.read_parquet(folder / PREDICTIONS)
        test = frame[frame["split"] == "test"].sort_values("row")
        if not pd.api.types.is_integer_dtype(test["row"]):
            raise TypeError("rows have no numbers")
        weight = test["weight"].to_numpy(np.float64) if "weight" in test else None
        return Tested(
            test["row"].to_numpy(np.int64),
            test["target"].to_numpy(np.float64),
            test["prediction"].to_numpy(np.float64),
            Shots.from_json(description["shots"]),
            weight,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the predictions of {folder.name!r} are not those of a table") from error


def _column(root: Path, run: Run, name: str, first: Column | None) -> Column:
    regions = [region for region in run.metrics if run.rows(region)]
    errors = {region: error for region in regions if (error := run.error(region)) is not None}
    rows = {region: run.rows(region) for region in regions}
    headlines = {key: error for key in HEADLINES if (error := run.error("all", key)) is not None}
    try:
        tested = read_tested(root, run)
    except InputError as mistake:
        return Column(run, name, None, str(mistake), errors, rows, {}, headlines)
    if first is None or first.tested is None:
        return Column(run, name, tested, "", errors, rows, {}, headlines)
    if run.target != first.run.target:
        remark = f"another target, {run.target}: nothing to compare"
        return Column(run, name, tested, remark, errors, rows, {}, headlines)
    if not tested.same_rows(first.tested):
        return Column(run, name, tested, "other test rows: no paired change", errors, rows, {}, headlines)
    remark = ""
    if not tested.same_regions(first.tested):
        remark = f"regions here are those of {first.name}"
        errors, rows, headlines = _by_regions_of(first.tested.shots, tested)
    return Column(run, name, tested, remark, errors, rows, _changes(tested, first.tested), headlines)


@lru_cache(maxsize=64)
def _changes(ours: Tested, theirs: Tested) -> Mapping[str, Comparison]:
    return compare(ours.y_true, ours.y_pred, theirs.y_pred, theirs.shots, weight=ours.weight)


@lru_cache(maxsize=64)
def _by_regions_of(shots: Shots, tested: Tested) -> tuple[dict[str, Interval], dict[str, int], dict[str, Interval]]:
    """Return errors and rows by region, and both headlines, by the regions and bins of another run."""
    by_region = region_metrics(tested.y_true, tested.y_pred, shots, sample_weight=tested.weight)
    filled = {region: metrics for region, metrics in by_region.items() if metrics.n}
    headlines = {
        "as_rows_come": as_rows_come(tested.y_true, tested.y_pred, shots, sample_weight=tested.weight),
        "bmae": by_region["all"].metrics["bmae"],
    }
    errors = {region: m.metrics["mae"] for region, m in filled.items()}
    return errors, {region: m.n for region, m in filled.items()}, headlines
