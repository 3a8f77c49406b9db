"""Split rows into training, validation and test."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError, one_of, quoted, shown
from tailwise.data.cell_values import check_cells
from tailwise.data.split_keys import drawn_order, row_keys
from tailwise.labels.bin_grid import BinGrid, label_rows
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins

SplitName = Literal["auto", "column", "balanced", "random", "time"]
SPLITS = ("auto", "column", "balanced", "random")
PARTS = ("train", "val", "test")

SPLIT_COLUMN = "split"

_HELD_OUT_FRACTION = 0.13
_VALIDATION_FRACTION = 0.15
_MOST_CELLS = 0.5
_FEWEST_TIMES = 3
_SPELLINGS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


def split_column(values: pd.Series) -> NDArray[np.str_]:
    """Return the part of each row from a column with train, val (valid, validation, dev) or test.

    A column without validation rows is allowed: :func:`split_rows` takes some of the training rows.

    Raises:
        InputError: any other value, or no row for training or test.
    """
    check_cells(values)
    coded = values.astype("category")
    parts = [_SPELLINGS.get(str(value).strip().lower()) for value in coded.cat.categories]
    wrong = sorted({str(value) for value, part in zip(coded.cat.categories, parts, strict=True) if part is None})
    if coded.isna().any():
        wrong.append("an empty cell")
    if wrong:
        raise InputError(f"column {values.name!r} must have train, val or test in every row, but has {quoted(wrong)}")
    return _all_present(np.asarray(parts, dtype=str)[coded.cat.codes], f"column {values.name!r}", ("train", "test"))


def looks_like_split(values: pd.Series) -> bool:
    """Return whether most cells of a column are train, val or test."""
    check_cells(values)
    coded = values.astype("category")
    is_part = np.array([str(value).strip().lower() in _SPELLINGS for value in coded.cat.categories] + [False])
    return bool(is_part[coded.cat.codes].mean() > _MOST_CELLS)


def balanced_split(
    y: ArrayLike,
    bins: Bins | BinGrid | OutputBins,
    *,
    groups: ArrayLike | None = None,
    keys: NDArray[np.str_] | None = None,
    seed: int = 0,
    cap: int | None = None,
) -> NDArray[np.str_]:
    """Split with balanced validation and test parts, the field's protocol (Yang et al., ICML 2021).

    Of each bin, min(n_b // 3, cap) rows go to validation, as many to test, and the rest to training; the cap is 30 for
    AgeDB-DIR and 150 for IMDB-WIKI-DIR. With groups, whole groups are drawn in random order; a group goes to test or
    validation if at least half of its rows are still needed there.

    Args:
        y: ``(n,)`` labels, or ``(n, K)`` with a grid of bins; then the cells of the grid are the bins.
        bins: bins of the target. They only stratify; the bins used in training come from the training rows.
        groups: ``(n,)`` group of each row; no group is in two parts.
        keys: ``(n,)`` different key of each row: the rows are drawn by them, and not by their places.
        seed: random seed of the shuffling.
        cap: maximum rows of a bin in validation, and in test; by default the largest cap with at most 13 % of the rows
            in validation (30 for AgeDB-DIR).

    Returns:
        ``(n,)`` of ``"train"``, ``"val"``, ``"test"``.

    Raises:
        InputError: too few groups, or no row for one of the parts.
    """
    index = bins.index(label_rows(y))
    counts = np.bincount(index, minlength=bins.n_bins)
    if cap is None:
        caps = np.arange(1, max(int(counts.max()) // 3, 1) + 1)
        sizes = np.minimum(counts[:, None] // 3, caps[None, :]).sum(axis=0)
        cap = int(caps[max(int((sizes <= _HELD_OUT_FRACTION * index.size).sum()) - 1, 0)])
    wanted = np.minimum(counts // 3, cap)
    parts = np.full(index.size, "train")
    if groups is not None:
        rng = np.random.default_rng(seed)
        return _all_present(_by_group(np.asarray(groups), index, wanted, rng, parts), "the split by groups")
    order = drawn_order(index.size, seed, keys)
    order = order[np.argsort(index[order], kind="stable")]
    rank = np.arange(index.size) - np.repeat(np.cumsum(counts) - counts, counts)
    quota = np.repeat(wanted, counts)
    parts[order[rank < quota]] = "val"
    parts[order[(rank >= quota) & (rank < 2 * quota)]] = "test"
    return _all_present(parts, "the balanced split")


def random_split(
    n: int,
    *,
    groups: ArrayLike | None = None,
    keys: NDArray[np.str_] | None = None,
    seed: int = 0,
    share: float = 0.15,
) -> NDArray[np.str_]:
    """Split at random: a fraction ``share`` of the rows or groups to validation, as much to test, the rest to train.

    Rows with different ``keys`` are drawn by them, and not by their places.

    Raises:
        InputError: too few rows or groups for three parts.
    """
    names, member = (
        (np.arange(n), np.arange(n)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)
    )
    held_out = max(1, round(share * names.size))
    order = drawn_order(names.size, seed, keys)
    part = np.full(names.size, "train")
    part[order[:held_out]] = "val"
    part[order[held_out : 2 * held_out]] = "test"
    return _all_present(part[member], "the random split")


def check_groups(groups: pd.Series) -> None:
    """Raise unless a column can serve as groups: no empty cell, at least three groups."""
    check_cells(groups)
    if groups.isna().any():
        raise InputError(
            f"group column {groups.name!r} has {int(groups.isna().sum())} empty cells; fill or drop those rows"
        )
    n = groups.nunique()
    if n < len(PARTS):
        what = "one group" if n == 1 else f"{n} groups"
        raise InputError(f"group column {groups.name!r} has {what}; train, val and test need at least 3")


def split_rows(
    frame: pd.DataFrame,
    y: NDArray[np.float64],
    *,
    split: SplitName = "auto",
    bins: Bins | BinGrid | OutputBins,
    group: str | None = None,
    column: str | None = None,
    key: str | None = None,
    seed: int = 0,
    time: tuple[str, NDArray[np.float64]] | None = None,
) -> tuple[NDArray[np.str_], SplitName]:
    """Return the part of each row, and the kind of split.

    ``auto`` takes the column that is given, or a column ``split`` whose cells are mostly train, val or test, and
    otherwise the balanced split, or with the name and the ``(n,)`` values of a column of the time the split by time.
    The column must have one of the three in every row. Rows are drawn by a ``key`` that is given, and not by their
    places.

    Raises:
        InputError: an unknown split, options that do not fit it, or a split that cannot be made.
    """
    one_of(split, "`split`", SPLITS if time is None else (*SPLITS, "time"))
    if column is not None and split in ("balanced", "random"):
        raise InputError(f"`split_column` {column!r} is given, but `split={split!r}` does not use it; leave one out")
    if split == "auto":
        has_split = SPLIT_COLUMN in frame and looks_like_split(frame[SPLIT_COLUMN])
        split = "column" if column is not None or has_split else "balanced" if time is None else "time"
    if key is not None and time is not None:
        raise InputError(f"`split_key` {key!r} draws rows, and `time` {time[0]!r} orders them; leave one out")
    if split == "time" and time is not None:
        return time_split(time[1], time[0]), "time"
    if key is not None and group is not None:
        raise InputError(f"`split_key` {key!r} draws rows, and `group` {group!r} whole groups; leave one out")
    keys = None if key is None else row_keys(frame[key])
    column = column or SPLIT_COLUMN
    if split == "column":
        if column not in frame:
            raise InputError(f"`split='column'` needs a column {column!r} with train, val or test in every row")
        parts = split_column(frame[column])
        if group is not None:
            spread = pd.Series(parts).groupby(frame[group].to_numpy()).nunique()
            if (spread > 1).any():
                raise InputError(
                    f"group {spread.index[spread > 1][0]!r} of column {group!r} is in several parts of {column!r}"
                )
        groups = None if group is None else _codes(frame[group])
        if not (parts == "val").any():
            return _with_validation(parts, groups, keys, seed), "column"
        if key is not None:
            raise InputError(f"`split_key` {key!r} draws a split, and column {column!r} holds one; leave one out")
        return parts, "column"
    groups = None if group is None else _codes(frame[group])
    if split == "random":
        return random_split(len(y), groups=groups, keys=keys, seed=seed), "random"
    return balanced_split(y, bins, groups=groups, keys=keys, seed=seed), "balanced"


def time_split(times: NDArray[np.float64], name: str = "time") -> NDArray[np.str_]:
    """Return the part of each row: the earliest are trained on, then come those of validation, then those of test.

    Some 70, 15 and 15 % of the rows; rows of one time stay together.

    Args:
        times: ``(n,)`` times.
        name: of the column, for messages.

    Raises:
        InputError: fewer than three different times.

    Example:
        >>> time_split(np.array([3.0, 1.0, 2.0, 1.0])).tolist()
        ['test', 'train', 'val', 'train']
    """
    different, place, counts = np.unique(times, return_inverse=True, return_counts=True)
    if len(different) < _FEWEST_TIMES:
        raise InputError(
            f"`time` column {shown(name)} has {len(different)} different times; train, val and test need at least "
            f"{_FEWEST_TIMES}"
        )
    through = counts.cumsum() / counts.sum()  # fraction of the rows up to each time
    last = len(different) - 1
    train = int(np.clip(np.abs(through - (1 - 2 * _VALIDATION_FRACTION)).argmin(), 0, last - 2))
    val = int(np.clip(np.abs(through - (1 - _VALIDATION_FRACTION)).argmin(), train + 1, last - 1))
    return np.where(place <= train, "train", np.where(place <= val, "val", "test"))


def _with_validation(
    parts: NDArray[np.str_], groups: NDArray[np.int64] | None, keys: NDArray[np.str_] | None, seed: int
) -> NDArray[np.str_]:
    """Return the parts with 15 % of the training rows, or of their groups, for validation."""
    train = np.flatnonzero(parts == "train")
    member = np.arange(len(train)) if groups is None else np.unique(groups[train], return_inverse=True)[1]
    order = drawn_order(int(member.max()) + 1, seed, None if keys is None else keys[train])
    held = np.isin(member, order[: max(1, round(_VALIDATION_FRACTION * order.size))])
    if held.all():
        raise InputError("the split leaves one group for training and validation; add validation rows or groups")
    divided = parts.copy()
    divided[train[held]] = "val"
    return divided


def _codes(groups: pd.Series) -> NDArray[np.int64]:
    """Return the index of each row's group in the sorted names of the groups."""
    coded = groups.astype("category")
    _, number = np.unique(coded.cat.categories.astype(str), return_inverse=True)
    return np.asarray(number, dtype=np.int64)[coded.cat.codes]


def _by_group(
    groups: NDArray[np.generic],
    index: NDArray[np.int64],
    wanted: NDArray[np.int64],
    rng: np.random.Generator,
    parts: NDArray[np.str_],
) -> NDArray[np.str_]:
    names, member = np.unique(groups, return_inverse=True)
    rows_by_group = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    missing = {"test": wanted.copy(), "val": wanted.copy()}
    for g in rng.permutation(names.size):
        rows = rows_by_group[g]
        held = np.bincount(index[rows], minlength=wanted.size)
        fits = {part: np.minimum(held, left).sum() for part, left in missing.items()}
        part = max(fits, key=lambda p: fits[p])
        if 2 * fits[part] >= rows.size:
            parts[rows] = part
            missing[part] = np.maximum(missing[part] - held, 0)
    # If no group fits a part, the part gets the training group that fits it best.
    for part in missing:
        if not (parts == part).any():
            left = [g for g in range(names.size) if (parts[rows_by_group[g]] == "train").all()]
            if len(left) > 1:
                gain = [
                    np.minimum(np.bincount(index[rows_by_group[g]], minlength=wanted.size), wanted).sum() for g in left
                ]
                parts[rows_by_group[left[int(np.argmax(gain))]]] = part
    return parts


def _all_present(parts: NDArray[np.str_], what: str, needed: Sequence[str] = PARTS) -> NDArray[np.str_]:
    for part in needed:
        if not (parts == part).any():
            raise InputError(f"{what} leaves no row for {part!r}; give more rows or groups, or another `split`")
    return parts
