"""Label ranges without training rows: interpolation between training labels, and extrapolation beyond them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, label_array

GAP_REGIONS = ("seen", "interpolation", "extrapolation")


@dataclass(frozen=True)
class Gaps:
    """Ranges of the target that were removed from training, and the range of the remaining labels.

    After Yang et al. (ICML 2021), regions of the target are the labels outside the ranges (seen, whether or not a
    training row has such a label), removed labels between training labels (interpolation), and removed labels beyond
    them (extrapolation).

    Args:
        ranges: half-open ranges ``[low, high)``, target units.
        low: lowest remaining training label.
        high: highest remaining training label.

    Example:
        >>> gaps = Gaps.from_labels([1.0, 2.0, 5.0, 8.0, 20.0], [(3, 7), (10, 99)])
        >>> gaps.names([2.0, 5.0, 15.0]).tolist()
        ['seen', 'interpolation', 'extrapolation']
    """

    ranges: tuple[tuple[float, float], ...]
    low: float
    high: float

    @classmethod
    def from_labels(cls, y_train: ArrayLike, ranges: Sequence[tuple[float, float]]) -> Self:
        """Build from ranges and all training labels.

        Ranges that meet or overlap are merged.

        Raises:
            InputError: a range that is empty or has no training label; fewer than two different labels outside all
                ranges.
        """
        for pair in ranges:
            if np.shape(pair) != (2,):
                raise InputError(f"`mask_target`: a range is a pair (low, high), got {pair!r}")
        checked = [(float(low), float(high)) for low, high in ranges]
        y = label_array(y_train, "y_train")
        for low, high in checked:
            if not (np.isfinite([low, high]).all() and low < high):
                raise InputError(f"`mask_target` needs low < high, both finite, got {low:g},{high:g}")
            if not _inside(y, [(low, high)]).any():
                raise InputError(
                    f"`mask_target` {low:g},{high:g} removes nothing: no target of the training rows lies in "
                    f"{low:g} to {high:g}; they run from {y.min():g} to {y.max():g}"
                )
        kept = y[~_inside(y, checked)]
        if kept.size == 0:
            raise InputError("`mask_target` leaves no training row; mask less")
        if kept.min() == kept.max():
            raise InputError(f"`mask_target` leaves training rows with a single label, {kept[0]:g}; mask less")
        return cls(_merged(checked), float(kept.min()), float(kept.max()))

    def masks(self, y: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each label lies in a removed range."""
        return _inside(np.asarray(y, dtype=np.float64), self.ranges)

    def codes(self, y: ArrayLike) -> NDArray[np.int64]:
        """Return the region of each label as an index into ``GAP_REGIONS``."""
        labels = np.asarray(y, dtype=np.float64)
        between = (labels > self.low) & (labels < self.high)
        return np.where(~self.masks(labels), 0, np.where(between, 1, 2)).astype(np.int64)

    def names(self, y: ArrayLike) -> NDArray[np.str_]:
        """Return the region of each label by name."""
        return np.asarray(GAP_REGIONS)[self.codes(y)]

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {"ranges": [list(pair) for pair in self.ranges], "low": self.low, "high": self.high}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build from the values of :meth:`to_json`."""
        return cls(tuple((low, high) for low, high in saved["ranges"]), saved["low"], saved["high"])


def _merged(ranges: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Sort ranges and merge those that meet or overlap."""
    merged: list[tuple[float, float]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def _inside(y: NDArray[np.float64], ranges: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Return whether each label lies in one of the ranges."""
    inside = np.zeros(y.shape, dtype=bool)
    for low, high in ranges:
        inside |= (y >= low) & (y < high)
    return inside
