"""From a table to everything training needs: columns, split, bins, regions; learnt from training rows only."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.cell_paths import with_full_paths
from tailwise.data.columns import Medium, Schema, require_column, target_names, target_rows
from tailwise.data.examples import PREFIX, load_example
from tailwise.data.preprocessing import read_table
from tailwise.data.rows import FrameRows, Rows, as_rows, open_folder
from tailwise.data.splits import SPLIT_COLUMN, SplitName, check_groups, split_rows
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.gaps import Gaps
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots

FEWEST_ROWS = 30
SAMPLE = 200_000
_LEAST_SPREAD = 1e-12


@dataclass(frozen=True)
class Source:
    """Where a table came from.

    Args:
        name: path, or ``example:NAME``.
        sha256: of the file's bytes, of the example's values, or of a folder's names, sizes and footers.
        rows: the table.
        notes: what was dropped or is worth knowing.
    """

    name: str
    sha256: str
    rows: Rows
    notes: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where relative paths in its cells start: the folder of the file."""
        return Path() if self.name.startswith(PREFIX) else Path(self.name).absolute().parent


@dataclass(frozen=True)
class PreparedTable:
    """A table ready for training.

    Args:
        rows: rows with a target, in the order of the source.
        row: ``(n,)`` position of each row in the source, from 0.
        y: ``(n,)`` target; of K > 1 target columns ``(n, K)``.
        part: ``(n,)`` of ``"train"``, ``"val"``, ``"test"``, ``"masked"`` (removed from training and validation).
        split: kind of split that was made.
        schema: feature columns.
        shots: bins and regions, from training labels.
        relevance: φ from training labels, if any value is extreme; none of several targets.
        notes: what the user should know.
    """

    rows: Rows
    row: NDArray[np.int64]
    y: NDArray[np.float64]
    part: NDArray[np.str_]
    split: SplitName
    schema: Schema
    shots: Shots
    relevance: Relevance | None
    notes: list[str]

    def rows_of(self, part: str) -> tuple[Rows, NDArray[np.float64]]:
        """Rows of one part and their targets."""
        here = np.flatnonzero(self.part == part)
        return self.rows.select(here), self.y[here]

    def note_resampling(self, name: str, rows: int) -> None:
        """Tell the user what a method made of the training rows."""
        before = int((self.part == "train").sum())
        self.notes.append(
            f"{name}: {before:,} training rows became {rows:,}; regions are those of the rows as they were"
        )

    def training_features(self) -> tuple[pd.DataFrame, NDArray[np.float64]]:
        """Features of the training rows as :meth:`Schema.features` gives them, and targets.

        Raises:
            InputError: rows that are not in memory.
        """
        rows, y = self.rows_of("train")
        if self.schema.media:
            kinds = " and ".join(dict.fromkeys(f"{medium.kind}s" for medium in self.schema.media))
            raise InputError(f"resampling and --model are for tables alone, not for {kinds}")
        if not rows.in_memory:
            raise InputError("this needs the rows in memory, for resampling or --model; give a file, not a folder")
        return self.schema.features(rows.frame()), y


def load_source(name: str, cache: Path | None = None) -> Source:
    """Read a file or an example; see :func:`tailwise.data.preprocessing.read_table`.

    Args:
        name: path, or ``example:NAME``.
        cache: where a folder of Parquet files is converted to; without it a folder is refused.
    """
    if name.startswith(PREFIX):
        frame, notes = load_example(name)
        digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()
        return Source(name, digest, FrameRows(frame), notes)
    if cache is not None and Path(name).is_dir():
        mapped, digest = open_folder(name, cache)
        return Source(str(name), digest, mapped)
    rows = FrameRows(read_table(name))
    with Path(name).open("rb") as file:
        return Source(str(name), hashlib.file_digest(file, "sha256").hexdigest(), rows)


