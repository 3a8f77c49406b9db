"""Distances over numeric and nominal columns as Euclidean distances, nearest neighbours, safe distances."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from tailwise._checks import InputError, one_of
from tailwise.sampling.mixed_table import Floats, Rows, Table

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
    """Distance between rows: the Euclidean distance between the encoded rows.

    Args:
        centre: ``(q,)`` subtracted from the numeric columns, for precision only.
        scale: ``(q,)`` divisor of the numeric columns; 0 for a constant column, which does not count.
        points: for each nominal column, ``(places, d)`` points that encode its values.
        places: for each nominal column, ``(values,)`` index of the point of each value.
    """

    centre: Floats
    scale: Floats
    points: tuple[Floats, ...]
    places: tuple[Rows, ...]

    @classmethod
    def of(cls, name: Distance, table: Table, labels: Floats) -> "Metric":
        """Fit a distance by name to the rows of a table.

        ``"heom"``: differences over the range of a column, and 1 between different nominal values. ``"hvdm"``:
        differences over four standard deviations, and √Σ_c (P(c|a) - P(c|b))² between nominal values a and b, where c
        are the fifths of the target by its quantiles. ``"euclidean"``: unscaled differences, no nominal columns.

        For a nominal column with more than 256 values, ``"heom"`` distinguishes the 255 most frequent values of the
        table and merges all others, which limits memory to 256 numbers per row and column.

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
        """Encode rows so that their Euclidean distances are those of the metric."""
        scaled = self.scaled(numbers - self.centre)
        nominal = zip(self.points, self.places, codes.T, strict=True)
        return np.hstack([scaled, *(points[places[values]] for points, places, values in nominal)])

    def scaled(self, differences: Floats) -> Floats:
        """Return differences of numeric columns over their scale, 0 in columns of scale 0."""
        return np.asarray(differences / np.where(self.scale > 0, self.scale, np.inf))


def _overlap_points(table: Table) -> tuple[tuple[Floats, ...], tuple[Rows, ...]]:
    """Encode nominal values as corners of a simplex, at distance 1 from each other."""
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
    """Encode nominal values as the distribution of the target's fifths among their rows."""
    classes = np.searchsorted(np.quantile(labels, np.arange(1, _CLASSES) / _CLASSES), labels, side="right")
    points = []
    for codes in table.codes.T:
        counts = np.bincount(codes * _CLASSES + classes, minlength=(codes.max() + 1) * _CLASSES)
        of_value = counts.reshape(-1, _CLASSES)
        points.append(of_value / of_value.sum(axis=1, keepdims=True))
    return tuple(points), tuple(np.arange(len(of_value)) for of_value in points)


def nearest(encoded: Floats, k: int, n_numeric: int | None = None) -> NDArray[np.int64] | None:
    """Find the k nearest other rows, ``(m, k)`` positions; ``None`` if all rows are equal.

    Neighbours differ from the row and from each other: equal rows are represented by the first, because interpolation
    between equal rows gives no new row. With fewer different rows k is lowered, with a warning.

    Neighbours are exact among 8,192 different rows, and among any number of rows in up to 7 columns, where a search
    tree helps. More rows are halved across the direction of largest variance of their numeric columns until no part has
    more than 4,096; the neighbours of a part are searched in the part and in the adjacent quarter across each cut. If
    no numeric column varies, each half is drawn at random (the same at each call), so the neighbours are those among a
    random part of the rows.

    Args:
        encoded: ``(m, d)`` rows, compared by Euclidean distance.
        k: neighbours of each row.
        n_numeric: number of leading columns of ``encoded`` that are numeric; all if not given.
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
    """Split rows into parts of no more than ``most`` rows, each with the rows in and around it, ascending."""
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
        overlap = int(_OVERLAP * half)
        order = np.argpartition(height, (half - overlap, half, half + overlap))
        low, high = height[order[half - overlap]], height[order[half + overlap]]
        for part, near in ((order[:half], around_height <= high), (order[half:], around_height >= low)):
            # With many equal heights a part may contain rows that the cut by height leaves out.
            waiting.append((np.sort(rows[part]), np.union1d(around[near], rows[part])))
    return done


def _nearest_around(rows: Floats, part: Rows, around: Rows, k: int) -> Rows:
    """Find ``(part, k)`` positions in ``around`` of the nearest rows, without the row itself."""
    search = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(rows[around])
    positions = search.kneighbors(rows[part], return_distance=False)
    other = around[positions] != part[:, None]
    other[other.all(axis=1), -1] = False
    return np.asarray(positions[other].reshape(part.size, k))


def _distinct(encoded: Floats) -> tuple[Rows, Rows]:
    """Return the first row of each group of equal rows, and the group of each row."""
    rows = np.ascontiguousarray(encoded + 0.0)  # -0.0 becomes 0.0
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, group = np.unique(as_bytes, return_index=True, return_inverse=True)
    return first.astype(np.int64), group.reshape(-1).astype(np.int64)


def safe_distances(encoded: Floats, rng: np.random.Generator) -> Floats:
    """Return ``(m,)`` half the median of the distances from each row to the others; needs at least two rows.

    With more than 1,024 rows, the median is taken over the distances to 1,024 rows, drawn at random.
    """
    m = len(encoded)
    others = encoded if m <= _MEDIAN_ROWS else encoded[rng.choice(m, _MEDIAN_ROWS, replace=False, shuffle=False)]
    # Without drawing, one distance is that of the row to itself, 0 and the smallest; it does not count.
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
    """Return targets between those of two rows: (d₂ y₁ + d₁ y₂) / (d₁ + d₂), the mean if both distances are 0."""
    first, second = ends
    to_first, to_second = distances
    total = to_first + to_second
    fraction = np.divide(to_first, total, out=np.full_like(total, 0.5), where=total > 0)
    mixed = first + fraction * (second - first)
    return np.clip(mixed, np.minimum(first, second), np.maximum(first, second))
