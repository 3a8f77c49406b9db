"""The table of a benchmark: means over seeds with intervals, next to the published numbers."""

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
    """A metric of a published table: its heading, and its value computed from the metrics of a region."""

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
    "nasa": Score("NASA score", _same("nasa")),
    "delta1": Score("delta1", _same("delta1")),
}

Column = tuple[str, str]


@dataclass(frozen=True)
class Mean:
    """Mean of a score over seeds.

    Args:
        value: the mean.
        spread: standard deviation of a single run; missing with one seed.
        n: number of seeds.
    """

    value: float
    spread: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Return the mean of one value or more."""
        spread = float(np.std(values, ddof=1)) if len(values) >= _FEWEST else None
        return cls(float(np.mean(values)), spread, len(values))

    @property
    def half(self) -> float | None:
        """Half the width of the mean's 95 % interval, by Student's t over the seeds."""
        return None if self.spread is None else _t(self.n) * self.spread / float(np.sqrt(self.n))

    def holds(self, one_run: float) -> bool | None:
        """Return whether a number is inside the 95 % prediction interval of a single run.

        The interval is t s sqrt(1 + 1/n) about the mean. The result is ``None`` with one seed, and for seeds that all
        gave the same number.
        """
        if not self.spread:
            return None
        return abs(one_run - self.value) <= _t(self.n) * self.spread * float(np.sqrt(1 + 1 / self.n))


@dataclass(frozen=True)
class Row:
    """One method: our means, and the published numbers of the same method.

    Args:
        label: the method, with its deviations from the protocol.
        means: our means, by metric and region.
        beside: published numbers of the same method.
        seconds: total time of its trainings.
        failed: error of the first training that failed, if any did.
    """

    label: str
    means: Mapping[Column, Mean]
    beside: tuple[Published, ...]
    seconds: float = 0.0
    failed: str | None = None

    def verdict(self, number: Published) -> bool | None:
        """Return whether a published number is inside the noise of ours; ``None`` if that is inconclusive."""
        ours = self.means.get((number.metric, number.region))
        return ours.holds(number.value) if ours is not None and number.comparable else None


@dataclass(frozen=True)
class BenchTable:
    """Our results on a benchmark, with the published ones.

    Args:
        benchmark: protocol, or ``protocol/table`` for a protocol with several tables.
        columns: metric and region of each column.
        changed: deviations from the protocol common to all rows.
        rows: methods.
        others: published numbers of methods that were not run.
    """

    benchmark: str
    columns: tuple[Column, ...]
    changed: tuple[str, ...]
    rows: tuple[Row, ...]
    others: tuple[Published, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
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
    """Combine results of runs with the published numbers.

    Args:
        benchmark: name of the benchmark in ``published.csv``.
        metrics: metrics of the published table, keys of ``SCORES``.
        regions: regions of the published table.
        results: by label, the method string without the protocol's loss and the results of its seeds, as
            :func:`tailwise.compare.grid.run_grid` gives them.
        changed: deviations from the protocol common to all results.
    """
    columns = tuple((metric, region) for metric in metrics for region in regions)
    known = [one for one in published() if one.benchmark == benchmark and (one.metric, one.region) in columns]
    keys = {one.method: same_method(one.method) for one in known if one.method}
    rows, taken = [], set()
    for label, (method, trainings) in results.items():
        key = same_method(method)
        beside = tuple(one for one in known if one.method and keys[one.method] == key)
        taken |= set(beside)
        rows.append(
            Row(
                label,
                _means(columns, [result["metrics"] for result in trainings if "metrics" in result]),
                beside,
                sum(result.get("seconds", 0.0) for result in trainings),
                next((result["error"] for result in trainings if "error" in result), None),
            )
        )
    return BenchTable(benchmark, columns, tuple(changed), tuple(rows), tuple(one for one in known if one not in taken))


def same_method(method: str) -> tuple[frozenset[str], ...]:
    """Return a key of a method: the parts of each stage, with implied ones.

    >>> same_method("lds+fds") == same_method("fds+sqinv+lds")
    True
    """
    from tailwise.methods.build import compose
    from tailwise.methods.grammar import parse

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        stages = compose(method).stages
    return (frozenset(parse(method)) - {"sqinv"}, *(frozenset(f.name for f in stage.fillings) for stage in stages))


def _means(columns: Sequence[Column], trained: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[Column, Mean]:
    means = {}
    for metric, region in columns:
        values = [SCORES[metric].of(metrics.get(region, {})) for metrics in trained]
        known = [value for value in values if value is not None]
        if known:
            means[metric, region] = Mean.of(known)
    return means


def _plain(one: Published) -> dict[str, Any]:
    names = ("label", "metric", "region", "value", "source", "tag", "comparable", "note")
    return {name: getattr(one, name) for name in names}


def _t(n: int) -> float:
    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))
