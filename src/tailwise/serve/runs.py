"""The state of a run folder: finished, in progress, stopped, or broken with the reason."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from tailwise._checks import InputError, quoted
from tailwise._files import file_digest
from tailwise.metrics.confidence import Interval
from tailwise.runs.folder import CONFIG, HISTORY, METRICS, MODEL, TRADE_OFF
from tailwise.runs.set_aside import ASIDE, MANIFEST
from tailwise.serve.files import file_inside, read_lines, read_object

State = Literal["finished", "in progress", "stopped", "broken"]

_FORMAT = "tailwise-run-"
WATCHED = (CONFIG, MANIFEST, METRICS, HISTORY)
_LARGEST = 1e300
_LATEST = 2.5e11  # seconds since 1970, near the latest date that Python can represent
_STILL, _STILL_AT_START = 120.0, 600.0  # seconds without a new epoch after which a run counts as stopped


@dataclass(frozen=True)
class Run:
    """A run folder.

    Args:
        id: path from the served folder, with ``/``; ``.`` for that folder itself.
        folder: path of the folder.
        state: finished, in progress, stopped (unfinished and not updated for some time), or broken.
        changed: time of finishing, or of the last change, seconds since 1970.
        reason: reason why the run is broken.
        target: target column, the unit of the errors.
        method: method string, and the transform of the target if there is one.
        label: label of the run: model and method.
        model: model, or encoder of a network.
        data: name of the table.
        seed: seed of the training.
        metrics: ``metrics.json`` by region; empty for an unfinished run.
        trade_off: ``trade_off.json``; empty for a run without distributions.
        history: records of epochs, or of rounds of boosting.
        config: ``config.json``.
    """

    id: str
    folder: Path
    state: State
    changed: float
    reason: str = ""
    target: str = ""
    method: str = ""
    label: str = ""
    model: str = ""
    data: str = ""
    seed: int | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    trade_off: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    def error(self, region: str, metric: str = "mae") -> Interval | None:
        """Return a metric of a region's test rows with its interval, if the run has it."""
        saved = _mapping(_mapping(self.metrics.get(region)).get(metric))
        value = finite(saved.get("value"))
        return None if value is None else Interval(value, finite(saved.get("low")), finite(saved.get("high")))

    def dial(self) -> list[tuple[float, float, float]]:
        """Return the balance, and the MAE where rows are many and where they are few, of each point of its curve."""
        points = []
        curve = self.trade_off.get("curve")
        for point in curve if isinstance(curve, list) else []:
            mae = _mapping(_mapping(point).get("mae"))
            many, few = (finite(_mapping(mae.get(name)).get("value")) for name in ("many", "few"))
            balance = finite(_mapping(point).get("balance"))
            if balance is not None and many is not None and few is not None:
                points.append((balance, many, few))
        return points

    @property
    def file(self) -> str:
        """Name of the table without its folders."""
        return self.data.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]

    def rows(self, region: str) -> int:
        """Return the number of test rows of a region."""
        return int(finite(_mapping(self.metrics.get(region)).get("n")) or 0)

    @property
    def epochs(self) -> int:
        """Number of finished epochs over all stages."""
        return len(self.history)

    @property
    def token(self) -> str:
        """A text that changes whenever the run does."""
        return f"{self.state} {self.changed:.6f} {self.epochs}"

    @property
    def step(self) -> str:
        """Name of a step of the history: epoch, round of boosting, or one of several models, as in the progress bar."""
        if any(line.get("terms") for line in self.history):
            return "epoch"
        return "model" if self.history and all(line.get("lr") == 0 for line in self.history) else "round"


