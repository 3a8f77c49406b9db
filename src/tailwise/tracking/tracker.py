"""The protocol of trackers, and the choice of one by name."""

import importlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tailwise._checks import InputError, did_you_mean
from tailwise.training.epoch import Epoch

TRACKERS: Mapping[str, str] = {name: f"tailwise.tracking.{name}:open_tracker" for name in ("mlflow", "wandb")} | {
    "tensorboard": "tailwise.tracking.board:open_tracker"
}
_RULE = "`track` takes NAME=WHERE, NAME one of mlflow, wandb and tensorboard and WHERE a folder, as in mlflow=tracked"


class Tracker(Protocol):
    """A run in a store."""

    def log(self, metrics: Mapping[str, float], step: int, /) -> None:
        """Add metrics of an epoch."""

    def finish(self, metrics: Mapping[str, float], /) -> None:
        """Add the metrics of the test rows and end the run."""

    def fail(self) -> None:
        """End the run as one that failed."""


def tracker_named(track: str) -> tuple[str, str]:
    """Return name and place of ``NAME=WHERE``.

    Raises:
        InputError: another name, or no place.

    Example:
        >>> tracker_named("mlflow=tracked")
        ('mlflow', 'tracked')
    """
    name, _, where = track.partition("=")
    if name not in TRACKERS:
        raise InputError(f"{_RULE}, got {track!r}{did_you_mean(name, TRACKERS)}")
    if not where.strip():
        raise InputError(f"{_RULE}, got {track!r}")
    if Path(where).is_file():
        raise InputError(f"{_RULE}; {where!r} is a file")
    return name, where.strip()


def open_tracker(track: str, run: str, settings: Mapping[str, Any]) -> Tracker:
    """Start a run in a store.

    Args:
        track: ``NAME=WHERE``: the store, and a folder, which is made if need be.
        run: name of the run.
        settings: what is trained, as ``config.json`` of a run has it; nested names are joined by points.

    Raises:
        InputError: a name or place that does not work, a missing package, a store that cannot be opened.
    """
    name, where = tracker_named(track)
    module, _, function = TRACKERS[name].partition(":")
    try:
        with _quiet():
            tracker: Tracker = getattr(importlib.import_module(module), function)(where, run, flat(settings))
    except ImportError as error:
        raise InputError(f"`track={name}` needs {error.name}: pip install 'tailwise[{name}]'") from error
    except (InputError, OSError):
        raise
    except Exception as error:  # every client has its own
        raise InputError(f"{name} cannot open {where!r}: {' '.join(str(error).split())[:150]}") from error
    return tracker


class TrackedRun:
    """A run in a store, with the epochs of a training and the errors of its test rows."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker, self._epochs = tracker, 0

    def epoch(self, epoch: Epoch) -> None:
        """Add an epoch: ``loss/TERM`` and ``validation/ERROR``, with the learning rate."""
        metrics = {f"loss/{name}": value for name, value in epoch.terms.items()}
        metrics |= {f"validation/{name}": value for name, value in epoch.validation.items()}
        with _quiet():
            self._tracker.log(metrics | {"lr": epoch.lr}, self._epochs)
        self._epochs += 1

    def finish(self, metrics: Mapping[str, Mapping[str, Any]]) -> None:
        """Add the errors of the test rows, ``test/REGION/METRIC``, and end the run.

        Args:
            metrics: by region, numbers by name.
        """
        flat_metrics = {f"test/{region}/{name}": float(v) for region, by in metrics.items() for name, v in by.items()}
        with _quiet():
            self._tracker.finish(flat_metrics)


@contextmanager
def tracked(track: str, run: str, settings: Mapping[str, Any]) -> Iterator[TrackedRun]:
    """Provide a run in a store, which ends as failed where the block raises; arguments as :func:`open_tracker`."""
    tracker = open_tracker(track, run, settings)
    try:
        yield TrackedRun(tracker)
    except BaseException:
        with _quiet():
            tracker.fail()
        raise


def flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested settings with one name each; lists are text.

    >>> flat({"recipe": {"lr": 0.1}, "target": ["a", "b"]})
    {'recipe.lr': 0.1, 'target': "['a', 'b']"}
    """
    settings_by_name: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            settings_by_name |= flat(value, f"{before}{name}.")
        else:
            plain = isinstance(value, str | int | float | None)
            settings_by_name[before + name] = value if plain else str(value)
    return settings_by_name


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings of a client, about itself, from the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
