"""Which columns a model needs, by region of the target: the rise of its errors where a column is shuffled."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, row_weights, whole
from tailwise.data.rows import FrameRows
from tailwise.experiment.evaluate import predict_rows
from tailwise.experiment.model import FittedModel
from tailwise.experiment.worst_rows import WorstRows, worst_of
from tailwise.labels.shots import REGIONS
from tailwise.metrics.confidence import Interval
from tailwise.metrics.region_errors import error_as_rows_come

COME = "as rows come"
_NORMAL_95 = 1.959964


@dataclass(frozen=True)
class ColumnImportance:
    """The rise of the MAE where a column is shuffled.

    Args:
        column: name of the column.
        rise: by region, target units, with a 95 % interval over the rows; as rows come without one.
    """

    column: str
    rise: Mapping[str, Interval]


@dataclass(frozen=True)
class Explanation:
    """Which rows of a table a model predicts wrongly, and which columns it needs where.

    Args:
        target: name of the target.
        n: number of rows by region.
        mae: MAE by region, and as rows come, target units.
        by: the region whose rises order the columns: the rarest one with rows.
        columns: importance of each column, the largest rise first.
        worst: rows with the largest errors, and what rare rows that are predicted too low have in common.
    """

    target: str
    n: Mapping[str, int]
    mae: Mapping[str, float]
    by: str
    columns: tuple[ColumnImportance, ...]
    worst: WorstRows | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        columns = {one.column: {region: rise.to_json() for region, rise in one.rise.items()} for one in self.columns}
        worst = None if self.worst is None else asdict(self.worst)
        return {
            "target": self.target,
            "n": dict(self.n),
            "mae": dict(self.mae),
            "by": self.by,
            "columns": columns,
            "worst": worst,
        }


def explain(
    model: FittedModel,
    frame: Any,
    y: ArrayLike,
    *,
    repeats: int = 5,
    most: int = 1000,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
    row: ArrayLike | None = None,
) -> Explanation:
    """Return the rows with the largest errors, and the permutation importance of each column by region.

    A column is shuffled: each row gets the cell of another row of the table, whatever its region, and the errors of the
    model's own predictions are measured again (Breiman, 2001), so that a rise says what the model loses without the
    column. Of columns that say the same, such as area and number of rooms, each may seem to be of no use, since the
    other remains. Rows should be new to the model.

    Args:
        model: a fitted model of one target.
        frame: its rows, a data frame of pandas or polars.
        y: ``(n,)`` their targets.
        repeats: number of shuffles of each column, at least 1.
        most: most rows of a region whose errors are measured again; a region with more has a random sample.
        seed: random seed of shuffles and samples.
        sample_weight: ``(n,)`` how much each row counts in the errors.
        row: ``(n,)`` positions of the rows in their file, for the list of rows; by default from 0.

    Raises:
        InputError: several targets, no ordinary column, no row, another number of targets than rows.

    Example:
        >>> from tailwise import Experiment, fit, prepare
        >>> x = np.random.default_rng(0).normal(size=(300, 2))
        >>> table = pd.DataFrame({"useful": x[:, 0], "useless": x[:, 1], "y": np.exp(x[:, 0])})
        >>> model = fit(prepare(table, "y"), Experiment("vanilla", model="lightgbm"))
        >>> explain(model, table, table["y"], repeats=1).columns[0].column
        'useful'
    """
    if len(model.schema.targets) > 1:
        raise InputError("importance by region is that of models of one target")
    rows, _ = model.with_lags(frame)
    table, true = rows.frame(), label_array(y)
    names = [column.name for column in model.schema.columns]
    if not names or len(table) != len(true):
        lacks = "the model has no ordinary column to shuffle" if not names else f"y has {len(true)} labels"
        raise InputError(f"{lacks}, and the table {len(table)} rows")
    weight = row_weights(sample_weight, len(true))
    predicted = predict_rows(model, table, true, ignore_extra=True, weight=weight)
    if row is not None:
        predicted = replace(predicted, row=np.asarray(row, dtype=np.int64))
    codes, rng = model.shots.codes(true), np.random.default_rng(seed)
    sample = sample_by_region(codes, whole(most, "most", least=1), rng)
    error = np.abs(predicted.counted() - true)
    regions = {name: np.flatnonzero(codes == code) for code, name in enumerate(REGIONS)}
    regions = {name: inside for name, inside in regions.items() if inside.size}
    by = rarest(regions)
    measured = [
        _importance(
            model, table, name, true, predicted.counted(), sample, whole(repeats, "`repeats`", least=1), rng, weight
        )
        for name in names
    ]
    return Explanation(
        model.schema.target,
        {name: int(inside.size) for name, inside in regions.items()},
        {COME: error_as_rows_come(true, predicted.counted(), model.shots, sample_weight=weight)}
        | {
            name: float(np.average(error[at], weights=None if weight is None else weight[at]))
            for name, at in regions.items()
        },
        by,
        tuple(sorted(measured, key=lambda one: -one.rise[by].value)),
        worst_of(FrameRows(table), model.schema, model.shots, predicted),
    )


def sample_by_region(codes: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the positions of at most so many rows of each region, in order.

    Args:
        codes: ``(n,)`` region of each row.
        most: most rows of a region; one with more has a random sample.
        rng: random numbers.
    """
    chosen = []
    for code in np.unique(codes):
        inside = np.flatnonzero(codes == code)
        chosen.append(inside if inside.size <= most else rng.choice(inside, most, replace=False))
    return np.sort(np.concatenate(chosen))


