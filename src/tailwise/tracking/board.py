"""Runs as event files of TensorBoard."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailwise.tracking.tracker import Tracker


class BoardTracker:
    """A run of TensorBoard.

    Args:
        writer: of its event file.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add metrics of an epoch."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Add metrics and end the run."""
        self.log(metrics, 0)
        self._writer.close()

    def fail(self) -> None:
        """End the run; event files have no sign of a failure."""
        self._writer.close()


def open_tracker(where: str, run: str, settings: Mapping[str, Any]) -> Tracker:
    """Start a run.

    Args:
        where: a folder; the run is a folder in it.
        run: name of the run.
        settings: parameters, kept as text.
    """
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(Path(where) / run))
    writer.add_text("settings", "\n\n".join(f"{name}: {value}" for name, value in settings.items()))
    return BoardTracker(writer)
