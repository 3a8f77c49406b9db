"""From an index table to everything a training on dense maps needs: split, bins, regions, counts of pixels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, did_you_mean, positive, true_or_false, whole
from tailwise.data.cell_paths import cells
from tailwise.data.splits import SPLIT_COLUMN, SplitName, check_groups, looks_like_split, split_rows
from tailwise.data.targets import require_column
from tailwise.labels.bins import Bins
from tailwise.labels.shots import Shots
from tailwise.labels.streaming import LabelDensity, LabelSummary
from tailwise.modalities.map_files import MapRows, open_maps

FEWEST_IMAGES = 6
_SAMPLE = 500_000
_AT_ONCE = 64
_LEAST_SIDE = 64


@dataclass(frozen=True)
class MapSettings:
    """How files of maps are read: what ``--set depth.NAME=VALUE`` gives.

    Args:
        scale: target units of 1 in a file (0.001 for millimetres as metres).
        size: height and width that images are stretched to; that of the images if not given.
        mask: column of masks for the test rows, of which a pixel that is not 0 counts.
        augment: whether training images are mirrored at random, with their maps, and their colours changed.

    Raises:
        InputError: a scale or size that cannot be.
    """

    scale: float = 1.0
    size: tuple[int, int] | None = None
    mask: str | None = None
    augment: bool = True

    def __post_init__(self) -> None:
        positive(self.scale, "depth.scale")
        true_or_false(self.augment, "depth.augment")
        if self.size is not None:
            given = self.size if isinstance(self.size, tuple | list) else (self.size,)
            if len(given) != 2:
                raise InputError(f"depth.size takes [height, width], got {self.size!r}")
            height, width = (whole(side, "depth.size", least=_LEAST_SIDE, most=8192) for side in given)
            object.__setattr__(self, "size", (height, width))

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "MapSettings":
        """Settings by name.

        Raises:
            InputError: an unknown name.
        """
        known = cls.__dataclass_fields__
        for name in params:
            if name not in known:
                raise InputError(f"'depth' has no parameter {name!r}{did_you_mean(name, known)}")
        return cls(**params)


@dataclass(frozen=True)
class PreparedMaps:
    """Images with their maps, ready for training.

    Args:
        rows: all rows.
        part: ``(n,)`` of ``"train"``, ``"val"``, ``"test"``.
        split: kind of split that was made.
        shots: bins and regions, from all training pixels.
        counts: all training pixels, counted.
        pixels: ``(n,)`` random training pixels, for what needs labels themselves.
        notes: what the user should know.
    """

    rows: MapRows
    part: NDArray[np.str_]
    split: SplitName
    shots: Shots
    counts: LabelDensity
    pixels: NDArray[np.float64]
    notes: list[str]

    def places(self, part: str) -> list[int]:
        """Positions of the rows of a part."""
        return [int(i) for i in np.flatnonzero(self.part == part)]


def prepare_maps(
    frame: pd.DataFrame,
    folder: Path,
    image: str,
    depth: str,
    *,
    settings: MapSettings,
    bin_width: float | None = None,
    n_bins: int | None = None,
    edges: Sequence[float] | None = None,
    shots: tuple[float, float] | None = None,
    regions: Mapping[str, Sequence[int]] | None = None,
    split: SplitName = "auto",
    split_column: str | None = None,
    group: str | None = None,
    seed: int = 0,
) -> PreparedMaps:
    """Check the files of an index table, split its rows, and count the training pixels.

    Args:
        frame: the table.
        folder: where relative paths start.
        image: column of images.
        depth: column of maps.
        settings: how files are read.
        bin_width: width of the bins, target units; by default as for other targets, :meth:`Bins.auto`.
        n_bins: number of bins instead.
        edges: edges of the bins instead, target units.
        shots: pixels of a bin above which it is many-shot, below which few-shot; by default in the field's proportion.
        regions: bins that are ``many`` and ``medium``, all others few, instead of thresholds; with ``edges`` alone.
        split: ``"column"``, ``"random"``, or ``"auto"``: the column if there is one.
        split_column: column that says train, val or test; ``"split"`` if there is one.
        group: column whose groups are never split.
        seed: of the split, and of the random pixels.

    Raises:
        InputError: columns or files that are missing, broken or do not belong together, too few rows.
    """
    for name, role in ((image, "--image"), (depth, "--depth"), (settings.mask, "depth.mask"), (group, "--group")):
        if name is not None:
            require_column(name, list(frame.columns), role)
    if bin_width is not None and n_bins is not None:
        raise InputError("give --bin-width or --bins, not both")
    if split == "balanced":
        raise InputError("--split balanced is for one target a row; maps are split by column or at random")
    if len(frame) < FEWEST_IMAGES:
        raise InputError(f"the table has {len(frame)} rows; at least {FEWEST_IMAGES} images are needed")
    if group is not None:
        check_groups(frame[group])
    said = split_column is not None or (SPLIT_COLUMN in frame and looks_like_split(frame[SPLIT_COLUMN]))
    part, kind = split_rows(
        frame,
        np.zeros(len(frame)),
        split="random" if split == "auto" and not said else split,
        bins=Bins.from_edges([0, 1]),
        group=group,
        column=split_column,
        seed=seed,
    )
    rows = open_rows(frame, folder, image, depth, settings, of=part == "test")
    if min(rows.size) < _LEAST_SIDE:
        raise InputError(
            f"images are {rows.size[0]} x {rows.size[1]}; maps need images of at least {_LEAST_SIDE} pixels a side, "
            f"e.g. --set depth.size=[{_LEAST_SIDE},{_LEAST_SIDE}]"
        )
    train = [int(i) for i in np.flatnonzero(part == "train")]
    summary, pixels = _surveyed(rows, train, seed)
    if summary.n == 0 or summary.low == summary.high:
        raise InputError(f"the maps of column {depth!r} have no two different known pixels in training")
    bins = _bins(summary, bin_width, n_bins) if edges is None else Bins.from_edges(edges)
    counts = LabelDensity(bins)
    for truth in _truths(rows, train):
        counts.partial_fit(truth[~np.isnan(truth)])
    if regions is not None:
        of_bins = Shots.listed(bins, counts.counts, many=regions["many"], medium=regions["medium"])
    else:
        many, few = shots if shots is not None else (None, None)
        of_bins = Shots.from_labels(counts, many=many, few=few)
    total = sum(rows.shapes[i][0] * rows.shapes[i][1] for i in train)
    notes = [f"{1 - summary.n / total:.1%} of the training pixels are unknown"] if summary.n < total else []
    return PreparedMaps(rows, part, kind, of_bins, counts, pixels, notes)


def open_rows(
    frame: pd.DataFrame,
    folder: Path,
    image: str,
    depth: str | None,
    settings: MapSettings,
    *,
    of: NDArray[np.bool_] | None = None,
) -> MapRows:
    """Rows of an index table with their files checked; see :func:`tailwise.modalities.map_files.open_maps`.

    Args:
        frame: the table.
        folder: where relative paths start.
        image: column of images.
        depth: column of maps; ``None`` to predict.
        settings: how files are read.
        of: ``(n,)`` rows of which masks are read; all if not given.
    """
    masks: list[str | None] = []
    if depth is not None and settings.mask is not None:
        there = frame[settings.mask].notna().to_numpy() & (True if of is None else of)
        found = frame[settings.mask]
        masks = [str(folder / str(cell)) if use else None for cell, use in zip(found, there, strict=True)]
    return open_maps(
        (image, depth or "", settings.mask),
        _paths(frame, image, folder),
        [] if depth is None else _paths(frame, depth, folder),
        masks,
        scale=settings.scale,
        size=settings.size,
    )


def _paths(frame: pd.DataFrame, column: str, folder: Path) -> list[str]:
    empty = frame[column].isna()
    if empty.any():
        raise InputError(
            f"column {column!r} has {int(empty.sum())} empty cells, the first in row "
            f"{int(empty.to_numpy().argmax()) + 1}; remove those rows"
        )
    return [str(folder / cell) for cell in cells(frame, column)]


def _truths(rows: MapRows, places: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(places), _AT_ONCE):
        yield from rows.truths(places[start : start + _AT_ONCE])


def _surveyed(rows: MapRows, places: Sequence[int], seed: int) -> tuple[LabelSummary, NDArray[np.float64]]:
    """Summary of all known pixels of some rows, and random ones of each map."""
    rng = np.random.default_rng(seed)
    each = max(1, _SAMPLE // len(places))
    summary, drawn = LabelSummary(), []
    for truth in _truths(rows, places):
        known = truth[~np.isnan(truth)]
        if known.size:
            summary = summary.merge(LabelSummary.of(known))
            share = round(each * known.size / truth.size) or 1  # a map with few known pixels has few in the sample
            drawn.append(known if known.size <= share else rng.choice(known, share, replace=False))
    pixels = np.concatenate(drawn).astype(np.float64) if drawn else np.empty(0)
    return summary, pixels


def _bins(summary: LabelSummary, width: float | None, n_bins: int | None) -> Bins:
    ends = [summary.low, summary.high]
    if width is not None:
        return Bins.width(ends, width)
    return summary.bins() if n_bins is None else Bins.count(ends, n_bins)
