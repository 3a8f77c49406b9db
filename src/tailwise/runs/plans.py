"""The plan of a run, of a table or of maps."""

from typing import Any

from tailwise.experiment.fit import Running, RunningMaps
from tailwise.report.against import OtherRun
from tailwise.runs.map_run import map_plan
from tailwise.runs.training import RunPlan, table_plan


def plan_of(
    running: Running | RunningMaps,
    *,
    label: str,
    other: OtherRun | None = None,
) -> RunPlan[Any]:
    """Return the plan of a run.

    Args:
        running: an experiment, set up by :func:`tailwise.experiment.fit.start`.
        label: how the run is called.
        other: a finished run on a table to show beside this one.
    """
    if isinstance(running, RunningMaps):
        return map_plan(running, label=label)
    return table_plan(running, label=label, other=other)
