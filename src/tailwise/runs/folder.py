"""The run folder: where training writes, and how a finished run is told from a broken one.

While training, the folder holds ``config.json``, ``history.jsonl`` and ``checkpoints/last``. A run is finished when
``manifest.json`` is there, which is written last and names every other file with its SHA-256.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError, name_nearby, quoted, shown
from tailwise._files import UNFINISHED, file_digest, names_besides, naming, sync, write_json, write_text
from tailwise._stored import read_stored, read_stored_lines
from tailwise.runs.lock import locked
from tailwise.runs.set_aside import (
    DISCARDED,
    MANIFEST,
    bring_back,
    discard,
    is_half_moved,
    put_aside,
    settle,
    whole_run_aside,
)

CONFIG, HISTORY, METRICS, INTERVALS, TRADE_OFF, LEADERBOARD, REFERENCES, OUTPUTS, PREDICTIONS, MAPS, REPORT = (
    "config.json",
    "history.jsonl",
    "metrics.json",
    "intervals.json",
    "trade_off.json",
    "leaderboard.json",
    "references.json",
    "outputs.json",
    "predictions.parquet",
    "predictions.npz",
    "report.html",
)
MODEL, CHECKPOINT, PACKING = "model", "checkpoints/last", "checkpoints/packing"

_TOP = (
    CONFIG,
    HISTORY,
    METRICS,
    INTERVALS,
    TRADE_OFF,
    LEADERBOARD,
    REFERENCES,
    OUTPUTS,
    PREDICTIONS,
    MAPS,
    REPORT,
    MODEL,
    "checkpoints",
    MANIFEST,
)
CACHE = "tailwise-cache"  # rows on disk while a folder of Parquet files is trained on
_FORMAT = "tailwise-run-1"
_SETTINGS: Any = {
    "format": str,
    "data": {"name": str, "sha256": str},
    "target": (str, [str]),
    "table": dict,
    "method": {"name": str, "parameters": dict},
    "model": dict,
    "label": str,
    "recipe": dict,
}
_EPOCH: Any = {"stage": int, "epoch": int, "of": int, "terms": dict, "validation": dict, "seconds": float, "best": bool}


def check_out(out: Path, *, overwrite: bool, resume: bool) -> None:
    """Raise unless a run may be written here; change nothing.

    Raises:
        InputError: a finished run without ``overwrite``, a folder with other things in it, nothing to resume.
    """
    if resume and overwrite:
        raise InputError("give `resume` or `overwrite`, not both")
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file; `out` must name a folder")
    started = _is_run(out)
    old = whole_run_aside(out) is not None or is_half_moved(out, _TOP)
    if not started and not old and names_besides(out, CACHE, DISCARDED, CONFIG + UNFINISHED):
        raise InputError(f"{str(out)!r} is not empty and holds no run; choose another `out`")
    if resume and not started:
        what = "a finished run" if old else "no run to resume; start without `resume`"
        raise InputError(f"{str(out)!r} holds {what}")
    if ((out / MANIFEST).exists() or (old and not started)) and not overwrite:
        raise InputError(f"{str(out)!r} already holds a finished run; pass `overwrite=True` or choose another `out`")
    if started and not (resume or overwrite):
        raise InputError(
            f"{str(out)!r} holds an unfinished run; pass `resume=True` to go on or `overwrite=True` to start again"
        )


@contextmanager
def locked_run(out: Path, *, overwrite: bool, resume: bool) -> Iterator[None]:
    """Hold the lock of a folder where a run may be written; rows on disk of a run that is not started are removed.

    Raises:
        InputError: as :func:`check_out` and :func:`tailwise.runs.lock.locked`.
    """
    check_out(out, overwrite=overwrite, resume=resume)
    with locked(out):
        check_out(out, overwrite=overwrite, resume=resume)  # another process may have finished a run meanwhile
        try:
            yield
        except InputError:
            if not resume:
                shutil.rmtree(out / CACHE, ignore_errors=True)
            raise


def check_same(out: Path, config: dict[str, Any]) -> None:
    """Raise unless the run to resume was started with these settings and the same data.

    Versions may differ, and so may the path of the data as long as its bytes are the same.
    """
    saved, now = read_settings(out), json.loads(json.dumps(config))
    differ = [key for key in now if key not in ("versions", "data") and saved.get(key) != now[key]]
    if saved.get("data", {}).get("sha256") != now["data"]["sha256"]:
        differ.insert(0, "data")
    if differ:
        raise InputError(
            f"{str(out)!r} was started with another {', '.join(differ)}; resume with the same settings, "
            "or choose another `out`"
        )


def start_run(out: Path, config: dict[str, Any]) -> None:
    """Write ``config.json`` and an empty history; a finished run there is put aside until this one is finished.

    Raises:
        InputError: a folder that cannot be written; a finished run in it is as it was.
    """
    try:
        settle(out, _TOP)
        if (out / MANIFEST).exists():
            put_aside(out, _TOP)
        _remove_run(out)
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / CONFIG, {"format": _FORMAT, **config})
        write_text(out / HISTORY, "")
    except OSError as error:
        with suppress(OSError):
            settle(out, _TOP)
            if not (out / MANIFEST).exists():  # else the finished run never left
                discard(out, HISTORY, CONFIG)
                bring_back(out)
        raise InputError(f"cannot write to {str(out)!r}: {error.strerror}") from error


def abandon_run(out: Path) -> None:
    """Remove a run that failed and bring back the finished one it was to replace."""
    _remove_run(out)
    shutil.rmtree(out / CACHE, ignore_errors=True)
    bring_back(out)


def target_columns(kind: str, targets: Sequence[str]) -> list[str]:
    """Columns of ``predictions.parquet`` for a value of each target.

    >>> target_columns("prediction", ["price"]), target_columns("prediction", ["pitch", "yaw"])
    (['prediction'], ['prediction_pitch', 'prediction_yaw'])
    """
    return [kind] if len(targets) == 1 else [f"{kind}_{name}" for name in targets]


def by_target(kind: str, values: NDArray[np.float64], targets: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Values of rows, ``(n,)`` or ``(n, K)``, as those columns."""
    return dict(zip(target_columns(kind, targets), np.atleast_2d(values.T), strict=True))


