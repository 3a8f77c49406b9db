"""Shot regions: where the training labels are many, medium, few or none."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise.labels.bins import Bins
from tailwise.labels.gaps import Gaps
from tailwise.labels.streaming import LabelDensity

REGIONS = ("many", "medium", "few", "zero")

_FIELD_ROWS, _FIELD_MANY, _FIELD_FEW = 12_208, 100, 20
_LEAST_MANY, _LEAST_FEW = 10.0, 2.0


@dataclass(frozen=True, eq=False)
class Shots:
    """Region of every label by how many training rows share its bin.

    A bin with more than ``many`` training rows is many-shot, with fewer than ``few`` few-shot, with none zero-shot,
    and medium-shot in between (Yang et al., ICML 2021: more than 100, fewer than 20).

    Args:
        bins: bins of the target.
        counts: ``(n_bins,)`` training rows in each bin.
        many: rows above which a bin is many-shot.
        few: rows below which a bin is few-shot.
        gaps: ranges that were removed from training, if any.

    Raises:
        InputError: thresholds that are negative or where few exceeds many.

    Example:
        >>> shots = Shots(Bins.from_edges([0, 1, 2, 3, 4]), np.array([500, 50, 3, 0]), many=100, few=20)
        >>> shots.names([0.5, 1.5, 2.5, 3.5]).tolist()
        ['many', 'medium', 'few', 'zero']
    """

    bins: Bins
    counts: NDArray[np.int64]
    many: float
    few: float
    gaps: Gaps | None = None

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, dtype=np.int64)
        if counts.shape != (self.bins.n_bins,):
            raise InputError(f"counts must have one number a bin, ({self.bins.n_bins},), got shape {counts.shape}")
        if not 0 <= self.few <= self.many:
            raise InputError(f"shot thresholds need 0 <= few <= many, got many={self.many!r}, few={self.few!r}")
        object.__setattr__(self, "counts", counts)

    @classmethod
    def from_labels(
        cls,
        y_train: ArrayLike | LabelDensity,
        bins: Bins | None = None,
        *,
        many: float | None = None,
        few: float | None = None,
        gaps: Gaps | None = None,
    ) -> Self:
        """Regions from training labels; thresholds default to the field's 100 and 20 at 12,208 rows, in proportion.

        That is n / 122.08 and n / 610.4, and exactly 100 and 20 for AgeDB-DIR. Below 1,221 rows they stay at 10 and 2,
        since a bin with less than one row and more than none cannot exist. A :class:`LabelDensity` in place of the
        labels gives the same regions. Bins that are not given are the density's, or chosen from the labels.

        Raises:
            InputError: labels that are not ``(n,)`` or not finite, other bins than those of the density.
        """
        density = LabelDensity.of(y_train, bins)
        if not isinstance(density.bins, Bins):
            raise InputError(f"shot regions are of scalar labels, got {density!r}")
        n = density.n
        return cls(
            density.bins,
            density.counts,
            many=max(n * _FIELD_MANY / _FIELD_ROWS, _LEAST_MANY) if many is None else many,
            few=max(n * _FIELD_FEW / _FIELD_ROWS, _LEAST_FEW) if few is None else few,
            gaps=gaps,
        )

    @property
    def bin_codes(self) -> NDArray[np.int64]:
        """``(n_bins,)`` region of each bin as an index into ``REGIONS``."""
        counts = self.counts
        codes = np.where(counts > self.many, 0, np.where(counts < self.few, 2, 1))
        return np.where(counts == 0, 3, codes).astype(np.int64)

    def codes(self, y: ArrayLike) -> NDArray[np.int64]:
        """Region of each label as an index into ``REGIONS``."""
        return self.bin_codes[self.bins.index(y)]

    def names(self, y: ArrayLike) -> NDArray[np.str_]:
        """Region of each label by name."""
        return np.asarray(REGIONS)[self.codes(y)]

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads back exactly."""
        return {
            "bins": self.bins.to_json(),
            "counts": self.counts.tolist(),
            "many": self.many,
            "few": self.few,
            "gaps": None if self.gaps is None else self.gaps.to_json(),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        gaps = saved.get("gaps")
        return cls(
            Bins.from_json(saved["bins"]),
            np.asarray(saved["counts"]),
            many=saved["many"],
            few=saved["few"],
            gaps=None if gaps is None else Gaps.from_json(gaps),
        )
