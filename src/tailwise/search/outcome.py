"""Evaluate the best settings of a search on the test rows, compared with vanilla."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import whole
from tailwise.experiment.fit import fit
from tailwise.experiment.spec import Experiment
from tailwise.metrics.confidence import Interval
from tailwise.metrics.errors import balanced_mean_absolute_error
from tailwise.metrics.paired_bootstrap import crossed_bootstrap
from tailwise.metrics.region_errors import region_rows
from tailwise.search.study import Search

_REGIONS = ("all", "many", "medium", "few", "zero")


@dataclass(frozen=True)
class RegionOutcome:
    """Test error of the best settings and of vanilla in one region.

    Args:
        n: number of test rows.
        ours: MAE of the best settings, mean over the seeds, target units.
        vanilla: MAE of vanilla, mean over the seeds, target units.
        change: mean difference with its 95 % bootstrap interval over seeds and rows, target units.
    """

    n: int
    ours: float
    vanilla: float
    change: Interval

    @property
    def percent(self) -> float | None:
        """Mean difference in percent of vanilla's error, if that is above 0."""
        return 100 * self.change.value / self.vanilla if self.vanilla > 0 else None

    @property
    def differs(self) -> bool:
        """Whether the interval excludes 0."""
        return self.change.excludes_zero

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {
            "n": self.n,
            "ours": self.ours,
            "vanilla": self.vanilla,
            "change": self.change.value,
            "low": self.change.low,
            "high": self.change.high,
            "percent": self.percent,
        }


@dataclass(frozen=True)
class Outcome:
    """Test errors of the best settings and of vanilla.

    Args:
        regions: comparison by region; regions without test rows are absent.
        bmae: bMAE of the best settings and of vanilla, mean over the seeds, target units.
    """

    regions: dict[str, RegionOutcome]
    bmae: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        ours, vanilla = self.bmae
        regions = {name: region.to_json() for name, region in self.regions.items()}
        return {**regions, "bmae": {"ours": ours, "vanilla": vanilla}}


def test_predictions(search: Search, experiment: Experiment, seeds: Sequence[int]) -> Iterator[NDArray[np.float64]]:
    """Yield the ``(n,)`` predictions for the test rows of a training with each seed, all on the same split."""
    rows, _ = search.table.rows_of("test")
    for seed in seeds:
        yield fit(search.table, experiment.with_recipe(seed=seed)).predict(rows)


def judge_best(search: Search, seeds: int = 3) -> Outcome:
    """Train the best settings and vanilla with several seeds, and compare them on the test rows.

    Args:
        search: a search with its trials.
        seeds: number of trainings of each, with consecutive seeds from that of the recipe.

    Raises:
        InputError: fewer than one seed.
    """
    numbers = [search.recipe.seed + i for i in range(whole(seeds, "`seeds`", least=1))]
    plain, best = search.space.plain(search.recipe), search.best_settings()
    vanilla = list(test_predictions(search, plain, numbers))
    return judge(search, vanilla if best == plain else list(test_predictions(search, best, numbers)), vanilla)


def judge(search: Search, ours: Sequence[NDArray[np.float64]], vanilla: Sequence[NDArray[np.float64]]) -> Outcome:
    """Compare test predictions of the best settings and of vanilla, seed by seed."""
    table = search.table
    censoring = search.space.plain(search.recipe).censoring
    (_, y), weight = table.rows_of("test"), table.weight_of("test")
    if censoring is not None:
        ours, vanilla = ([censoring.counted(y, pred) for pred in preds] for preds in (ours, vanilla))
    regions = {}
    for name, in_region in region_rows(y, table.shots).items():
        if name not in _REGIONS or not in_region.any():
            continue
        a, b = (np.abs(np.stack(list(preds))[:, in_region] - y[in_region]) for preds in (ours, vanilla))
        of = None if weight is None else weight[in_region]
        change = crossed_bootstrap(a - b, seed=search.recipe.seed, sample_weight=of)
        mine, theirs = (
            float(sizes.mean() if of is None else np.average(sizes, axis=1, weights=of).mean()) for sizes in (a, b)
        )
        regions[name] = RegionOutcome(int(in_region.sum()), mine, theirs, change)
    balanced = [
        float(
            np.mean([balanced_mean_absolute_error(y, pred, table.shots.bins, sample_weight=weight) for pred in preds])
        )
        for preds in (ours, vanilla)
    ]
    return Outcome(regions, (balanced[0], balanced[1]))
