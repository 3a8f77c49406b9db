"""Runs in Weights & Biases, written to a folder; ``wandb sync`` sends them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailwise.tracking.tracker import Tracker


class WandbTracker:
    """A run in Weights & Biases.

    Args:
        run: of the client.
    """

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add metrics of an epoch."""
        self._run.log(dict(metrics), step=step)

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Add metrics and end the run."""
        self._run.summary.update(dict(metrics))
        self._run.finish()

    def fail(self) -> None:
        """End the run as one that failed."""
        self._run.finish(exit_code=1)


def open_tracker(where: str, run: str, settings: Mapping[str, Any]) -> Tracker:
    """Start a run that is kept on this machine.

    Args:
        where: a folder.
        run: name of the run.
        settings: parameters.
    """
    folder = Path(where).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        os.environ.setdefault(name, str(folder))  # by default they are in the user's home
    import wandb

    quiet = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    started = wandb.init(
        mode="offline", dir=str(folder), project="tailwise", name=run, config=dict(settings), settings=quiet
    )
    return WandbTracker(started)
