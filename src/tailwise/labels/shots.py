"""Shot regions: bins of the target with many, a medium number of, few or no training labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.gaps import Gaps
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.streaming import LabelDensity

REGIONS = ("many", "medium", "few", "zero")

_FIELD_ROWS, _FIELD_MANY, _FIELD_FEW = 12_208, 100, 20
_LEAST_MANY, _LEAST_FEW = 10.0, 2.0


@dataclass(frozen=True, eq=False)
class Shots:
    """Shot regions of labels, by the number of training rows in their bin.

    A bin with more than ``many`` training rows is many-shot, with fewer than ``few`` few-shot, with none zero-shot,
    and medium-shot in between (Yang et al., ICML 2021: more than 100, fewer than 20). Regions that a benchmark lists
    bin by bin come from :meth:`listed`.

    Args:
        bins: bins of the target; a grid of bins for K-dimensional labels.
        counts: ``(n_bins,)`` training rows in each bin.
        many: number of rows above which a bin is many-shot.
        few: number of rows below which a bin is few-shot.
        gaps: ranges that were removed from training, if any.
        given: ``(n_bins,)`` region of each bin as an index into ``REGIONS``, in place of counts and thresholds.
        mass: ``(n_bins,)`` how rows come, where that is not as the training rows do: the rows of each bin in all parts
            of a balanced split, or the sum of their weights. Regions follow the number of training rows all the same,
            since a model learns from rows.

    Raises:
        InputError: thresholds that are negative, or few above many; given regions that are not one per bin.

    Example:
        >>> shots = Shots(Bins.from_edges([0, 1, 2, 3, 4]), np.array([500, 50, 3, 0]), many=100, few=20)
        >>> shots.names([0.5, 1.5, 2.5, 3.5]).tolist()
        ['many', 'medium', 'few', 'zero']
    """

    bins: Bins | BinGrid | OutputBins
    counts: NDArray[np.int64]
    many: float
    few: float
    gaps: Gaps | None = None
    given: NDArray[np.int64] | None = None
    mass: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts, dtype=np.int64)
        if counts.shape != (self.bins.n_bins,):
            raise InputError(f"counts must have one number a bin, ({self.bins.n_bins},), got shape {counts.shape}")
        if not 0 <= self.few <= self.many:
            raise InputError(f"shot thresholds need 0 <= few <= many, got many={self.many!r}, few={self.few!r}")
        object.__setattr__(self, "counts", counts)
        if self.given is not None:
            given = np.asarray(self.given, dtype=np.int64)
            if given.shape != counts.shape or not ((given >= 0) & (given < len(REGIONS))).all():
                raise InputError(
                    f"given must have one of 0 to {len(REGIONS) - 1} a bin, ({self.bins.n_bins},), got {self.given!r}"
                )
            object.__setattr__(self, "given", given)
        if self.mass is not None and self.mass.shape != counts.shape:
            raise InputError(f"mass must have one number a bin, {counts.shape}, got shape {self.mass.shape}")

    @classmethod
    def from_labels(
        cls,
        y_train: ArrayLike | LabelDensity,
        bins: Bins | BinGrid | None = None,
        *,
        many: float | None = None,
        few: float | None = None,
        gaps: Gaps | None = None,
    ) -> Self:
        """Build regions from training labels.

        The default thresholds are n / 122.08 and n / 610.4, in proportion to the usual 100 and 20 at the 12,208 rows of
        AgeDB-DIR, and at least 10 and 2, because a few-shot bin has at least one row. A :class:`LabelDensity` in place
        of the labels gives the same regions. Bins that are not given are those of the density, or chosen from the
        labels.

        Raises:
            InputError: labels that are not ``(n,)`` or ``(n, K)``, or not finite; other bins than those of the density.
        """
        density = LabelDensity.of(y_train, bins)
        n = density.n
        return cls(
            density.bins,
            density.counts,
            many=max(n * _FIELD_MANY / _FIELD_ROWS, _LEAST_MANY) if many is None else many,
            few=max(n * _FIELD_FEW / _FIELD_ROWS, _LEAST_FEW) if few is None else few,
            gaps=gaps,
        )

    @classmethod
    def of_outputs(
        cls, y_train: NDArray[np.float64], bins: OutputBins, thresholds: "tuple[float, float] | None"
    ) -> Self:
        """Build the regions of ``(n, K)`` training labels of many dimensions: a row is as rare as its rarest label.

        Args:
            y_train: labels.
            bins: bins of each dimension.
            thresholds: many and few, by default those of :meth:`from_labels`.
        """
        n = len(y_train)
        by_rule = max(n * _FIELD_MANY / _FIELD_ROWS, _LEAST_MANY), max(n * _FIELD_FEW / _FIELD_ROWS, _LEAST_FEW)
        many, few = by_rule if thresholds is None else thresholds
        counts = bins.flat_counts
        given = np.where(counts == 0, 3, np.where(counts > many, 0, np.where(counts < few, 2, 1)))
        return cls(bins, bins.histogram(y_train), many=many, few=few, given=given)

    @classmethod
    def listed(
        cls,
        bins: Bins | BinGrid,
        counts: NDArray[np.int64],
        *,
        many: Sequence[int],
        medium: Sequence[int],
        gaps: Gaps | None = None,
    ) -> Self:
        """Build regions that a benchmark lists bin by bin; bins in no list, empty ones too, are few-shot.

        The regions follow the lists. The thresholds, for charts, approximate them: the lowest count of a bin listed as
        many-shot and the lowest count of a bin listed as medium-shot.

        Args:
            bins: bins of the target.
            counts: ``(n_bins,)`` training rows in each bin.
            many: many-shot bins, counted from 0.
            medium: medium-shot bins.
            gaps: ranges that were removed from training, if any.

        Raises:
            InputError: a bin that does not exist or is in both lists.

        Example:
            >>> bins = Bins.from_edges([0, 1, 2, 3])
            >>> shots = Shots.listed(bins, np.array([9, 30, 0]), many=[1], medium=[0])
            >>> shots.names([0.5, 1.5, 2.5]).tolist()
            ['medium', 'many', 'few']
        """
        counts = np.asarray(counts, dtype=np.int64)
        codes = np.full(bins.n_bins, REGIONS.index("few"), dtype=np.int64)
        for name, places in (("many", many), ("medium", medium)):
            for place in places:
                if not 0 <= place < bins.n_bins:
                    raise InputError(f"{name} lists bin {place!r}; there are {bins.n_bins}, from 0")
                if codes[place] != REGIONS.index("few"):
                    raise InputError(f"bin {place} is listed twice in the shot regions; list it once")
                codes[place] = REGIONS.index(name)
        least = float(counts[list(medium)].min()) if len(medium) else 0.0
        above = float(counts[list(many)].min()) - 1.0 if len(many) else float(counts.max(initial=0))
        return cls(bins, counts, many=max(above, least), few=least, gaps=gaps, given=codes)

    def weighted(self, y_train: ArrayLike, weight: NDArray[np.float64] | None) -> Self:
        """Return these regions for rows that come as these labels with weights ``(n,)`` do; as they are without.

        Example:
            >>> shots = Shots.from_labels([1.0, 1.0, 2.0], Bins.from_edges([0.5, 1.5, 2.5]))
            >>> shots.weighted([1.0, 1.0, 2.0], np.array([1.0, 1.0, 6.0])).population.tolist()
            [2.0, 6.0]
        """
        if weight is None:
            return self
        mass = np.bincount(self.bins.index(y_train), weight, self.bins.n_bins).astype(np.float64)
        bins = self.bins.weighted(np.asarray(y_train), weight) if isinstance(self.bins, OutputBins) else self.bins
        return replace(self, bins=bins, mass=mass)

    def of_output(self, j: int) -> "Shots":
        """Return the regions of one of K targets alone: its bins, and the training rows in each.

        Raises:
            InputError: regions of one target.

        Example:
            >>> grid = BinGrid((Bins.from_edges([0, 1, 2]), Bins.from_edges([0, 10, 20])))
            >>> shots = Shots.from_labels([[0.5, 5], [0.5, 15], [1.5, 15]], grid)
            >>> shots.of_output(0).counts.tolist(), shots.of_output(1).counts.tolist()
            ([2, 1], [1, 2])
        """
        if isinstance(self.bins, OutputBins):
            mass = None if self.bins.rows is None else self.bins.rows[j]
            return Shots(self.bins.axes[j], self.bins.counts[j], many=self.many, few=self.few, mass=mass)
        if not isinstance(self.bins, BinGrid):
            raise InputError("these regions are of one target; use them as they are")
        shape, others = self.bins.shape, tuple(axis for axis in range(len(self.bins.axes)) if axis != j)
        counts, mass = (
            None if values is None else values.reshape(shape).sum(axis=others) for values in (self.counts, self.mass)
        )
        return Shots(self.bins.axes[j], np.asarray(counts), many=self.many, few=self.few, mass=mass)

    @property
    def population(self) -> NDArray[Any]:
        """``(n_bins,)`` rows in each bin, or the sum of their weights: how rows come, on any scale."""
        return self.counts if self.mass is None else self.mass

    @property
    def scalar_bins(self) -> Bins:
        """Bins of a scalar target.

        Raises:
            InputError: regions of K-dimensional labels.
        """
        if not isinstance(self.bins, Bins):
            raise InputError(f"this is for one target; these regions are of {len(self.bins.axes)}")
        return self.bins

    @property
    def bin_codes(self) -> NDArray[np.int64]:
        """``(n_bins,)`` region of each bin as an index into ``REGIONS``."""
        if self.given is not None:
            return self.given
        counts = self.counts
        codes = np.where(counts > self.many, 0, np.where(counts < self.few, 2, 1))
        return np.where(counts == 0, 3, codes).astype(np.int64)

    def codes(self, y: ArrayLike) -> NDArray[np.int64]:
        """Return the region of each label, ``(n,)`` or ``(n, K)``, as an index into ``REGIONS``."""
        return self.bin_codes[self.bins.index(y)]

    def names(self, y: ArrayLike) -> NDArray[np.str_]:
        """Return the region of each label by name."""
        return np.asarray(REGIONS)[self.codes(y)]

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {
            "bins": self.bins.to_json(),
            "counts": self.counts.tolist(),
            "many": self.many,
            "few": self.few,
            "gaps": None if self.gaps is None else self.gaps.to_json(),
            **({} if self.given is None else {"given": self.given.tolist()}),
            **({} if self.mass is None else {"mass": self.mass.tolist()}),
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build regions from the values of :meth:`to_json`."""
        gaps, given, mass = saved.get("gaps"), saved.get("given"), saved.get("mass")
        kinds: dict[str, Any] = {"axes": BinGrid, "outputs": OutputBins}
        kind: Any = next((kinds[name] for name in kinds if name in saved["bins"]), Bins)
        return cls(
            kind.from_json(saved["bins"]),
            np.asarray(saved["counts"]),
            many=saved["many"],
            few=saved["few"],
            gaps=None if gaps is None else Gaps.from_json(gaps),
            given=None if given is None else np.asarray(given, dtype=np.int64),
            mass=None if mass is None else np.asarray(mass, dtype=np.float64),
        )
