"""What the columns say: repeated rows, columns that cannot help, columns that know the target too well."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeRegressor

from tailwise.data.columns import Schema
from tailwise.data.targets import FEWEST_ROWS
from tailwise.diagnose.facts import Columns, Duplicates, Suspect
from tailwise.model_selection import StratifiedRegressionKFold

Array = NDArray[np.float64]

_PERFECT = 0.99
_MOST_ROWS, _TREE_DEPTH, _FOLDS = 5_000, 6, 5
_NAMES_OF_IDENTIFIERS = frozenset({"id", "uid", "uuid", "key", "index"})


def count_duplicates(features: pd.DataFrame, y: Array) -> Duplicates:
    """Rows that occur twice, and rows that only the target tells apart.

    Args:
        features: as :meth:`Schema.features` gives them.
        y: ``(n,)`` labels.
    """
    same = pd.util.hash_pandas_object(features, index=False).to_numpy()
    rows = pd.DataFrame({"same": same, "y": y})
    targets = rows.groupby("same")["y"].transform("nunique")
    return Duplicates(repeated=int(rows.duplicated().sum()), contradicting=int((targets > 1).sum()))


def describe_columns(table: pd.DataFrame, schema: Schema, features: pd.DataFrame, y: Array, seed: int) -> Columns:
    """Kinds of the feature columns, and those to look at.

    Args:
        table: the rows.
        schema: what their columns are.
        features: as :meth:`Schema.features` gives them.
        y: ``(n,)`` labels.
        seed: of the sample and the folds that suspects are found with.
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
        identifiers=tuple(name for name in numbers if _numbers_rows(features[name], name)),
        suspects=_suspects(features[numbers], y, seed),
    )


def _numbers_rows(values: pd.Series, name: str) -> bool:
    """Whether a column of whole numbers, all different, numbers the rows or is named as an identifier."""
    x = values.to_numpy()
    if not np.isfinite(x).all() or (x != np.round(x)).any() or np.unique(x).size < x.size:
        return False
    words = name.lower().replace("-", "_").split("_")
    return bool(np.ptp(x) + 1 <= 2 * x.size) or not _NAMES_OF_IDENTIFIERS.isdisjoint(words)


def _suspects(features: pd.DataFrame, y: Array, seed: int) -> tuple[Suspect, ...]:
    """Columns with a rank correlation above 0.99, or of which a small tree explains so much under cross-validation."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(y), min(len(y), _MOST_ROWS), replace=False))
    found = []
    for name in features:
        column = features[name].to_numpy()[rows]
        there = np.isfinite(column)
        x, target = column[there], y[rows][there]
        if x.size < FEWEST_ROWS or x.min() == x.max() or target.min() == target.max():
            continue
        rank = abs(float(np.corrcoef(rankdata(x), rankdata(target))[0, 1]))
        if rank > _PERFECT:
            found.append(Suspect(str(name), "rank correlation", rank))
        elif (r2 := _tree_r2(x[:, None], target, seed)) > _PERFECT:
            found.append(Suspect(str(name), "R² of a small tree", r2))
    return tuple(found)


def _tree_r2(x: Array, y: Array, seed: int) -> float:
    """Cross-validated R² of a small tree; 0 where not even the rows it was fitted to are explained."""
    tree = DecisionTreeRegressor(max_depth=_TREE_DEPTH, random_state=seed)
    if tree.fit(x, y).score(x, y) <= _PERFECT:
        return 0.0
    predicted = np.empty_like(y)
    for fitted, held in StratifiedRegressionKFold(_FOLDS, random_state=seed).split(x, y):
        predicted[held] = tree.fit(x[fitted], y[fitted]).predict(x[held])
    return float(r2_score(y, predicted))
