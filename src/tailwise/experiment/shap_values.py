"""SHAP values of a model's predictions: how far each column moves them, by region of the target."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array, quoted, row_weights, whole
from tailwise.data.rows import Rows, as_rows
from tailwise.experiment.importance import COME, mean_over_rows, rarest, sample_by_region
from tailwise.experiment.model import FittedModel
from tailwise.experiment.shap_estimate import Cells, estimated, require_shap
from tailwise.labels.shots import REGIONS
from tailwise.metrics.confidence import Interval
from tailwise.metrics.region_errors import mean_as_rows_come

MOST_ROWS, MOST_PREDICTIONS = 50, 500_000  # defaults: rows of a region, and predictions for all of them
MOST_OF_REGION = 5_000  # so that codes stay small
BACKGROUND = 50
_MOST_ORDERS = 10
_MOST_COLUMNS = 500  # 480 of them take 1.3 GB, and twice as many four times that


@dataclass(frozen=True)
class ColumnShap:
    """The size of the SHAP values of a column.

    Args:
        column: name of the column.
        size: mean absolute SHAP value by region, target units, with a 95 % interval over the rows; as rows come without
            one.
    """

    column: str
    size: Mapping[str, Interval]


@dataclass(frozen=True)
class ShapValues:
    """SHAP values of some rows of a table: base value plus the values of a row is its prediction.

    Args:
        target: name of the target.
        base: mean prediction of the background rows, target units.
        names: columns of ``values``.
        values: ``(m, p)`` SHAP values, target units.
        row: ``(m,)`` positions of the rows in their file.
        true: ``(m,)`` target units.
        predicted: ``(m,)`` target units.
        region: ``(m,)`` region of each true value.
        n: number of explained rows by region.
        by: the region whose sizes order the columns: the rarest one with rows.
        columns: sizes by column and region, the largest first.
        background: number of background rows.
        orders: number of random orders in which the columns of a row are exchanged, each also backwards.
        predictions: most predictions that this takes.
    """

    target: str
    base: float
    names: tuple[str, ...]
    values: NDArray[np.float64]
    row: NDArray[np.int64]
    true: NDArray[np.float64]
    predicted: NDArray[np.float64]
    region: NDArray[np.str_]
    n: Mapping[str, int]
    by: str
    columns: tuple[ColumnShap, ...]
    background: int
    orders: int
    predictions: int

    def frame(self) -> pd.DataFrame:
        """Return a line for each row: what is known of it, the base value, and ``shap_NAME`` of each column."""
        known = {
            "row": self.row,
            "region": self.region,
            "target": self.true,
            "prediction": self.predicted,
            "base": np.full(len(self.row), self.base),
        }
        return pd.DataFrame(known | {f"shap_{name}": self.values[:, i] for i, name in enumerate(self.names)})

    def to_json(self) -> dict[str, Any]:
        """Return plain values, those of single rows not among them."""
        return {
            "base": self.base,
            "n": dict(self.n),
            "background": self.background,
            "orders": self.orders,
            "predictions": self.predictions,
            "columns": {
                one.column: {region: size.to_json() for region, size in one.size.items()} for one in self.columns
            },
        }


def shap_values(
    model: FittedModel,
    frame: Any,
    y: ArrayLike,
    *,
    background: Any = None,
    most: int = MOST_ROWS,
    predictions: int = MOST_PREDICTIONS,
    seed: int = 0,
    sample_weight: ArrayLike | None = None,
    row: ArrayLike | None = None,
    on_rows: Callable[[int, int], None] | None = None,
) -> ShapValues:
    """Return SHAP values of the columns of a table, and their mean absolute size by region of the true value.

    The values of a row say how far each of its cells moves the prediction from the base value, the mean prediction of
    background rows (Lundberg and Lee, NeurIPS 2017). They are estimated by ``shap.explainers.Permutation`` for the
    model's own predictions as a function of whole rows, so that every model has them: the cells of a background row are
    exchanged for those of the row one after another, in several random orders, forwards and backwards. One order is
    exact where effects are sums of effects of pairs of columns.

    Args:
        model: a fitted model of one target, without images, texts and signals.
        frame: its rows, a data frame of pandas or polars.
        y: ``(n,)`` their targets.
        background: rows with the same columns, such as the training rows; 50 of them are drawn. By default ``frame``.
        most: most rows of a region to explain, at most 5,000; a region with more has a random sample.
        predictions: most predictions to make. Fewer rows of a region are explained where they do not suffice for
            ``most``; orders of the columns are as many as they suffice for, at most 10.
        seed: random seed of samples and orders.
        sample_weight: ``(n,)`` how much each row counts in the means.
        row: ``(n,)`` positions of the rows in their file; by default from 0.
        on_rows: called with the number of rows that are explained so far, and of all.

    Raises:
        InputError: several targets, images, texts or signals, no ordinary column, no row, another number of targets
            than rows, more columns than the predictions suffice for, no package ``shap``.
    """
    check_explainable(model)
    require_shap()
    rows = _rows(model, frame)
    if not len(rows):
        raise InputError("SHAP values are of rows, and the table has none")
    true = label_array(y)
    if len(rows) != len(true):
        raise InputError(f"y has {len(true)} labels, and the table {len(rows)} rows")
    weight, rng = row_weights(sample_weight, len(true)), np.random.default_rng(seed)
    names, codes = [column.name for column in model.schema.columns], model.shots.codes(true)
    others = rows if background is None else _rows(model, background)
    drawn = np.sort(rng.choice(len(others), min(BACKGROUND, len(others)), replace=False))
    counts = np.unique(codes, return_counts=True)[1]
    each, orders = _affordable(
        counts.tolist(),
        (2 * len(names) + 1) * len(drawn),
        whole(most, "`most`", least=1, most=MOST_OF_REGION),
        whole(predictions, "`predictions`", least=1),
        len(names),
    )
    sample = sample_by_region(codes, each, rng)
    beside = _beside(model, names)
    cells = Cells(_joined(rows.select(sample), others.select(drawn), [*names, *beside]), names, beside)
    values = estimated(model, cells, len(sample), orders, seed, on_rows)
    of_row = None if weight is None else weight[sample]
    pooled = cells.predictions(model, cells.codes)
    regions = [name for code, name in enumerate(REGIONS) if (codes[sample] == code).any()]
    by = rarest(regions)
    sizes = [
        ColumnShap(name, _sizes(np.abs(values[:, i]), true[sample], model, regions, of_row))
        for i, name in enumerate(names)
    ]
    return ShapValues(
        model.schema.target,
        float(pooled[len(sample) :].mean()),
        tuple(names),
        values,
        sample if row is None else np.asarray(row, dtype=np.int64)[sample],
        true[sample],
        pooled[: len(sample)],
        np.asarray(REGIONS)[codes[sample]],
        {name: int((codes[sample] == REGIONS.index(name)).sum()) for name in regions},
        by,
        tuple(sorted(sizes, key=lambda one: -one.size[by].value)),
        len(drawn),
        orders,
        len(sample) * orders * (2 * len(names) + 1) * len(drawn),
    )


def check_explainable(model: FittedModel) -> None:
    """Raise unless the predictions of a model have SHAP values.

    Raises:
        InputError: several targets, images, texts or signals, no ordinary column, more than 500.
    """
    schema = model.schema
    if len(schema.targets) > 1:
        raise InputError(
            f"SHAP values are of models of one target, and this one has {len(schema.targets)}: train one for each"
        )
    if schema.media:
        media = quoted(name for medium in schema.media for name in medium.columns)
        others = "permutation importance explains its ordinary columns" if schema.columns else "leave them out"
        raise InputError(
            f"SHAP values are of models that read ordinary columns alone, and this one reads {media}; {others}"
        )
    if not schema.columns:
        raise InputError("the model has no ordinary column to explain")
    if len(schema.columns) > _MOST_COLUMNS:
        raise InputError(
            f"SHAP values are of at most {_MOST_COLUMNS} columns, and the model has {len(schema.columns):,}; train on "
            "those that permutation importance names"
        )


def _rows(model: FittedModel, frame: Any) -> Rows:
    """Return rows with the features that are earlier labels, checked to have all columns of a model."""
    rows = as_rows(frame)
    model.schema.check(rows.columns, ignore_extra=True)
    return model.with_lags(rows)[0]


def _joined(first: Rows, second: Rows, names: Sequence[str]) -> pd.DataFrame:
    """Return rows of one table and then of another; cells stay as they are where a column has two types."""
    tables = [rows.frame()[list(names)] for rows in (first, second)]
    differ = {name: object for name in names if tables[0][name].dtype != tables[1][name].dtype}
    return pd.concat([table.astype(differ) for table in tables], ignore_index=True)


def _beside(model: FittedModel, names: Sequence[str]) -> list[str]:
    """Return the columns of earlier labels' times and series, which a model asks for and does not use."""
    lags = model.schema.lags
    return [name for name in (lags[0].needed if lags else ()) if name not in names]