def read_run(root: Path, folder: Path, name: str, stamp: tuple[Any, ...]) -> Run | None:
    """Return the run in a folder; ``None`` if the files are another program's.

    Args:
        root: the served folder, resolved.
        folder: folder of the run.
        name: id of the run.
        stamp: stamp of each watched file, ``None`` for an absent file.
    """
    if not _ours(root, folder, stamp):
        return None
    changed = seconds(stamp[1] or max(known for known in stamp if known is not None))
    try:
        config = read_object(root, folder / CONFIG)
        if not str(config.get("format", "")).startswith(_FORMAT):
            raise InputError(f"{CONFIG} is not that of a run")
        finished = stamp[1] is not None
        named = _named(root, folder) if finished else {}
        history = tuple(read_lines(root, folder / HISTORY)) if stamp[3] is not None else ()
        metrics = read_object(root, folder / METRICS) if finished else {}
        trade_off = read_object(root, folder / TRADE_OFF) if finished and (folder / TRADE_OFF).exists() else {}
        _check_unaltered(root, folder, named)
    except InputError as mistake:
        return Run(name, folder, "broken", changed, reason=str(mistake))
    method, model = _mapping(config.get("method")), _mapping(config.get("model"))
    seed = _mapping(config.get("recipe")).get("seed")
    return Run(
        name,
        folder,
        "finished" if finished else "in progress",
        changed,
        target=_word(", ".join(map(str, named)) if isinstance(named := config.get("target", ""), list) else named),
        method=_method(method, model) + _of_target(config),
        label=_word(config.get("label") or method.get("name", "")),
        model=_word(model.get("encoder") or model.get("name", "")),
        data=_word(_mapping(config.get("data")).get("name", "")),
        seed=seed if isinstance(seed, int) else None,
        metrics=metrics,
        trade_off=trade_off,
        history=history,
        config=config,
    )


def _ours(root: Path, folder: Path, stamp: tuple[Any, ...]) -> bool:
    """Return whether a folder with ``config.json`` or ``manifest.json``, common names, is a run of ours."""
    for name in (CONFIG, MANIFEST):
        try:
            if str(read_object(root, folder / name).get("format", "")).startswith(_FORMAT):
                return True
        except InputError:
            if name == CONFIG and stamp[0] is not None and any(stamp[1:]):
                return True  # damaged, but next to other files of a run
    return False


def _named(root: Path, folder: Path) -> Mapping[str, Any]:
    """Return the digests of the files of a finished run, all of which are there."""
    named = _mapping(read_object(root, folder / MANIFEST).get("sha256"))
    missing = [str(name) for name in named if not (folder / name).is_file()]
    if missing and (folder / ASIDE).is_dir():
        raise InputError("an interrupted overwriting; tailwise predict or evaluate puts its files back")
    if missing:
        raise InputError(f"missing {quoted(missing, most=3)}")
    return named


def _check_unaltered(root: Path, folder: Path, named: Mapping[str, Any]) -> None:
    altered = [str(name) for name, digest in named.items() if _digest(root, folder / name) != digest]
    if altered:
        raise InputError(f"altered after it finished: {quoted(altered, most=3)}")


def _digest(root: Path, path: Path) -> str:
    real = file_inside(root, path)
    return _known_digest(real, *stamp_of(real))


@lru_cache(maxsize=16_384)
def _known_digest(real: Path, _written: int, _size: int) -> str:
    try:
        return file_digest(real)
    except OSError as error:
        raise InputError(f"{real.name} cannot be read: {error.strerror}") from error


def stamps_in(folder: Path) -> tuple[tuple[int, int], ...]:
    """Return the stamps of all files of a finished run, which tell whether one was altered."""
    return tuple(stamp_of(path) for path in sorted((*folder.iterdir(), *(folder / MODEL).rglob("*"))))


def aged(run: Run) -> Run:
    """Return the run as of now: stopped if its next epoch is overdue."""
    if run.state != "in progress":
        return run
    took = finite(run.history[-1].get("seconds")) if run.history else None
    patience = _STILL_AT_START if took is None else max(_STILL, 3 * took)
    return replace(run, state="stopped") if time.time() - run.changed > patience else run


def stamp_of(path: Path) -> tuple[int, int]:
    """Return time of writing, in ns, and size of a file, which tell whether it has changed."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, -1
    return status.st_mtime_ns, status.st_size


def seconds(stamp: tuple[int, int]) -> float:
    """Return a stamp as seconds since 1970, within the range of dates."""
    return min(max(stamp[0] / 1e9, 0.0), _LATEST)


def _method(method: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Return the method of a run; a stack, whose experts are plain, is what ``--method auto`` asks for."""
    name = _word(method.get("name", ""))
    return "auto" if model.get("name") == "stack" and name == "vanilla" else name


def _of_target(config: Mapping[str, Any]) -> str:
    """Return the transform of the target as a method's name ends, empty if there is none."""
    transform = config.get("transform")
    return f" on {_word(transform)}" if isinstance(transform, str) and transform else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def finite(value: Any) -> float | None:
    """Return a number of a file as a float; ``None`` for other values, infinity and NaN.

    >>> finite(3), finite(float("nan")), finite("3"), finite(True)
    (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LARGEST:
        return None
    return float(value)


def _word(value: Any) -> str:
    """Return a value of a file as valid UTF-8 text."""
    return str(value).encode("utf-8", "replace").decode()