def trim_history(out: Path, epochs: int) -> None:
    """Keep the first lines of ``history.jsonl``: those of epochs that a checkpoint has."""
    path = out / HISTORY
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if len(lines) > epochs:
        write_text(path, "".join(line + "\n" for line in lines[:epochs]))


def append_history(out: Path, line: dict[str, Any]) -> None:
    """Add an epoch to ``history.jsonl``."""
    with naming(out / HISTORY), (out / HISTORY).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_history(out: Path) -> list[dict[str, Any]]:
    """Epochs of a run."""
    return read_stored_lines(out / HISTORY, _EPOCH)


def read_settings(out: Path) -> dict[str, Any]:
    """Return ``config.json`` of a run.

    Raises:
        InputError: a file that was edited so that it cannot be read.
    """
    return read_stored(out / CONFIG, _SETTINGS)


def write_model(out: Path, save: Callable[[Path], object]) -> None:
    """Write the model folder anew: an ended process may have left a part of one.

    Args:
        out: the run folder.
        save: writes into an empty folder.
    """
    discard(out, MODEL)
    with naming(out / MODEL):
        (out / MODEL).mkdir()
        save(out / MODEL)


def finish_run(out: Path) -> None:
    """Write the manifest that makes the run a finished one, and remove the one it replaces.

    Everything is on the disk before the manifest is, and the manifest before anything is removed.
    """
    names = _files(out)
    digests = {name: file_digest(out / name) for name in names}
    for path in (*(out / name for name in names), *_folders(out / MODEL), out):
        sync(path)
    write_json(out / MANIFEST, {"format": _FORMAT, "sha256": digests})
    sync(out / MANIFEST)
    sync(out)


def tidy(out: Path) -> None:
    """Remove what a finished run no longer needs: the run that it replaced, rows on disk.

    What cannot be removed stays for the next command that writes here.
    """
    with suppress(OSError):
        settle(out, _TOP)
    remove_cache(out)


def remove_cache(out: Path) -> None:
    """Remove rows that were put on disk, and the folder if it holds nothing else."""
    if (out / CACHE).exists():
        shutil.rmtree(out / CACHE, ignore_errors=True)
        if not any(out.iterdir()):
            out.rmdir()


def open_run(run: str | Path) -> Path:
    """Return the folder of a finished run whose files are as they were written.

    Until a run that overwrites another is finished, this is the folder of the old one. If a process ended while it
    moved files of a finished run, they are moved back.

    Raises:
        InputError: no run there, an unfinished one, or one with missing or altered files.
    """
    out = Path(run)
    if not out.is_dir():
        raise InputError(f"no run folder {str(run)!r}{name_nearby(out, folders=True)}")
    if is_half_moved(out, _TOP):
        with locked(out):
            settle(out, _TOP)
    out = whole_run_aside(out) or out
    if not (out / MANIFEST).is_file():
        what = "an unfinished run; go on with `resume=True`" if _is_run(out) else "no run"
        raise InputError(f"{str(run)!r} holds {what}")
    try:
        manifest = json.loads((out / MANIFEST).read_text("utf-8"))
        digests = {str(k): str(v) for k, v in manifest["sha256"].items()}
        written = str(manifest["format"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{str(out / MANIFEST)!r} cannot be read; train again") from error
    if written != _FORMAT:
        raise InputError(
            f"run {str(run)!r} has format {shown(written)}, and this version of tailwise reads {_FORMAT!r}; use the "
            "version that wrote it"
        )
    missing = [name for name in digests if not (out / name).is_file()]
    if missing:
        raise InputError(f"run {str(run)!r} is incomplete; missing {quoted(missing)}; train again")
    altered = [name for name, digest in digests.items() if file_digest(out / name) != digest]
    if altered:
        raise InputError(f"run {str(run)!r} was altered after it finished: {quoted(altered)}; train again")
    return out


def _is_run(out: Path) -> bool:
    """Whether a folder holds a run of ours, finished or not."""
    config = _read_config(out)
    return config is not None and config.get("format") == _FORMAT


def _read_config(out: Path) -> dict[str, Any] | None:
    try:
        config = json.loads((out / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def _remove_run(out: Path) -> None:
    """Remove what a run writes, and nothing else: what tells that it is a run last."""
    discard(out, *(name for name in reversed(_TOP) if name != CONFIG), CONFIG)


def _folders(root: Path) -> list[Path]:
    """Return a folder and all folders in it."""
    return [Path(folder) for folder, _, _ in os.walk(root)]


def _files(out: Path) -> list[str]:
    """Every file of a finished run but the manifest and what only serves resuming."""
    optional = (MAPS, INTERVALS, TRADE_OFF, LEADERBOARD, REFERENCES, OUTPUTS)
    of_kind = [name for name in optional if (out / name).is_file()]
    single = [CONFIG, HISTORY, METRICS, PREDICTIONS, *of_kind, REPORT]
    return single + sorted(str(path.relative_to(out).as_posix()) for path in (out / MODEL).rglob("*") if path.is_file())
