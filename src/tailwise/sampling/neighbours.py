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
_EXACT_ROWS = 8_192
_OVERLAP = 0.25
_FREQUENT = 255
_MEDIAN_ROWS = 1024
_CELLS_AT_ONCE = 2**20


@dataclass(frozen=True)
class Metric:
    """A distance between rows: that between their encoded rows, Euclidean.

    Args:
        centre: ``(q,)`` subtracted from the numeric columns, for precision only.
        scale: ``(q,)`` the numeric columns are divided by it; 0 for one that is constant, which counts nothing.
        points: for each nominal column, the ``(places, d)`` points its values stand at.
        places: for each nominal column, ``(values,)`` the point of each value.
    """

    centre: Floats
    scale: Floats
    points: tuple[Floats, ...]
    places: tuple[Rows, ...]

    @classmethod
    def of(cls, name: Distance, table: Table, labels: Floats) -> "Metric":
        """The distance of a name over the rows of a table.

        ``"heom"``: differences over the range of a column, and 1 between different nominal values. ``"hvdm"``:
        differences over four standard deviations, and √Σ_c (P(c|a) - P(c|b))² between nominal values a and b, c being
        the fifths of the target by its quantiles. ``"euclidean"``: differences as they are, no nominal columns.

        Of a nominal column with more than 256 values, ``"heom"`` tells the 255 most frequent ones of the table apart
        and takes all others as one, so that memory stays within 256 numbers a row and column.

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
        points, places = _overlap_points(table) if name == "heom" else _value_points(table, labels)
        return cls(low + (high - low) / 2, np.where(high > low, scale, 0.0), points, places)

    def encode(self, numbers: Floats, codes: Rows) -> Floats:
        """Rows whose Euclidean distances are those of the metric."""
        scaled = self.scaled(numbers - self.centre)
        nominal = zip(self.points, self.places, codes.T, strict=True)
        return np.hstack([scaled, *(points[places[values]] for points, places, values in nominal)])

    def scaled(self, differences: Floats) -> Floats:
        """Differences of numeric columns over their scale, 0 where that is 0."""
        return np.asarray(differences / np.where(self.scale > 0, self.scale, np.inf))


def _overlap_points(table: Table) -> tuple[tuple[Floats, ...], tuple[Rows, ...]]:
    points, places = [], []
    for codes in table.codes.T:
        counts = np.bincount(codes)
        place = np.arange(counts.size)
        if counts.size > _FREQUENT + 1:
            frequent = np.argsort(-counts, kind="stable")[:_FREQUENT]
            place = np.full(counts.size, _FREQUENT)
            place[frequent] = np.arange(_FREQUENT)
        points.append(np.eye(min(counts.size, _FREQUENT + 1)) / np.sqrt(2))
        places.append(place)
    return tuple(points), tuple(places)


def _value_points(table: Table, labels: Floats) -> tuple[tuple[Floats, ...], tuple[Rows, ...]]:
    classes = np.searchsorted(np.quantile(labels, np.arange(1, _CLASSES) / _CLASSES), labels, side="right")
    points = []
    for codes in table.codes.T:
        counts = np.bincount(codes * _CLASSES + classes, minlength=(codes.max() + 1) * _CLASSES)
        of_value = counts.reshape(-1, _CLASSES)
        points.append(of_value / of_value.sum(axis=1, keepdims=True))
    return tuple(points), tuple(np.arange(len(of_value)) for of_value in points)


def nearest(encoded: Floats, k: int, n_numeric: int | None = None) -> NDArray[np.int64] | None:
    """The k nearest of the other rows, ``(m, k)`` positions; ``None`` where all rows are equal.

    Neighbours differ from a row and from each other: of rows that are equal the first stands for all, since between
    equal rows there is nothing new. With fewer others k is lowered and a warning given.

    They are exact among 8,192 different rows, and among any number in up to 7 columns, where a search tree helps. More
    rows are halved across the direction in which their numeric columns vary most until no part has more than 4,096;
    the neighbours of a part are looked for in it and in the quarter of it that lies next to it across each cut. Where
    no numeric column varies, each half is drawn at random (the same at each call), and so the neighbours are those
    among a random part of the rows.

    Args:
        encoded: ``(m, d)`` rows whose Euclidean distance counts.
        k: neighbours of each.
        n_numeric: so many first columns of ``encoded`` are numeric; all if not given.
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
    if in_few_columns or first.size <= max(_EXACT_ROWS, 2 * k + 2):
        method = "kd_tree" if in_few_columns else "brute"
        k_nearest[:] = NearestNeighbors(n_neighbors=k, algorithm=method).fit(rows).kneighbors(return_distance=False)
    else:
        for part, around in _parts(rows[:, :n_numeric], max(_EXACT_ROWS // 2, k + 1)):
            k_nearest[part] = around[_nearest_around(rows, part, around, k)]
    return np.asarray(first[k_nearest][group], dtype=np.int64)


def _parts(numbers: Floats, most: int) -> list[tuple[Rows, Rows]]:
    """Parts of no more than ``most`` rows, each with the rows in and around it, ascending."""
    done: list[tuple[Rows, Rows]] = []
    every, rng = np.arange(len(numbers)), np.random.default_rng(0)
    waiting = [(every, every)]
    while waiting:
        rows, around = waiting.pop()
        if rows.size <= most:
            done.append((rows, around))
            continue
        centred = numbers[rows] - numbers[rows].mean(axis=0)
        if not centred.any():
            mixed = rng.permutation(rows)
            waiting += [(half, half) for half in (np.sort(mixed[::2]), np.sort(mixed[1::2]))]
            continue
        direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
        height, around_height = numbers[rows] @ direction, numbers[around] @ direction
        half = rows.size // 2
        beyond = int(_OVERLAP * half)
        order = np.argpartition(height, (half - beyond, half, half + beyond))
        low, high = height[order[half - beyond]], height[order[half + beyond]]
        for part, near in ((order[:half], around_height <= high), (order[half:], around_height >= low)):
            # With many equal heights a part may hold rows that the cut by height leaves out.
            waiting.append((np.sort(rows[part]), np.union1d(around[near], rows[part])))
    return done


def _nearest_around(rows: Floats, part: Rows, around: Rows, k: int) -> Rows:
    """``(part, k)`` positions in ``around`` of the nearest rows there, without the row itself."""
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(rows[around])
    found = search.kneighbors(rows[part], return_distance=False)
    other = around[found] != part[:, None]
    other[other.all(axis=1), -1] = False
    return np.asarray(found[other].reshape(part.size, k))


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
