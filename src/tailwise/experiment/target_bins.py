"""Bins of the labels of a table, and what can be wrong with a choice of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError, shown
from tailwise._numbers import number
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins, spreads_apart
from tailwise.labels.shots import Shots


def bins_for(
    y: NDArray[np.float64], width: float | None, n_bins: int | None, edges: Sequence[float] | None = None
) -> Bins | BinGrid | OutputBins:
    """Return bins of labels, ``(n,)`` or ``(n, K)``: by width, number or edges, else by rule.

    Two or three dimensions of about one unit have a grid, others bins of their own.
    """
    if y.ndim == 2:
        if y.shape[1] > BinGrid.MOST_AXES or spreads_apart(y):
            return OutputBins.from_labels(y, [_bins_of_one(column, width, n_bins, None) for column in y.T])
        if width is None and n_bins is None:
            return BinGrid.auto(y)
        return BinGrid(tuple(_bins_of_one(column, width, n_bins, None) for column in y.T))
    return _bins_of_one(y, width, n_bins, edges)


def _bins_of_one(
    y: NDArray[np.float64], width: float | None, n_bins: int | None, edges: Sequence[float] | None
) -> Bins:
    if edges is not None:
        return Bins.from_edges(edges)
    if width is not None:
        return Bins.width(y, width)
    return Bins.auto(y) if n_bins is None else Bins.count(y, n_bins)


def weighted_bins(
    bins: Bins | BinGrid | OutputBins, weights: Mapping[str, float], targets: Sequence[str]
) -> Bins | BinGrid | OutputBins:
    """Return bins of several targets with the weights of these; targets that are not named weigh 1."""
    if not weights or isinstance(bins, Bins):
        return bins
    return replace(bins, weights=tuple(weights.get(name, 1.0) for name in targets))


def check_bins(
    bin_width: float | None,
    n_bins: int | None,
    edges: Sequence[float] | None,
    shots: tuple[float, float] | None,
    regions: Mapping[str, Sequence[int]] | None,
) -> None:
    """Raise for choices of bins and regions that contradict each other."""
    if bin_width is not None and n_bins is not None:
        raise InputError("give `bin_width` or `n_bins`, not both")
    if edges is not None and (bin_width is not None or n_bins is not None):
        raise InputError("give the edges of the bins, or their width or number, not both")
    if regions is not None and (edges is None or shots is not None or set(regions) != {"many", "medium"}):
        raise InputError(f"regions list the bins of given edges as many and medium, without shots; got {regions!r}")


def check_several(
    targets: Sequence[str], *, edges: Sequence[float] | None, mask_target: Sequence[tuple[float, float]]
) -> None:
    """Raise for choices that only one target can have."""
    if len(targets) == 1:
        return
    if mask_target:
        raise InputError(
            f"`mask_target` removes a range of one target, and there are {len(targets)}; leave it out, or name one "
            "`target`"
        )
    if edges is not None:
        raise InputError(f"edges are of one target, and there are {len(targets)}; give a width or number of bins")


def note_on_units(targets: Sequence[str], bins: Bins | BinGrid | OutputBins) -> list[str]:
    """Return a note where two or three targets are scaled by their own spreads, as four and more always are."""
    if not isinstance(bins, OutputBins) or len(targets) > BinGrid.MOST_AXES:
        return []
    spreads = ", ".join(
        f"{shown(name)} {number(spread)}" for name, spread in zip(targets, bins.spread.tolist(), strict=True)
    )
    return [
        f"standard deviations of the targets are far apart ({spreads}): each target is scaled by its own, has bins of "
        "its own, and errors of all together are in standard deviations"
    ]


def note_on_crowded_bin(y_train: NDArray[np.float64], shots: Shots) -> list[str]:
    """Return a note where one bin holds most training rows, of more than one label."""
    if isinstance(shots.bins, OutputBins):
        return []
    bins, fullest = shots.bins, int(shots.counts.max())
    crowd = np.unique(y_train[bins.index(y_train) == shots.counts.argmax()], axis=0)
    if 2 * fullest <= len(y_train) or len(crowd) < 2:
        return []
    way_out = f"`bin_width={_narrower(crowd):g}`" if crowd.ndim == 1 else "a smaller `bin_width`"
    return [
        f"one bin of {bins.n_bins} holds {fullest / len(y_train):.0%} of the training rows; "
        f"{way_out} would tell its labels apart"
    ]


def _narrower(crowd: NDArray[np.float64]) -> float:
    """Return a round width that cuts these labels into about ten bins."""
    return float(np.median(Bins.count(crowd, 10).widths).round(2 - int(np.floor(np.log10(np.ptp(crowd))))))