def rarest(regions: Iterable[str]) -> str:
    """Return the region of the rarest values among those that have rows."""
    known = set(regions)
    return next(name for name in ("few", "zero", "medium", "many") if name in known)


def _importance(
    model: FittedModel,
    table: pd.DataFrame,
    name: str,
    true: NDArray[np.float64],
    pred: NDArray[np.float64],
    sample: NDArray[np.int64],
    repeats: int,
    rng: np.random.Generator,
    weight: NDArray[np.float64] | None,
) -> ColumnImportance:
    """Return the rise of the errors of the sampled rows where one column has cells of other rows."""
    y, before, of_row = true[sample], pred[sample], None if weight is None else weight[sample]
    base = table.iloc[sample].reset_index(drop=True)
    come = error_as_rows_come(y, before, model.shots, sample_weight=of_row)
    error, rise, rises = np.abs(before - y), np.zeros(len(y)), []
    for _ in range(repeats):
        others = table[name].iloc[rng.integers(0, len(table), len(sample))].reset_index(drop=True)
        after = _predictions(model, base.assign(**{name: others}), y)
        rise += (np.abs(after - y) - error) / repeats  # exactly 0 where the prediction stays
        rises.append(error_as_rows_come(y, after, model.shots, sample_weight=of_row) - come)
    codes = model.shots.codes(y)
    found = {COME: Interval(float(np.mean(rises)))}
    for code, region in enumerate(REGIONS):
        inside = codes == code
        if inside.any():
            found[region] = mean_over_rows(rise[inside], None if of_row is None else of_row[inside])
    return ColumnImportance(name, found)


def _predictions(model: FittedModel, frame: pd.DataFrame, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the model's own predictions, as errors count them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on rows that are unlike those of the training: they are made up
        pred = model.predict(frame, ignore_extra=True)
    return pred if model.censoring is None else model.censoring.counted(y, pred)


def mean_over_rows(values: NDArray[np.float64], weight: NDArray[np.float64] | None) -> Interval:
    """Return a weighted mean of independent values with its 95 % interval; without one of a single value.

    Args:
        values: ``(n,)`` values, at least one.
        weight: ``(n,)`` how much each counts; all alike if not given.
    """
    mean = float(np.average(values, weights=weight))
    if values.size < 2:
        return Interval(mean)
    share = np.full(values.size, 1 / values.size) if weight is None else weight / weight.sum()
    half = _NORMAL_95 * float(np.sqrt(np.sum(np.square(share * (values - mean)))))
    return Interval(mean, mean - half, mean + half)
