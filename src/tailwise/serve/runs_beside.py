"""Settings of runs: how they differ, and which runs were tested on the same rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tailwise.serve.runs import Run

_SHOWN = ("data", "target", "table", "method", "model", "recipe", "balance", "within", "transform")
_OF_COLUMNS = ("drop", "nominal", "numeric", "date")  # choices of a table that move no row to another part
_LEFT_OUT = ("data.sha256",)
_LONGEST = 80


def differences(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the settings in which runs differ: by name, the value of each run as text, ``–`` for none.

    Args:
        runs: two runs or more.
    """
    flat = [dict(_flat("", {name: run.config.get(name) for name in _SHOWN})) for run in runs]
    names = dict.fromkeys(name for one in flat for name in one if name not in _LEFT_OUT)
    values = {name: [one.get(name, "–") for one in flat] for name in names}
    return {name: of_runs for name, of_runs in values.items() if len(set(of_runs)) > 1}


def tested_rows(run: Run) -> str:
    """Return a text that is the same for finished runs with the same data, target and split.

    Args:
        run: a run.
    """
    data, table = run.config.get("data"), run.config.get("table")
    digest = data.get("sha256") if isinstance(data, dict) else None
    kept = {k: v for k, v in table.items() if k not in _OF_COLUMNS} if isinstance(table, dict) else table
    return json.dumps([digest, run.config.get("target"), kept], sort_keys=True, default=str)


def ranks(runs: Sequence[Run]) -> dict[str, tuple[int, int]]:
    """Return the rank of each run, from 1, and the number of runs, among finished runs tested on the same rows.

    Runs are ranked by the geometric mean of the error as rows come and of that evenly over values; a run that is
    alone, or lacks one of them, has no rank.

    Args:
        runs: all runs.
    """
    groups: dict[str, list[tuple[float, str]]] = {}
    for run in runs:
        come, evenly = run.error("all", "as_rows_come"), run.error("all", "bmae")
        if run.state == "finished" and come is not None and evenly is not None:
            groups.setdefault(tested_rows(run), []).append((come.value * evenly.value, run.id))
    found: dict[str, tuple[int, int]] = {}
    for group in groups.values():
        scores = [score for score, _ in group]
        if len(group) > 1:
            found |= {name: (1 + sum(other < score for other in scores), len(group)) for score, name in group}
    return found


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the innermost values of nested mappings as text, with dotted names."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    elif value is not None:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        text = text.encode("utf-8", "replace").decode()
        yield prefix, text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
