"""A benchmark's table: our means over seeds with intervals, beside the published numbers."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from tailwise.bench.published import Published, published

CONFIDENCE = 0.95
_FEWEST = 2


@dataclass(frozen=True)
class Score:
    """How a metric of a published table is called, and found among those of a region."""

    heading: str
    of: Callable[[Mapping[str, float]], float | None]


def _same(name: str) -> Callable[[Mapping[str, float]], float | None]:
    return lambda metrics: metrics.get(name)


def _times(name: str, factor: float) -> Callable[[Mapping[str, float]], float | None]:
    return lambda metrics: None if metrics.get(name) is None else factor * metrics[name]


def _squared(name: str) -> Callable[[Mapping[str, float]], float | None]:
    return lambda metrics: None if metrics.get(name) is None else metrics[name] ** 2


SCORES: dict[str, Score] = {
    "mae": Score("MAE", _same("mae")),
    "angular": Score("angular error", _same("angular")),
    "gm": Score("GM", _same("gm")),
    "bmae": Score("bMAE", _same("bmae")),
    "mse": Score("MSE", _squared("rmse")),
    "rmse": Score("RMSE", _same("rmse")),
    "pearson": Score("Pearson %", _times("pearson", 100.0)),
    "delta1": Score("delta1", _same("delta1")),
}

Column = tuple[str, str]


@dataclass(frozen=True)
class Mean:
    """Mean of a score over seeds.

    Args:
        value: the mean.
        spread: standard deviation of one run; missing with one seed.
        n: seeds.
    """

    value: float
    spread: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Mean of at least one value."""
        spread = float(np.std(values, ddof=1)) if len(values) >= _FEWEST else None
        return cls(float(np.mean(values)), spread, len(values))

    @property
    def half(self) -> float | None:
        """Half the width of the mean's 95 % interval, by Student's t over the seeds."""
        return None if self.spread is None else _t(self.n) * self.spread / float(np.sqrt(self.n))

    def holds(self, one_run: float) -> bool | None:
        """Whether another run, with the same spread, may well have given this number.

        The 95 % prediction interval of a single run: t s sqrt(1 + 1/n) about the mean. None where that cannot be told:
        of one seed, and of seeds that all gave the same.
        """
        if not self.spread:
            return None
        return abs(one_run - self.value) <= _t(self.n) * self.spread * float(np.sqrt(1 + 1 / self.n))


@dataclass(frozen=True)
class Row:
    """One method: our means, and under them what was published of it.

    Args:
        label: the method as it was asked for, with what differs from the protocol.
        means: ours, by metric and region.
        beside: published numbers of the same method.
        seconds: of all its trainings.
        failed: first reason for which a training failed, if one did.
    """

    label: str
    means: Mapping[Column, Mean]
    beside: tuple[Published, ...]
    seconds: float = 0.0
    failed: str | None = None

    def verdict(self, number: Published) -> bool | None:
        """Whether a published number is inside the noise of ours; None where that cannot be told."""
        ours = self.means.get((number.metric, number.region))
        return ours.holds(number.value) if ours is not None and number.comparable else None


@dataclass(frozen=True)
class BenchTable:
    """Our results on a benchmark beside the published ones.

    Args:
        benchmark: protocol, and of several tables ``protocol/table``.
        columns: metric and region.
        changed: what differs from the protocol in all rows.
        rows: methods.
        others: published numbers of methods that were not run.
    """

    benchmark: str
    columns: tuple[Column, ...]
    changed: tuple[str, ...]
    rows: tuple[Row, ...]
    others: tuple[Published, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "benchmark": self.benchmark,
            "changed": list(self.changed),
            "methods": [
                {
                    "method": row.label,
                    "seconds": row.seconds,
                    "failed": row.failed,
                    "scores": [
                        {
                            "metric": metric,
                            "region": region,
                            "mean": mean.value,
                            "half_interval": mean.half,
                            "spread": mean.spread,
                            "seeds": mean.n,
                        }
                        for (metric, region), mean in row.means.items()
                    ],
                    "published": [_plain(one) | {"inside_noise": row.verdict(one)} for one in row.beside],
                }
                for row in self.rows
            ],
            "not_run": [_plain(one) for one in self.others],
        }


def bench_table(
    benchmark: str,
    metrics: Sequence[str],
    regions: Sequence[str],
    results: Mapping[str, tuple[str, Sequence[Mapping[str, Any]]]],
    *,
    changed: Sequence[str] = (),
) -> BenchTable:
    """Put results of runs beside what is published.

    Args:
        benchmark: as in ``published.csv``.
        metrics: of the published table, names of ``SCORES``.
        regions: its columns.
        results: by label a method string without the protocol's loss, and the results of its seeds as
            :func:`tailwise.compare.grid.run_grid` gives them.
        changed: what differs from the protocol in all of them.
    """
    columns = tuple((metric, region) for metric in metrics for region in regions)
    known = [one for one in published() if one.benchmark == benchmark and (one.metric, one.region) in columns]
    keys = {one.method: same_method(one.method) for one in known if one.method}
    rows, taken = [], set()
    for label, (method, found) in results.items():
        key = same_method(method)
        beside = tuple(one for one in known if one.method and keys[one.method] == key)
        taken |= set(beside)
        rows.append(
            Row(
                label,
                _means(columns, [result["metrics"] for result in found if "metrics" in result]),
                beside,
                sum(result.get("seconds", 0.0) for result in found),
                next((result["error"] for result in found if "error" in result), None),
            )
        )
    return BenchTable(benchmark, columns, tuple(changed), tuple(rows), tuple(one for one in known if one not in taken))


def same_method(method: str) -> tuple[frozenset[str], ...]:
    """What tells methods apart: the parts of each stage, with those that are implied.

    >>> same_method("lds+fds") == same_method("fds+sqinv+lds")
    True
    """
    from tailwise.methods.build import compose
    from tailwise.methods.grammar import parse

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        stages = compose(method).stages
    return (frozenset(parse(method)) - {"sqinv"}, *(frozenset(f.name for f in stage.fillings) for stage in stages))


def _means(columns: Sequence[Column], found: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[Column, Mean]:
    means = {}
    for metric, region in columns:
        values = [SCORES[metric].of(metrics.get(region, {})) for metrics in found]
        there = [value for value in values if value is not None]
        if there:
            means[metric, region] = Mean.of(there)
    return means


def _plain(one: Published) -> dict[str, Any]:
    names = ("label", "metric", "region", "value", "source", "tag", "comparable", "note")
    return {name: getattr(one, name) for name in names}


def _t(n: int) -> float:
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))
