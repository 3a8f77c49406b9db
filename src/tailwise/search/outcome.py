"""What a search found, judged on test rows that it never saw, beside the plain method."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.experiment.model import TableModel
from tailwise.metrics.errors import balanced_mean_absolute_error
from tailwise.metrics.regions import Interval, region_rows
from tailwise.search.space import Drawn
from tailwise.search.study import Search

_RESAMPLES = 2000
_REGIONS = ("all", "many", "medium", "few", "zero")


@dataclass(frozen=True)
class Beside:
    """Test error of a region: the settings that were found, and the plain method.

    Args:
        n: test rows.
        ours: mean over the seeds of the MAE, target units.
        vanilla: that of the plain method.
        change: mean difference with its 95 % bootstrap interval over seeds and rows, target units.
    """

    n: int
    ours: float
    vanilla: float
    change: Interval

    @property
    def percent(self) -> float | None:
        """The difference in percent, where vanilla's error is above 0."""
        return 100 * self.change.value / self.vanilla if self.vanilla > 0 else None

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0."""
        low, high = self.change.low, self.change.high
        return low is not None and high is not None and (low > 0 or high < 0)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
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
    """Both, on the test rows.

    Args:
        regions: by name; those without test rows are absent.
        bmae: of the settings that were found and of the plain method, mean over the seeds, target units.
    """

    regions: dict[str, Beside]
    bmae: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        ours, vanilla = self.bmae
        regions = {name: beside.to_json() for name, beside in self.regions.items()}
        return {**regions, "bmae": {"ours": ours, "vanilla": vanilla}}


def test_predictions(search: Search, drawn: Drawn, seeds: Sequence[int]) -> Iterator[NDArray[np.float64]]:
    """``(n,)`` predictions for the test rows by a training from each seed, all on the same split."""
    table = search.table
    rows, _ = table.rows_of("test")
    for seed in seeds:
        setup = search.start(drawn, seed)
        for _ in setup.epochs():
            pass
        model = TableModel(table.schema, setup.inputs, setup.predictor, table.shots, table.relevance)
        yield model.calibrated(table, drawn.compose().correction, intervals=False).predict(rows)


def judge(search: Search, ours: Sequence[NDArray[np.float64]], vanilla: Sequence[NDArray[np.float64]]) -> Outcome:
    """Compare test predictions, seed by seed."""
    table = search.table
    _, y = table.rows_of("test")
    found = {}
    for name, here in region_rows(y, table.shots).items():
        if name not in _REGIONS or not here.any():
            continue
        a, b = (np.abs(np.stack(list(preds))[:, here] - y[here]) for preds in (ours, vanilla))
        found[name] = Beside(int(here.sum()), float(a.mean()), float(b.mean()), crossed(a - b, search.recipe.seed))
    balanced = [
        float(np.mean([balanced_mean_absolute_error(y, pred, table.shots.bins) for pred in preds]))
        for preds in (ours, vanilla)
    ]
    return Outcome(found, (balanced[0], balanced[1]))


def crossed(gains: NDArray[np.float64], seed: int = 0) -> Interval:
    """Mean of ``(seeds, rows)`` differences with its 95 % bootstrap interval.

    All seeds are tested on the same rows, so each resample draws seeds, and rows once for all of them (Art Owen, *The
    Pigeonhole Bootstrap*, Annals of Applied Statistics 2007, which errs to the wide side). A single row has no ends.

    Args:
        gains: differences of absolute errors, target units.
        seed: of the drawing.

    Example:
        >>> crossed(np.full((3, 50), -2.0))
        Interval(value=-2.0, low=-2.0, high=-2.0)
    """
    n_seeds, n_rows = gains.shape
    if n_rows < 2:
        return Interval(float(gains.mean()))
    rng = np.random.default_rng(seed)
    drawn = [
        gains[:, rng.integers(0, n_rows, n_rows)].mean(axis=1)[rng.integers(0, n_seeds, n_seeds)].mean()
        for _ in range(_RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Interval(float(gains.mean()), low, high)