def prepare_table(
    table: pd.DataFrame | Rows,
    target: str | Sequence[str],
    *,
    bin_width: float | None = None,
    n_bins: int | None = None,
    edges: Sequence[float] | None = None,
    shots: tuple[float, float] | None = None,
    regions: Mapping[str, Sequence[int]] | None = None,
    split: SplitName = "auto",
    split_column: str | None = None,
    group: str | None = None,
    drop: Sequence[str] = (),
    nominal: Sequence[str] = (),
    numeric: Sequence[str] = (),
    date: Sequence[str] = (),
    image: Sequence[str] = (),
    text: Sequence[str] = (),
    text_pair: Sequence[str] | None = None,
    signal: Sequence[str] = (),
    folder: str | Path | None = None,
    drop_missing_target: bool = False,
    mask_target: Sequence[tuple[float, float]] = (),
    seed: int = 0,
) -> PreparedTable:
    """Recognise columns, split rows, and choose bins and regions from the training labels.

    Args:
        table: the table. Of rows that are not in memory only the target, and columns that split or group, are read
            whole; the columns are recognised from a sample.
        target: target column; or two or three of one unit, which are predicted together.
        bin_width: width of the bins, target units; by default :meth:`Bins.auto`. Of several targets, width along each.
        n_bins: number of bins instead; of several targets, along each.
        edges: edges of the bins instead, target units; of one target.
        shots: explicit thresholds (many, few).
        regions: bins that are ``many`` and ``medium``, all others few, instead of thresholds; with ``edges`` alone.
        split: see :func:`tailwise.data.splits.split_rows`.
        split_column: column that says train, val or test; ``"split"`` if there is one.
        group: column whose groups are never split.
        drop: columns to leave out.
        nominal: columns to take as nominal.
        numeric: columns to take as numeric.
        date: columns to take as dates.
        image: columns that name image files.
        text: columns of texts.
        text_pair: two columns of texts that are read as a pair.
        signal: columns that name files of signals.
        folder: where relative paths of files start; the current folder if not given.
        drop_missing_target: drop rows without a target instead of refusing them.
        mask_target: ranges ``[low, high)`` of the target whose rows are removed from training and validation, not from
            test: what remains to be interpolated or extrapolated.
        seed: of the split.

    Raises:
        InputError: anything about the table or the choices that does not work, in one line.
    """
    rows = as_rows(table)
    names = rows.columns
    if len(names) < 2 or len(rows) == 0:
        raise InputError(
            f"the table has {len(rows)} rows and {len(names)} columns; "
            "a target and at least one feature are needed (is the separator right?)"
        )
    if bin_width is not None and n_bins is not None:
        raise InputError("give --bin-width or --bins, not both")
    if edges is not None and (bin_width is not None or n_bins is not None):
        raise InputError("give the edges of the bins, or their width or number, not both")
    if regions is not None and (edges is None or shots is not None or set(regions) != {"many", "medium"}):
        raise InputError(f"regions list the bins of given edges as many and medium, without shots; got {regions!r}")
    targets = target_names(target, names)
    _check_several(targets, edges=edges, mask_target=mask_target)
    values, there = target_rows(rows.frame(list(targets)), targets, drop=drop_missing_target)
    notes: list[str] = []
    if not there.all():
        notes.append(f"{int((~there).sum()):,} rows dropped: no target")
    row = np.flatnonzero(there)
    rows = rows if there.all() else rows.select(row)
    for name, column in zip(targets, _columns(values), strict=True):
        check_target(column, name)

    not_features: list[tuple[str, str]] = []
    if group is not None:
        if group in targets:
            raise InputError(f"--group names {group!r}, which is {'the' if len(targets) == 1 else 'a'} target")
        require_column(group, names, "--group")
        check_groups(rows.frame([group])[group])
        not_features.append((group, "group"))
    part, kind = split_rows(
        rows.frame([name for name in dict.fromkeys((group, split_column, SPLIT_COLUMN)) if name in names]),
        values,
        split=split,
        bins=_bins(values, bin_width, n_bins, edges),
        group=group,
        column=split_column,
        seed=seed,
    )
    if kind == "column":
        not_features.append((split_column or SPLIT_COLUMN, "split"))
    schema = Schema.infer(
        _sample(rows, seed),
        targets,
        drop=drop,
        nominal=nominal,
        numeric=numeric,
        date=date,
        not_features=not_features,
        media=media_columns(image, text, text_pair, signal),
    )
    rows = with_full_paths(rows, schema, Path(folder or ""))
    y_train = values[part == "train"]
    for name, column in zip(targets, _columns(y_train), strict=True):
        if column.min() == column.max():
            raise InputError(f"target {name!r} is constant in the {len(y_train)} training rows; choose another --split")
    bins = _bins(y_train, bin_width, n_bins, edges)  # with the masked rows, so that their range has bins of its own
    gaps = None
    if mask_target:
        gaps = Gaps.from_labels(y_train, mask_target)
        hidden = gaps.masks(values) & (part != "test")
        part = np.where(hidden, "masked", part)
        if not (part == "val").any():
            raise InputError("the masked ranges leave no validation row; mask less, or choose another --split")
        y_train = values[part == "train"]
        notes.append(f"{int(hidden.sum()):,} rows removed from training and validation: --mask-target")
    if regions is not None:
        of_bins = Shots.listed(bins, bins.histogram(y_train), many=regions["many"], medium=regions["medium"], gaps=gaps)
    else:
        many, few = shots if shots is not None else (None, None)
        of_bins = Shots.from_labels(y_train, bins, many=many, few=few, gaps=gaps)
    roles = {"group": "it says the group", "split": "it says the split"}
    notes += [f"column {name!r} is not an input: {roles.get(reason, reason)}" for name, reason in schema.unused.items()]
    fullest = int(of_bins.counts.max())
    crowd = np.unique(y_train[bins.index(y_train) == of_bins.counts.argmax()], axis=0)
    if 2 * fullest > len(y_train) and len(crowd) > 1:
        way_out = f"--bin-width {_narrower(crowd):g}" if crowd.ndim == 1 else "a smaller --bin-width"
        notes.append(
            f"one bin of {bins.n_bins} holds {fullest / len(y_train):.0%} of the training rows; "
            f"{way_out} would tell its labels apart"
        )
    relevance = Relevance.extremes(y_train) if y_train.ndim == 1 else None
    return PreparedTable(rows, row, values, part, kind, schema, of_bins, relevance, notes)


