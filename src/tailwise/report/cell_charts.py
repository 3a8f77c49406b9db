"""Charts of two targets over the cells of their grid: training rows, and errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise._numbers import number
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.errors import error_sizes, in_units
from tailwise.report.drawing import OURS, REGION_COLORS, Drawing, drawing, short

Array = NDArray[np.float64]

_MOST_OF_AN_AXIS = 40
_FAINTEST = 0.2


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Blocks of neighbouring cells of a grid of two targets, few enough to be drawn.

    Args:
        edges: edges of the columns and of the rows, target units.
        of_cell: ``(n_bins,)`` block of each cell; blocks are numbered column by column.
    """

    edges: tuple[Array, Array]
    of_cell: NDArray[np.int64]

    @classmethod
    def of(cls, shots: Shots) -> Self:
        if not isinstance(shots.bins, BinGrid) or len(shots.bins.axes) != len(("x", "y")):
            raise InputError(f"a chart of cells needs a grid of two targets, got {shots.bins!r}")
        edges, places = [], []
        for bins in shots.bins.axes:
            first = np.arange(0, bins.n_bins, -(-bins.n_bins // _MOST_OF_AN_AXIS))
            edges.append(bins.edges[np.append(first, bins.n_bins)].astype(np.float64))
            places.append(np.searchsorted(first, np.arange(bins.n_bins), side="right") - 1)
        across, up = edges
        return cls((across, up), np.add.outer(places[0] * (up.size - 1), places[1]).ravel())

    @property
    def n(self) -> int:
        return (self.edges[0].size - 1) * (self.edges[1].size - 1)

    def sums(self, index: NDArray[np.int64], values: NDArray[np.generic] | None = None) -> Array:
        """Return the number of cells, or the sum of their values, in each block."""
        return np.bincount(self.of_cell[index], weights=values, minlength=self.n).astype(np.float64)

    def ends(self, block: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the ends of a block along both targets."""
        across, up = self.edges
        column, row = divmod(block, up.size - 1)
        return (float(across[column]), float(across[column + 1])), (float(up[row]), float(up[row + 1]))

    def name(self, block: int, targets: Sequence[str]) -> str:
        """Return a block as text."""
        pairs = zip(targets, self.ends(block), strict=True)
        return ", ".join(f"{target} {' to '.join(number(float(f'{e:.3g}')) for e in ends)}" for target, ends in pairs)


def cells_chart(shots: Shots, targets: Sequence[str]) -> str:
    """Draw the training rows in each cell of two targets, in the colour of its region: the more, the stronger."""
    blocks = _Blocks.of(shots)
    cells = np.arange(shots.counts.size)
    together = blocks.sums(cells)
    rows = blocks.sums(cells, shots.counts) / np.maximum(together, 1)
    merged = bool(together.max() > 1)
    codes = np.select([rows == 0, rows > shots.many, rows < shots.few], [3, 0, 2], 1) if merged else shots.bin_codes
    of_region = [int(shots.counts[shots.bin_codes == i].sum()) for i in range(len(REGIONS))]
    each = ", ".join(f"{n:,} where they are {r}" for r, n in zip(REGIONS, of_region, strict=True) if n)
    top = int(rows.argmax())
    alt = (
        f"Training rows in {shots.counts.size:,} cells of {' and '.join(targets)}: {each}; "
        f"{(shots.counts == 0).sum():,} cells have none. The fullest: {blocks.name(top, targets)}, {number(rows[top])}."
    )
    share = np.log1p(rows) / np.log1p(rows.max())
    with drawing(alt, 5.6, 4.2, grid=None, near="xy") as drawn:
        filled = np.flatnonzero(rows)
        faces = [to_rgba(REGION_COLORS[REGIONS[codes[i]]], _FAINTEST + (1 - _FAINTEST) * share[i]) for i in filled]
        _draw(drawn, blocks, filled, faces, targets)
        for i, region in enumerate(REGIONS[:3]):
            if (codes[filled] == i).any():
                drawn.axes.scatter([], [], marker="s", s=40, color=REGION_COLORS[region], linewidth=0, label=region)
        for i in filled.tolist():
            count = f"{number(rows[i])} rows a cell" if merged else _rows(rows[i])
            _label(drawn, blocks, i, f"{blocks.name(i, targets)}: {count}, {REGIONS[codes[i]]}")
        several = f", mean of {together.max():.0f}" if merged else ""
        drawn.title(f"{short(targets[1])} (colour: training rows a cell{several})")
        drawn.legend()
    return drawn.svg


def cell_error_chart(y_true: Array, y_pred: Array, shots: Shots, targets: Sequence[str]) -> str:
    """Draw the mean distance between prediction and true value in each cell of two targets: the larger, the stronger.

    Args:
        y_true: ``(n, 2)`` labels.
        y_pred: ``(n, 2)`` predictions.
        shots: regions on a grid.
        targets: names of the two targets.
    """
    blocks, index = _Blocks.of(shots), shots.bins.index(y_true)
    rows = blocks.sums(index)
    mean = blocks.sums(index, error_sizes(*in_units(y_true, y_pred, shots.bins))) / np.maximum(rows, 1)
    filled = np.flatnonzero(rows)
    low, high = filled[mean[filled].argmin()], filled[mean[filled].argmax()]
    span = " to ".join(number(float(f"{mean[i]:.3g}")) for i in (low, high))
    alt = (
        f"Mean distance between prediction and true value by cell of {' and '.join(targets)}, over {filled.size:,} "
        f"cells with test rows: smallest at {blocks.name(low, targets)} with {number(mean[low])}, largest at "
        f"{blocks.name(high, targets)} with {number(mean[high])}."
    )
    share = mean / max(mean[high], 1e-300)
    with drawing(alt, 5.6, 4.2, grid=None, near="xy") as drawn:
        faces = [to_rgba(OURS, _FAINTEST + (1 - _FAINTEST) * share[i]) for i in filled]
        _draw(drawn, blocks, filled, faces, targets)
        for i in filled.tolist():
            _label(drawn, blocks, i, f"{blocks.name(i, targets)}: mean distance {number(mean[i])} ({_rows(rows[i])})")
        drawn.title(f"{short(targets[1])} (colour: mean distance, {span})")
    return drawn.svg


def _draw(
    drawn: Drawing,
    blocks: _Blocks,
    filled: NDArray[np.int64],
    faces: Sequence[tuple[float, float, float, float]],
    targets: Sequence[str],
) -> None:
    """Fill blocks with their colours, and label the axes."""
    corners = []
    for i in filled.tolist():
        (left, right), (low, high) = blocks.ends(i)
        corners.append([(left, low), (right, low), (right, high), (left, high)])
    drawn.axes.add_collection(PolyCollection(corners, facecolors=faces, edgecolors="none"))
    across, up = blocks.edges
    drawn.axes.set(xlim=(across[0], across[-1]), ylim=(up[0], up[-1]))
    drawn.axes.set_xlabel(short(targets[0]))


def _rows(n: float) -> str:
    return "1 row" if n == 1 else f"{n:,.0f} rows"


def _label(drawn: Drawing, blocks: _Blocks, i: int, text: str) -> None:
    (left, right), (low, high) = blocks.ends(i)
    drawn.tell((left + right) / 2, (low + high) / 2, text)
