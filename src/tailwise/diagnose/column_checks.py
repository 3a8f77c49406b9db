"""Checks of rows and columns: duplicates, useless columns, and columns that may leak the target."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeRegressor

from tailwise.data.columns import Schema
from tailwise.data.row_numbers import numbers_rows
from tailwise.data.targets import FEWEST_ROWS
from tailwise.data.time_order import dated_columns
from tailwise.diagnose.facts import Columns, Duplicates, Suspect
from tailwise.model_selection import StratifiedRegressionKFold

Array = NDArray[np.float64]

_PERFECT = 0.99
_MOST_ROWS, _TREE_DEPTH, _FOLDS = 5_000, 6, 5


def count_duplicates(features: pd.DataFrame, y: Array) -> Duplicates:
    """Count repeated rows, and rows that differ only in the target.

    Args:
        features: as :meth:`Schema.features` gives them.
        y: ``(n,)`` labels.
    """
    same = pd.util.hash_pandas_object(features, index=False).to_numpy()
    rows = pd.DataFrame({"same": same, "y": y})
    targets = rows.groupby("same")["y"].transform("nunique")
    return Duplicates(repeated=int(rows.duplicated().sum()), contradicting=int((targets > 1).sum()))


def describe_columns(table: pd.DataFrame, schema: Schema, features: pd.DataFrame, y: Array, seed: int) -> Columns:
    """Describe the feature columns: their kinds, constants, identifiers and leakage suspects.

    Args:
        table: the rows.
        schema: kinds of the columns.
        features: as :meth:`Schema.features` gives them.
        y: ``(n,)`` labels.
        seed: random seed of the sample and the folds.
    """
    kinds: list[str] = [column.kind for column in schema.columns]
    kinds += [medium.kind for medium in schema.media for _ in medium.columns]
    constant = tuple(c.name for c in schema.columns if table[c.name].nunique(dropna=False) < 2)
    numbers = [c.name for c in schema.columns if c.kind in ("numeric", "boolean") and c.name not in constant]
    return Columns(
        features=len(kinds),
        kinds={kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        unused=dict(schema.unused),
        constant=constant,
        identifiers=tuple(name for name in numbers if numbers_rows(features[name], name)),
        suspects=_suspects(features[numbers], y, seed),
        dates=dated_columns(schema, table),
    )


def _suspects(features: pd.DataFrame, y: Array, seed: int) -> tuple[Suspect, ...]:
    """Return columns with a rank correlation above 0.99, or a cross-validated R² of a small tree above 0.99."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(y), min(len(y), _MOST_ROWS), replace=False))
    suspects = []
    label_ranks = rankdata(y[rows])
    for name in features:
        column = features[name].to_numpy()[rows]
        finite = np.isfinite(column)
        whole = bool(finite.all())
        x, target = (column, y[rows]) if whole else (column[finite], y[rows][finite])
        if x.size < FEWEST_ROWS or x.min() == x.max() or target.min() == target.max():
            continue
        order = np.argsort(x, kind="stable")
        rank = abs(float(np.corrcoef(_ranks(x, order), label_ranks if whole else rankdata(target))[0, 1]))
        if rank > _PERFECT:
            suspects.append(Suspect(str(name), "rank correlation", rank))
        elif _may_fit(target[order]) and (r2 := _tree_r2(x[:, None], target, seed)) > _PERFECT:
            suspects.append(Suspect(str(name), "R² of a small tree", r2))
    return tuple(suspects)


def _ranks(x: Array, order: NDArray[np.int64]) -> Array:
    """Return the ranks of numbers whose order is known; equal numbers have the mean of theirs."""
    first = np.flatnonzero(np.diff(x[order], prepend=np.nan) != 0)  # NaN is unlike all numbers
    sizes = np.diff(first, append=x.size)
    ranks = np.empty_like(x)
    ranks[order] = np.repeat(first + (sizes + 1) / 2, sizes)
    return ranks


def _may_fit(y: Array) -> bool:
    """Return whether a small tree could explain labels in the order of a feature.

    Its leaves are intervals: of the pairs of neighbours all but 63 lie in one leaf, and each adds half its squared
    difference to the error.
    """
    gaps = np.square(np.diff(y.reshape(-1)[: y.size // 2 * 2].reshape(-1, 2), axis=1)).ravel() / 2
    within = np.sort(gaps)[: max(gaps.size - 2**_TREE_DEPTH + 1, 0)].sum()
    return bool(within <= (1 - _PERFECT) * np.square(y - y.mean()).sum())


def _tree_r2(x: Array, y: Array, seed: int) -> float:
    """Return the cross-validated R² of a small tree; 0 if even its R² on all rows is low."""
    tree = DecisionTreeRegressor(max_depth=_TREE_DEPTH, random_state=seed)
    if tree.fit(x, y).score(x, y) <= _PERFECT:
        return 0.0
    predicted = np.empty_like(y)
    for train, held in StratifiedRegressionKFold(_FOLDS, random_state=seed).split(x, y):
        predicted[held] = tree.fit(x[train], y[train]).predict(x[held])
    return float(r2_score(y, predicted))