def _check_several(
    targets: Sequence[str], *, edges: Sequence[float] | None, mask_target: Sequence[tuple[float, float]]
) -> None:
    """Raise for choices that only one target can have."""
    if len(targets) == 1:
        return
    if mask_target:
        raise InputError(
            f"--mask-target removes a range of one target, and there are {len(targets)}; leave it out, or name one "
            "--target"
        )
    if edges is not None:
        raise InputError(f"edges are of one target, and there are {len(targets)}; give a width or number of bins")


def _columns(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Labels of each target, ``(K, n)``."""
    return np.atleast_2d(y.T)


def media_columns(
    image: Sequence[str], text: Sequence[str], text_pair: Sequence[str] | None, signal: Sequence[str]
) -> list[Medium]:
    """What the options of the same names call images, texts and signals."""
    if text_pair is not None and len(text_pair) != 2:
        raise InputError(f"--text-pair takes two columns, got {len(text_pair)}")
    singles = [*(("image", name) for name in image), *(("text", name) for name in text)]
    singles += [("signal", name) for name in signal]
    media = [Medium(kind, (name,)) for kind, name in singles]  # type: ignore[arg-type]
    return media if text_pair is None else [*media, Medium("text", tuple(text_pair))]


def check_target(y: NDArray[np.float64], target: str) -> None:
    """Raise unless there are enough labels to learn from, of more than one value, in a unit that floats can hold."""
    if len(y) < FEWEST_ROWS:
        raise InputError(f"the table has {len(y)} rows with a target; at least {FEWEST_ROWS} are needed")
    if y.min() == y.max():
        raise InputError(f"target {target!r} is constant ({y[0]:g} in every row); there is nothing to learn")
    if not _LEAST_SPREAD <= y.std() <= 1 / _LEAST_SPREAD:
        raise InputError(
            f"target {target!r} has a standard deviation of {y.std():g}; choose a unit in which it lies between "
            f"{_LEAST_SPREAD:g} and {1 / _LEAST_SPREAD:g}"
        )


def _sample(rows: Rows, seed: int) -> pd.DataFrame:
    """All rows if they are in memory or few, else some of them."""
    if rows.in_memory or len(rows) <= SAMPLE:
        return rows.frame()
    return rows.select(sample_of(len(rows), seed)).frame()


def sample_of(n: int, seed: int) -> NDArray[np.int64]:
    """Positions of a uniform sample of n rows, in order."""
    drawn = np.random.default_rng(seed).choice(n, min(n, SAMPLE), replace=False)
    drawn.sort()
    return drawn.astype(np.int64)


def _narrower(crowd: NDArray[np.float64]) -> float:
    """A round width that cuts these labels into about ten bins."""
    return float(np.median(Bins.count(crowd, 10).widths).round(2 - int(np.floor(np.log10(np.ptp(crowd))))))


def _bins(
    y: NDArray[np.float64], width: float | None, n_bins: int | None, edges: Sequence[float] | None = None
) -> Bins | BinGrid:
    if y.ndim == 2:
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
