"""Runs in MLflow: a database file in a folder, or a store that a URI names."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailwise.tracking.tracker import Tracker

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
_EXPERIMENT, _LONGEST = "tailwise", 500


class MlflowTracker:
    """A run in MLflow.

    Args:
        client: of the store.
        run: id of the run.
    """

    def __init__(self, client: Any, run: str) -> None:
        self._client, self._run = client, run

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add metrics of an epoch."""
        from mlflow.entities import Metric

        self._client.log_batch(self._run, [Metric(name, value, 0, step) for name, value in metrics.items()])

    def finish(self, metrics: Mapping[str, float]) -> None:
        """Add metrics and end the run."""
        self.log(metrics, 0)
        self._client.set_terminated(self._run)

    def fail(self) -> None:
        """End the run as one that failed."""
        self._client.set_terminated(self._run, "FAILED")


def open_tracker(where: str, run: str, settings: Mapping[str, Any]) -> Tracker:
    """Start a run.

    Args:
        where: a folder, in which ``mlflow.db`` is the database, or the URI of a store.
        run: name of the run.
        settings: parameters.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Param

    place = None
    if "://" not in where:
        folder = Path(where).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        where, place = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
    client = MlflowClient(tracking_uri=where)
    known = client.get_experiment_by_name(_EXPERIMENT)
    experiment = (
        client.create_experiment(_EXPERIMENT, artifact_location=place) if known is None else known.experiment_id
    )
    started = client.create_run(experiment, run_name=run).info.run_id
    client.log_batch(started, params=[Param(name, str(value)[:_LONGEST]) for name, value in settings.items()])
    return MlflowTracker(client, started)
