"""The list of runs: filtered, sorted, with a choice of errors."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tailwise._checks import InputError
from tailwise.labels.gaps import GAP_REGIONS
from tailwise.labels.shots import REGIONS
from tailwise.metrics.region_metrics import METRICS
from tailwise.serve.chart_series import harmless
from tailwise.serve.runs import Run
from tailwise.serve.runs_beside import ranks
from tailwise.serve.templating import iso, link

Query = Mapping[str, Sequence[str]]

ALL_REGIONS = ("all", *REGIONS, *GAP_REGIONS)

_ABOUT: dict[str, tuple[str, Callable[[Run], Any]]] = {
    "run": ("Run", lambda run: run.id.lower()),
    "target": ("Target", lambda run: run.target.lower()),
    "method": ("Method", lambda run: run.method.lower()),
    "model": ("Model", lambda run: run.model.lower()),
    "seed": ("Seed", lambda run: run.seed),
    "data": ("Data", lambda run: run.data.lower()),
    "date": ("Date", lambda run: run.changed),
}
_HEADLINES = {
    "as_rows_come": ("As rows come", "MAE where bins of the target count by how many rows they have, as new rows come"),
    "bmae": ("Evenly", METRICS["bmae"][1]),
}
_OVERVIEW = (*(("all", name) for name in _HEADLINES), *((region, "mae") for region in REGIONS))
_OF_A_REGION = ("mae", "rmse", "gm", "bias")
_RANK = "rank"
_ABOUT_RANK = (
    "Among runs with the same data, target and split, by the geometric mean of the errors as rows come and evenly"
)


class Listing:
    """A filtered and sorted list of runs.

    Args:
        runs: all runs.
        query: ``q`` words that a run must contain, ``data`` that it must have been trained on, ``region`` to show,
            ``sort`` and ``order``.

    Raises:
        InputError: an unknown region or order.
    """

    def __init__(self, runs: Sequence[Run], query: Query) -> None:
        self.words, self.region = last(query, "q"), last(query, "region")
        self.sort, self.order = last(query, "sort") or "date", last(query, "order")
        known(self.region, "region", ("", *ALL_REGIONS))
        self.columns = self._columns(runs)
        self.every_data = sorted({run.data for run in runs if run.data})
        self.data = last(query, "data")
        self.ranks = ranks(runs)
        keys = {**{name: key for name, (_, key) in _ABOUT.items()}, **{c: _error(c) for c, _, _ in self.columns}}
        keys[_RANK] = lambda run: self.ranks.get(run.id, (None,))[0]
        if self.sort not in keys:  # a column of another region
            self.sort = "date"
        self.order = self.order or ("desc" if self.sort == "date" else "asc")
        known(self.order, "order", ("asc", "desc"))
        words = self.words.lower().split()
        chosen = [run for run in runs if all(word in _text(run) for word in words)]
        if self.data:
            chosen = [run for run in chosen if run.data == self.data]
        if self.region:
            chosen = [run for run in chosen if run.rows(self.region) or run.state != "finished"]
        key = keys[self.sort]
        with_key = sorted((run for run in chosen if key(run) is not None), key=key, reverse=self.order == "desc")
        self.runs = with_key + [run for run in chosen if key(run) is None]

    def _columns(self, runs: Sequence[Run]) -> list[tuple[str, str, str]]:
        """Return key, heading and explanation of each column of errors."""
        if self.region:
            return [(f"{self.region}.{name}", *METRICS[name]) for name in _OF_A_REGION]
        shown = [pair for pair in _OVERVIEW if pair[0] != "zero" or any(run.rows("zero") for run in runs)]
        return [
            (
                f"{region}.{metric}",
                *_HEADLINES.get(metric, (region.capitalize(), f"MAE of the test rows, {region}")),
            )
            for region, metric in shown
        ]

    def headings(self) -> list[dict[str, Any]]:
        """Return the columns, each with the address of the list sorted by it."""
        every = [(name, heading, "") for name, (heading, _) in _ABOUT.items()]
        every += [(_RANK, "Rank", _ABOUT_RANK), *self.columns]
        headings = []
        for name, heading, about in every:
            is_sorted = name == self.sort
            turned = "desc" if is_sorted and self.order == "asc" else "asc"
            address = link("/", q=self.words, data=self.data, region=self.region, sort=name, order=turned)
            order = {"asc": "ascending", "desc": "descending"}[self.order] if is_sorted else ""
            headings.append({"name": name, "heading": heading, "about": about, "address": address, "order": order})
        return headings

    def csv(self) -> str:
        """Return the list as CSV, one line a run."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        names = [name for name, _, _ in self.columns]
        writer.writerow([*_ABOUT, "state", _RANK, *(n + end for n in names for end in ("", ".low", ".high"))])
        for run in self.runs:
            about = [run.id, run.target, run.method, run.model, "" if run.seed is None else str(run.seed), run.data]
            errors = [run.error(*name.split(".")) for name in names]
            cells = [v for e in errors for v in ((None, None, None) if e is None else (e.value, e.low, e.high))]
            rank = self.ranks.get(run.id, ("",))[0]
            values = ["" if v is None else repr(v) for v in cells]
            writer.writerow([*map(harmless, about), iso(run.changed), run.state, rank, *values])
        return buffer.getvalue()


def last(query: Query, name: str) -> str:
    """Return the last value of a query parameter, empty if it is absent."""
    return query[name][-1].strip() if query.get(name) else ""


def known(value: str, name: str, allowed: Sequence[str]) -> str:
    """Return the value of a query parameter if it is allowed.

    Raises:
        InputError: a value that is not allowed.
    """
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(v for v in allowed if v)}, got {value!r}")
    return value


def _error(column: str) -> Callable[[Run], float | None]:
    region, metric = column.split(".")

    def value(run: Run) -> float | None:
        error = run.error(region, metric)
        return None if error is None else error.value

    return value


def _text(run: Run) -> str:
    return " ".join([run.id, run.target, run.label, run.method, run.model, run.data, run.state]).lower()
