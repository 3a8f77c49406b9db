"""A task of dense maps: an index table with its split, bins, regions and counts of pixels, ready for training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.source import Source
from tailwise.data.splits import SPLIT_COLUMN, SplitName, check_groups, looks_like_split, split_rows
from tailwise.data.targets import require_column
from tailwise.labels.bins import Bins
from tailwise.labels.shots import Shots
from tailwise.labels.streaming import LabelDensity, LabelSummary
from tailwise.modalities.map_rows import MapRows, Truths, map_rows
from tailwise.modalities.map_schema import LEAST_SIDE, MapSchema, MapSettings

FEWEST_IMAGES = 6
_SAMPLE = 500_000


@dataclass(frozen=True)
class PreparedMaps:
    """Images with their maps, ready for training; the counterpart of :class:`tailwise.data.task.Task`.

    Args:
        rows: all rows.
        row: ``(n,)`` position of each row in the source, from 0.
        part: ``(n,)`` of ``"train"``, ``"val"``, ``"test"``.
        split: kind of split.
        schema: columns, and how their files are read.
        shots: bins and regions, from all training pixels.
        counts: counts of all training pixels.
        pixels: ``(m,)`` random training pixels, for methods that need labels themselves.
        notes: notes for the user, those on how the index table was read included.
        source: source of the index table, if it is known.
        choices: how the table was prepared, as plain values.
    """

    rows: MapRows
    row: NDArray[np.int64]
    part: NDArray[np.str_]
    split: SplitName
    schema: MapSchema
    shots: Shots
    counts: LabelDensity
    pixels: NDArray[np.float64]
    notes: list[str]
    source: Source | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)

    def rows_of(self, part: str) -> tuple[MapRows, Truths]:
        """Return the rows of one part and their maps, which are read when they are iterated."""
        rows = self.rows.select(np.flatnonzero(self.part == part))
        return rows, Truths(rows)

    def sizes(self) -> dict[str, int]:
        """Return the number of rows by part."""
        return {part: int((self.part == part).sum()) for part in ("train", "val", "test")}


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
        bin_width: width of the bins, target units; by default chosen as for other targets, :meth:`Bins.auto`.
        n_bins: number of bins instead.
        edges: edges of the bins instead, target units.
        shots: thresholds (many, few) in pixels per bin; by default in the field's proportion.
        regions: bins that are ``many`` and ``medium``, all others few, instead of thresholds; with ``edges`` alone.
        split: ``"column"``, ``"random"``, or ``"auto"``: the column if there is one.
        split_column: column that says train, val or test; ``"split"`` if there is one.
        group: column whose groups are never split.
        seed: of the split, and of the random pixels.

    Raises:
        InputError: columns or files that are missing, broken or do not belong together, too few rows.
    """
    schema = MapSchema(image, depth, settings)
    _check_choices(frame, schema, bin_width=bin_width, n_bins=n_bins, split=split, group=group)
    part, kind = _split(frame, split, split_column, group, seed)
    rows = map_rows(frame, folder, schema, masked=part == "test")
    if min(rows.size) < LEAST_SIDE:
        raise InputError(
            f"images are {rows.size[0]} x {rows.size[1]}; maps need images of at least {LEAST_SIDE} pixels a side, "
            f"e.g. `depth.size=[{LEAST_SIDE},{LEAST_SIDE}]`"
        )
    train = rows.select(np.flatnonzero(part == "train"))
    summary, pixels = _survey(train, seed)
    if summary.n == 0 or summary.low == summary.high:
        raise InputError(f"the maps of column {depth!r} have no two different known pixels in training")
    bins = _bins(summary, bin_width, n_bins) if edges is None else Bins.from_edges(edges)
    counts = LabelDensity(bins)
    for truth in Truths(train):
        counts.partial_fit(truth[~np.isnan(truth)])
    if regions is not None:
        of_bins = Shots.listed(bins, counts.counts, many=regions["many"], medium=regions["medium"])
    else:
        many, few = shots if shots is not None else (None, None)
        of_bins = Shots.from_labels(counts, many=many, few=few)
    total = sum(height * width for height, width in train.shapes)
    notes = [f"{1 - summary.n / total:.1%} of the training pixels are unknown"] if summary.n < total else []
    return PreparedMaps(rows, np.arange(len(rows)), part, kind, schema, of_bins, counts, pixels, notes)


def prepare_map_table(source: Source, image: str, depth: str, *, settings: MapSettings, **choices: Any) -> PreparedMaps:
    """Prepare the index table of a source, which the task then knows; arguments as in :func:`prepare_maps`."""
    task = prepare_maps(source.rows.frame(), source.folder, image, depth, settings=settings, **choices)
    return replace(task, source=source, choices=choices, notes=[*source.notes, *task.notes])


def _check_choices(
    frame: pd.DataFrame,
    schema: MapSchema,
    *,
    bin_width: float | None,
    n_bins: int | None,
    split: SplitName,
    group: str | None,
) -> None:
    mask = schema.settings.mask
    for name, role in ((schema.image, "`image`"), (schema.depth, "`depth`"), (mask, "depth.mask"), (group, "`group`")):
        if name is not None:
            require_column(name, list(frame.columns), role)
    if bin_width is not None and n_bins is not None:
        raise InputError("give `bin_width` or `n_bins`, not both")
    if split == "balanced":
        raise InputError("`split='balanced'` is for one target a row; maps are split by column or at random")
    if len(frame) < FEWEST_IMAGES:
        raise InputError(f"the table has {len(frame)} rows; at least {FEWEST_IMAGES} images are needed")
    if group is not None:
        check_groups(frame[group])


def _split(
    frame: pd.DataFrame, split: SplitName, split_column: str | None, group: str | None, seed: int
) -> tuple[NDArray[np.str_], SplitName]:
    """Return the part of each row, and the kind of split; without a column that names parts it is random."""
    by_column = split_column is not None or (SPLIT_COLUMN in frame and looks_like_split(frame[SPLIT_COLUMN]))
    return split_rows(
        frame,
        np.zeros(len(frame)),
        split="random" if split == "auto" and not by_column else split,
        bins=Bins.from_edges([0, 1]),
        group=group,
        column=split_column,
        seed=seed,
    )


def _survey(rows: MapRows, seed: int) -> tuple[LabelSummary, NDArray[np.float64]]:
    """Return a summary of all known pixels of rows, and random pixels of each map."""
    rng = np.random.default_rng(seed)
    each = max(1, _SAMPLE // len(rows))
    summary, drawn = LabelSummary(), []
    for truth in Truths(rows):
        known = truth[~np.isnan(truth)]
        if known.size:
            summary = summary.merge(LabelSummary.of(known))
            number = round(each * known.size / truth.size) or 1  # in proportion to the map's known pixels
            drawn.append(known if known.size <= number else rng.choice(known, number, replace=False))
    pixels = np.concatenate(drawn).astype(np.float64) if drawn else np.empty(0)
    return summary, pixels


def _bins(summary: LabelSummary, width: float | None, n_bins: int | None) -> Bins:
    ends = [summary.low, summary.high]
    if width is not None:
        return Bins.width(ends, width)
    return summary.bins() if n_bins is None else Bins.count(ends, n_bins)