def _affordable(counts: Sequence[int], of_row: int, most: int, predictions: int, width: int) -> tuple[int, int]:
    """Return the most rows of a region, and the number of orders, that some predictions suffice for.

    Args:
        counts: number of rows of each region.
        of_row: predictions for a row in one order.
        most: most rows of a region.
        predictions: most predictions.
        width: number of columns.
    """
    rows = predictions // of_row
    each = next((n for n in range(min(most, max(counts)), 0, -1) if sum(min(n, k) for k in counts) <= rows), 0)
    if not each:
        raise InputError(
            f"SHAP values of {width:,} columns need {len(counts) * of_row:,} predictions for one row of each region, "
            f"more than the {predictions:,} allowed; raise `predictions`, or train on fewer columns"
        )
    return each, min(_MOST_ORDERS, rows // sum(min(each, k) for k in counts))


def _sizes(
    size: NDArray[np.float64],
    true: NDArray[np.float64],
    model: FittedModel,
    regions: Sequence[str],
    weight: NDArray[np.float64] | None,
) -> dict[str, Interval]:
    """Return the mean of ``(m,)`` sizes as rows come and by region."""
    codes = model.shots.codes(true)
    sizes = {COME: Interval(mean_as_rows_come(true, size, model.shots, sample_weight=weight))}
    for region in regions:
        inside = codes == REGIONS.index(region)
        mean = mean_over_rows(size[inside], None if weight is None else weight[inside])
        sizes[region] = mean if mean.low is None else Interval(mean.value, max(mean.low, 0.0), mean.high)
    return sizes
