"""Summaries and counts of labels that come in batches, in constant memory."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise.labels.bin_grid import BinGrid, label_rows
from tailwise.labels.bins import Bins, pieces

Batches = Callable[[], Iterable[ArrayLike]]


@dataclass(frozen=True)
class LabelSummary:
    """Number, range, mean and spread of labels, enough to choose bins; the defaults summarise no labels.

    Args:
        n: number of labels.
        low: lowest label, target units.
        high: highest label, target units.
        whole: whether all labels are whole numbers.
        mean: target units.
        m2: sum of squared differences from the mean, target units squared.

    Example:
        >>> one, other = LabelSummary.of([1.0, 2.0]), LabelSummary.of([6.0])
        >>> merged = one.merge(other)
        >>> merged.n, merged.low, merged.high, merged.whole, merged.mean, round(merged.std, 3)
        (3, 1.0, 6.0, True, 3.0, 2.16)
    """

    n: int = 0
    low: float = np.inf
    high: float = -np.inf
    whole: bool = True
    mean: float = 0.0
    m2: float = 0.0

    @classmethod
    def of(cls, y: ArrayLike) -> Self:
        """Summarise ``(n,)`` labels of any floating-point or whole-number type.

        Raises:
            InputError: labels of another shape, NaN or infinite ones.
        """
        values = finite_labels(y, 1)
        summary = cls()
        for rows in pieces(values.size):
            labels = values[rows].astype(np.float64, copy=False)
            # One label with a fraction settles the question for all.
            whole = summary.whole and bool((labels == np.rint(labels)).all())
            mean = float(labels.mean())
            m2 = float(np.square(labels - mean).sum())
            summary = summary.merge(cls(labels.size, float(labels.min()), float(labels.max()), whole, mean, m2))
        return summary

    def merge(self, other: "LabelSummary") -> Self:
        """Return the summary of both sets of labels."""
        n = self.n + other.n
        if n == 0:
            return self
        gap, fraction = other.mean - self.mean, other.n / n
        return type(self)(
            n,
            min(self.low, other.low),
            max(self.high, other.high),
            self.whole and other.whole,
            self.mean + gap * fraction,
            self.m2 + other.m2 + gap * gap * self.n * fraction,
        )

    @property
    def std(self) -> float:
        """Standard deviation of the labels, target units; NaN without labels."""
        return float(np.sqrt(self.m2 / self.n)) if self.n else np.nan

    def bins(self) -> Bins:
        """Choose the bins that :meth:`Bins.auto` gives for all the labels.

        Raises:
            InputError: no labels, or all equal ones.
        """
        return Bins.from_summary(n=self.n, low=self.low, high=self.high, whole=self.whole)


class LabelDensity:
    """Number of labels in each bin, counted batch by batch; enough for weights by bins and for shot regions.

    Takes the place of the training labels in :func:`tailwise.weights.by_density.density_weights` and the other weights
    by bins and in :meth:`tailwise.labels.shots.Shots.from_labels`, with the same result. Counts are whole numbers, so
    neither the order nor the partition of the labels matters.

    Args:
        bins: bins of the target; a grid of bins for K-dimensional labels.

    Attributes:
        counts: ``(n_bins,)`` int64 number of labels in each bin.

    Example:
        >>> bins = Bins.from_edges([0, 1, 2, 3])
        >>> monday = LabelDensity(bins).partial_fit([0.5, 2.5]).partial_fit([0.1])
        >>> monday.merge(LabelDensity(bins).partial_fit([2.0])).counts.tolist()
        [2, 0, 2]
        >>> LabelDensity.from_batches(lambda: ([1.0, 2.0], [2.0, 9.0])).n
        4
    """

    def __init__(self, bins: Bins | BinGrid) -> None:
        self.bins = bins
        self.counts: NDArray[np.int64] = np.zeros(bins.n_bins, dtype=np.int64)

    @classmethod
    def from_batches(cls, batches: Batches, bins: Bins | BinGrid | None = None) -> Self:
        """Count the labels of all batches; without ``bins``, the batches are read twice to choose the bins first.

        Args:
            batches: function without arguments that returns arrays of labels, ``(n,)`` or ``(n, K)``; a new iterator at
                each call.
            bins: bins of the target; if not given, those that ``auto`` chooses for all labels.

        Raises:
            InputError: labels that are not finite, or a different number of labels at the second reading.
        """
        if not callable(batches):
            raise InputError(f"batches must be a function that gives an iterator, got {batches!r}; write lambda: ...")
        expected = None
        if bins is None:
            bins, expected = _auto_bins(batches())
        density = cls(bins)
        for y in batches():
            density.partial_fit(y)
        if expected is not None and density.n != expected:
            raise InputError(
                f"batches gave {expected:,} labels at first and {density.n:,} when called again; "
                "it must start from the beginning at each call, or bins be given"
            )
        return density

    @classmethod
    def of(cls, y_train: "ArrayLike | LabelDensity", bins: Bins | BinGrid | None = None) -> "LabelDensity":
        """Return the density of ``(n,)`` or ``(n, K)`` training labels; a density is returned as it is.

        Raises:
            InputError: no labels, labels that are not finite, bins that differ from those of a given density.
        """
        if isinstance(y_train, LabelDensity):
            density = y_train
        else:
            labels = np.asarray(y_train)
            density = cls.from_batches(lambda: (labels,), bins)
        if density.n == 0:
            raise InputError("y_train is empty; at least one label is needed")
        if bins is not None and not _same(bins, density.bins):
            raise InputError(f"y_train was counted in {density.bins!r}, not in {bins!r}; leave the bins out")
        return density

    @property
    def n(self) -> int:
        """Number of labels."""
        return int(self.counts.sum())

    def partial_fit(self, y: ArrayLike) -> Self:
        """Count more labels, ``(n,)`` or ``(n, K)``, of any floating-point or whole-number type; they may be empty.

        Raises:
            InputError: labels of another shape, NaN or infinite labels; then no label of the batch is counted.
        """
        values = np.asarray(y)
        ndim = 2 if isinstance(self.bins, BinGrid) else 1
        if values.ndim != ndim:
            raise InputError(
                f"labels (n,) go with Bins and labels (n, K) with a BinGrid, got {values.shape} with {self.bins!r}"
            )
        values = finite_labels(values, ndim)
        self.counts = self.counts + self.bins.histogram(values)
        return self

    def merge(self, other: "LabelDensity") -> "LabelDensity":
        """Return the density of both sets of labels.

        Raises:
            InputError: bins that differ.
        """
        if not _same(self.bins, other.bins):
            raise InputError(
                f"densities merge if their bins have the same edges, but these are {self.bins!r} and {other.bins!r}; "
                "choose the bins once, e.g. LabelSummary.bins(), and give them to each"
            )
        merged = LabelDensity(self.bins)
        merged.counts = self.counts + other.counts
        return merged

    def to_json(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_json` reads back exactly."""
        return {"bins": self.bins.to_json(), "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Self:
        """Build a density from the values of :meth:`to_json`."""
        bins = saved["bins"]
        density = cls(BinGrid.from_json(bins) if "axes" in bins else Bins.from_json(bins))
        density.counts = np.asarray(saved["counts"], dtype=np.int64)
        return density

    def __repr__(self) -> str:
        return f"LabelDensity({self.n:,} labels, {self.bins!r})"


def _auto_bins(batches: Iterable[ArrayLike]) -> tuple[Bins | BinGrid, int]:
    """Choose bins for all labels, and count the labels."""
    shape: tuple[int, ...] | None = None
    columns: list[LabelSummary] = []
    for batch in batches:
        y = np.asarray(batch)
        if shape is None:
            shape, columns = y.shape[1:], [LabelSummary()] * (y.shape[1] if y.ndim == 2 else 1)
        if y.ndim not in (1, 2) or y.shape[1:] != shape:
            raise InputError(f"labels must be (n,) or (n, K), with one K in all batches, got shape {y.shape}")
        dimensions = y.T if y.ndim == 2 else y[None]
        columns = [summary.merge(LabelSummary.of(labels)) for summary, labels in zip(columns, dimensions, strict=True)]
    if not columns:
        raise InputError("there are no labels; at least one is needed")
    if shape == ():
        return columns[0].bins(), columns[0].n
    grid = BinGrid.from_summary(
        n=columns[0].n,
        low=[column.low for column in columns],
        high=[column.high for column in columns],
        whole=[column.whole for column in columns],
    )
    return grid, columns[0].n


def _same(one: Bins | BinGrid, other: Bins | BinGrid) -> bool:
    """Return whether bins have the same edges."""
    return one is other or one.to_json() == other.to_json()


def finite_labels(y: ArrayLike, ndim: int) -> NDArray[Any]:
    """Return labels as an array without changing their type, ``(n,)`` or ``(n, K)``; raise if they are not finite."""
    values = np.asarray(y)
    if values.ndim != ndim:
        rule = "one-dimensional, (n,)" if ndim == 1 else "two-dimensional, (n, K)"
        raise InputError(f"y must be {rule}, got shape {values.shape}")
    if values.dtype.kind not in "fiub":
        values = values.astype(np.float64)
    if values.dtype.kind == "f":
        finite = sum(int(np.count_nonzero(np.isfinite(values[rows]))) for rows in pieces(len(values)))
        if finite < values.size:
            raise InputError(
                f"y has {values.size - finite:,} labels that are NaN or infinite; drop or impute them first"
            )
    return values


def labels_themselves(y_train: ArrayLike | LabelDensity, needed_by: str) -> NDArray[np.float64]:
    """Return training labels as :func:`label_rows` does; raise if they are only counted in bins."""
    if isinstance(y_train, LabelDensity):
        raise InputError(
            f"{needed_by} needs the labels themselves, and y_train only counts them in bins ({y_train!r}); "
            "give labels, a random part of them if they are too many, or take weights by bins, e.g. lds_weights"
        )
    return label_rows(y_train, "y_train")
