"""Distances over numeric and nominal columns as those of one matrix, nearest neighbours, safe distances."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from tailwise._checks import InputError, one_of
from tailwise.sampling.table import Floats, Rows, Table

Distance = Literal["heom", "euclidean", "hvdm"]
DISTANCES = ("heom", "euclidean", "hvdm")

_CLASSES = 5
_TREE_COLUMNS = 7
_LEAF_ROWS = 2048
_MEDIAN_ROWS = 1024
_CELLS_AT_ONCE = 2**20


@dataclass(frozen=True)
class Metric:
    """A distance between rows: that between their encoded rows, Euclidean.

    Args:
        centre: ``(q,)`` subtracted from the numeric columns, for precision only.
        scale: ``(q,)`` the numeric columns are divided by it; 0 for one that is constant, which counts nothing.
        points: for each nominal column, the ``(values, d)`` points its values stand at.
    """

    centre: Floats
    scale: Floats
    points: tuple[Floats, ...]

    @classmethod
    def of(cls, name: Distance, table: Table, labels: Floats) -> "Metric":
        """The distance of a name over the rows of a table.

        ``"heom"``: differences over the range of a column, and 1 between different nominal values. ``"hvdm"``:
        differences over four standard deviations, and √Σ_c (P(c|a) - P(c|b))² between nominal values a and b, c being
        the fifths of the target by its quantiles. ``"euclidean"``: differences as they are, no nominal columns.

        Raises:
            InputError: an unknown distance, nominal columns with the Euclidean one.
        """
        one_of(name, "distance", DISTANCES)
        if name == "euclidean" and table.nominal:
            raise InputError(
                f"distance 'euclidean' needs numeric columns, but {len(table.nominal)} are nominal; choose 'heom' or "
                "'hvdm'"
            )
        low, high = table.numbers.min(axis=0), table.numbers.max(axis=0)
        if name == "heom":
            scale = high - low
        elif name == "hvdm":
            scale = 4 * table.numbers.std(axis=0)
        else:
            scale = np.ones_like(low)
        points = _overlap_points(table) if name == "heom" else _value_points(table, labels)
        return cls(low + (high - low) / 2, np.where(high > low, scale, 0.0), points)

    def encode(self, numbers: Floats, codes: Rows) -> Floats:
        """Rows whose Euclidean distances are those of the metric."""
        scaled = self.scaled(numbers - self.centre)
        return np.hstack([scaled, *(points[codes[:, i]] for i, points in enumerate(self.points))])

    def scaled(self, differences: Floats) -> Floats:
        """Differences of numeric columns over their scale, 0 where that is 0."""
        return np.asarray(differences / np.where(self.scale > 0, self.scale, np.inf))


def _overlap_points(table: Table) -> tuple[Floats, ...]:
    counts = (table.codes.max(axis=0) + 1).tolist() if table.nominal else []
    return tuple(np.eye(count) / np.sqrt(2) for count in counts)


def _value_points(table: Table, labels: Floats) -> tuple[Floats, ...]:
    classes = np.searchsorted(np.quantile(labels, np.arange(1, _CLASSES) / _CLASSES), labels, side="right")
    points = []
    for codes in table.codes.T:
        counts = np.bincount(codes * _CLASSES + classes, minlength=(codes.max() + 1) * _CLASSES)
        of_value = counts.reshape(-1, _CLASSES)
        points.append(of_value / of_value.sum(axis=1, keepdims=True))
    return tuple(points)


def nearest(encoded: Floats, k: int) -> NDArray[np.int64] | None:
    """The k nearest of the other rows, ``(m, k)`` positions; ``None`` where all rows are equal.

    Neighbours differ from a row and from each other: of rows that are equal the first stands for all, since between
    equal rows there is nothing new. With fewer others k is lowered and a warning given.

    In more than 7 columns, where a search tree does not help, more than 2,048 rows are halved at the median of their
    most variable column until no part is larger, and neighbours are looked for within a part.
    """
    first, group = _distinct(encoded)
    if first.size == 1:
        return None
    if k > first.size - 1:
        warnings.warn(
            f"only {first.size} different rare rows, so {first.size - 1} neighbours instead of {k}; lower k, or the "
            "threshold",
            stacklevel=5,
        )
        k = first.size - 1
    rows, k_nearest = encoded[first], np.empty((first.size, k), dtype=np.int64)
    in_few_columns = rows.shape[1] <= _TREE_COLUMNS
    leaves = [np.arange(first.size)] if in_few_columns else _leaves(rows, max(_LEAF_ROWS, 2 * k + 2))
    for leaf in leaves:
        method = "kd_tree" if in_few_columns else "brute"
        found = NearestNeighbors(n_neighbors=k, algorithm=method).fit(rows[leaf]).kneighbors(return_distance=False)
        k_nearest[leaf] = leaf[found]
    return np.asarray(first[k_nearest][group], dtype=np.int64)


def _leaves(encoded: Floats, most: int) -> list[Rows]:
    """Rows, halved along the column of the greatest variance until a part has no more than ``most``."""
    done: list[Rows] = []
    waiting = [np.arange(len(encoded))]
    while waiting:
        rows = waiting.pop()
        if rows.size <= most:
            done.append(rows)
            continue
        part = encoded[rows]
        order = np.argpartition(part[:, part.var(axis=0).argmax()], rows.size // 2)
        waiting += [rows[order[: rows.size // 2]], rows[order[rows.size // 2 :]]]
    return done


def _distinct(encoded: Floats) -> tuple[Rows, Rows]:
    """First row of each group of equal rows, and the group of each row."""
    rows = np.ascontiguousarray(encoded + 0.0)  # -0.0 becomes 0.0
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, group = np.unique(as_bytes, return_index=True, return_inverse=True)
    return first.astype(np.int64), group.reshape(-1).astype(np.int64)


def safe_distances(encoded: Floats, rng: np.random.Generator) -> Floats:
    """``(m,)`` half the median of the distances from each row to the others, at least two rows.

    Of more than 1,024 rows, the median is that to 1,024 of them drawn at random.
    """
    m = len(encoded)
    others = encoded if m <= _MEDIAN_ROWS else encoded[rng.choice(m, _MEDIAN_ROWS, replace=False, shuffle=False)]
    # Of all rows one distance is the row's own, 0 and the smallest, so the median of the others lies half a rank up.
    skip = 1 if m <= _MEDIAN_ROWS else 0
    below, above = skip + (len(others) - skip - 1) // 2, skip + (len(others) - skip) // 2
    medians = np.empty(m)
    step = max(_CELLS_AT_ONCE // len(others), 1)
    for start in range(0, m, step):
        apart = cdist(encoded[start : start + step], others)
        apart.partition((below, above) if below != above else below, axis=1)
        medians[start : start + step] = (apart[:, below] + apart[:, above]) / 2
    return medians / 2


def between(ends: tuple[Floats, Floats], distances: tuple[Floats, Floats]) -> Floats:
    """Targets between those of two rows: (d₂ y₁ + d₁ y₂) / (d₁ + d₂), and their mean where both distances are 0."""
    first, second = ends
    to_first, to_second = distances
    total = to_first + to_second
    share = np.divide(to_first, total, out=np.full_like(total, 0.5), where=total > 0)
    mixed = first + share * (second - first)
    return np.clip(mixed, np.minimum(first, second), np.maximum(first, second))
