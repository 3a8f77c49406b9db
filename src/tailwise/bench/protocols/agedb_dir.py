"""AgeDB-DIR: ages from faces, 12,208 / 2,140 / 2,140 images (Yang et al., ICML 2021)."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.bench.protocols import ages
from tailwise.bench.protocols.base import SPLIT, UNCHECKED, Index, Protocol

CAP = 30
_NAME = re.compile(r"(\d+)_.*_(\d+)_[fm]\.jpg", re.IGNORECASE)


def read_agedb(folder: Path) -> Index:
    """Return the images with age and split, from ``agedb.csv`` or the file names."""
    return ages.read_ages(folder, "agedb.csv", CAP, _from_names)


def _from_names(folder: Path) -> pd.DataFrame:
    """Return the images NUMBER_NAME_AGE_SEX.jpg in the order of their numbers."""
    matches = [(_NAME.fullmatch(file.name), file.name) for file in (folder / "AgeDB").glob("*.jpg")]
    rows = sorted((int(match[1]), int(match[2]), name) for match, name in matches if match)
    if not rows:
        raise InputError("'agedb.csv' and images in 'AgeDB' are both absent")
    return pd.DataFrame({"path": [f"AgeDB/{name}" for _, _, name in rows], "age": [age for _, age, _ in rows]})


def toy(folder: Path, seed: int) -> None:
    """Write 400 synthetic faces to ``AgeDB``, and ``agedb.csv`` with the split."""
    rng = np.random.default_rng(seed)
    toy_ages = ages.toy_ages(rng, 400)
    paths = [f"AgeDB/{i}_Toy_{age}_{'fm'[i % 2]}.jpg" for i, age in enumerate(toy_ages)]
    for path, age in zip(paths, toy_ages.tolist(), strict=True):
        ages.draw_face(age, rng, folder / path)
    frame = pd.DataFrame({"age": toy_ages, "path": paths, SPLIT: ages.age_split(toy_ages, CAP)})
    frame.to_csv(folder / "agedb.csv", index=False)


PROTOCOL = Protocol(
    name="agedb-dir",
    title="ages from faces, 16,488 images of AgeDB",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML 2021",
    layout=(
        "the folder AgeDB with the images NUMBER_NAME_AGE_SEX.jpg of the AgeDB data set (Moschoglou et al., CVPR "
        "Workshops 2017; its authors give access on request), and agedb.csv from the folder agedb-dir of the "
        "repository YyzHarry/imbalanced-regression (columns age, path, split)"
    ),
    target="age",
    unit="years",
    choices={"edges": list(range(ages.LAST_AGE + 2)), "shots": (100, 20), "image": ["path"]},
    metrics=ages.METRICS,
    recipe=ages.RECIPE,
    params=ages.PARAMS,
    parts={
        **ages.PARTS,
        "ranksim": {"coef": 6.3},
        "conr": {"coef": 0.25},
    },  # published: 100 and 4 a year, with a standard deviation of 15.8 years
    loss=ages.LOSS,
    methods=ages.METHODS,
    deviations=(
        UNCHECKED,
        *ages.DEVIATIONS,
        "RankSim and ConR were published with batch 64, learning rate 2.5e-4 and 120 epochs; here all methods share "
        "one recipe (theirs: `epochs=120` `recipe.batch_size=64` `recipe.lr=2.5e-4`)",
    ),
    quick=ages.QUICK,
    small=ages.SMALL,
    read=lambda folder: {"index": read_agedb(folder)},
    toy=toy,
)
