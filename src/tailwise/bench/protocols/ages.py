"""Common to AgeDB-DIR and IMDB-WIKI-DIR: the released list of images, the split by age, the recipe, synthetic faces."""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from tailwise._checks import InputError
from tailwise.bench.protocols.base import SPLIT, Index, need_columns, need_files, pillow
from tailwise.bench.protocols.downloads import read_download
from tailwise.data.splits import split_column

SEED, LAST_AGE = 666, 120
METRICS = ("mae", "gm")
LOSS = "l1"
PARAMS: Mapping[str, Any] = {"image": {"encoder": "resnet50", "size": 224, "crop": 16, "flip": True}}
RECIPE: Mapping[str, Any] = {
    "epochs": 90,
    "batch_size": 256,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "patience": None,
    "criterion": "mae",
}
PARTS: Mapping[str, Mapping[str, Any]] = {
    "inv": {"clip": [5, 1000]},
    "fds": {"clip": [0.1, 10.0]},
    "focal_l1": {"beta": 0.2},
}
METHODS = ("vanilla", "sqinv+lds", "sqinv+fds", "sqinv+lds+fds", "sqinv+ranksim", "conr")
QUICK = ("image.encoder=cnn", "image.size=32", "image.crop=2", "recipe.batch_size=32")
SMALL = (
    "image.size=64",
    "image.crop=4",
    "image.encoder=resnet18",
    "recipe.batch_size=64",
    "recipe.epochs=20",
)
DEVIATIONS = (
    "the learning rate falls along half a cosine; published: times 0.1 after epochs 60 and 80",
    "gradients are clipped at norm 1; published: not clipped",
    "the formulas of LDS, FDS, RankSim and ConR are those of the papers; the published numbers are those of code that "
    "differs from them (`lds.compat=reference` and so on); its FDS leaves out some ages at both ends",
)


def age_split(ages: ArrayLike, cap: int) -> NDArray[np.str_]:
    """Split as published: of each age min(n // 3, cap) images to validation, as many to test, the rest to training.

    Python's generator is seeded with 666 once; then the images of each age from 0 to 120 are shuffled in turn, the
    first go to validation and the next to test. Older ages go to training (Yang et al., ICML 2021).

    Args:
        ages: ``(n,)`` whole ages, in the order of the released list.
        cap: 30 for AgeDB-DIR, 150 for IMDB-WIKI-DIR.

    Returns:
        ``(n,)`` of ``"train"``, ``"val"``, ``"test"``.

    Example:
        >>> age_split([30] * 7 + [31] * 2, cap=30).tolist().count("val")
        2
    """
    whole = np.asarray(ages)
    parts = np.full(whole.size, "train")
    shuffler = random.Random(SEED)
    for age in range(LAST_AGE + 1):
        rows = np.flatnonzero(whole == age).tolist()
        shuffler.shuffle(rows)
        k = min(len(rows) // 3, cap)
        parts[rows[:k]] = "val"
        parts[rows[k : 2 * k]] = "test"
    return parts


def read_ages(folder: Path, name: str, cap: int, from_images: Callable[[Path], pd.DataFrame]) -> Index:
    """Return the images of a data folder with age and split.

    The released list takes precedence, with its split; without a column ``split``, its rows are split as published.
    Without the list, images are looked up in the folder and split by the same rule: the counts of each age are the
    published ones, the images are not, as the rule depends on the order of the list.

    Args:
        folder: data folder.
        name: name of the released list, a CSV with ``age``, ``path`` and ``split``.
        cap: maximum images of an age in validation, and in test.
        from_images: return ``path`` and ``age`` of the images if there is no list.
    """
    file = folder / name
    if file.is_file():
        listed = read_download(file)
        need_columns(listed, file, ("age", "path"))
        frame = pd.DataFrame({"path": listed["path"].astype(str), "age": _whole(listed["age"], file.name)})
        if SPLIT in listed:
            parts, how = split_column(listed[SPLIT]), f"released: column split of {name}"
        else:
            parts, how = age_split(frame["age"], cap), f"by the published rule in the order of {name}"
    else:
        frame = from_images(folder)
        parts = age_split(frame["age"], cap)
        how = f"by the published rule in the order of the files, as {name} is absent: not the published rows"
    paths = need_files("path", [folder / path for path in frame["path"]])
    return Index(frame.assign(path=paths, **{SPLIT: parts}), how, ("path",))


def _whole(ages: pd.Series, name: str) -> pd.Series:
    numbers = pd.to_numeric(ages, errors="coerce")
    if numbers.isna().any() or (numbers < 0).any():
        raise InputError(f"column 'age' of {name!r} must hold ages of at least 0 in every row")
    return numbers.astype(int)  # like the published code


def toy_ages(rng: np.random.Generator, n: int, *, low: int = 1, high: int = 100) -> NDArray[np.int64]:
    """Draw synthetic ages: many around 35, few at both ends."""
    ages = low + (high - low) * rng.beta(2.2, 4.2, size=n)
    return np.round(ages).astype(np.int64)


def draw_face(age: int, rng: np.random.Generator, file: Path, size: int = 48) -> None:
    """Write a synthetic picture; its brightness and number of lines encode an age."""
    picture = rng.normal(0.25 + 0.005 * age, 0.05, size=(size, size, 3))
    for line in range(age // 8):
        picture[3 + 3 * line, :, :] -= 0.2
    file.parent.mkdir(parents=True, exist_ok=True)
    pillow().fromarray((255 * np.clip(picture, 0, 1)).astype(np.uint8)).save(file)
