"""IMDB-WIKI-DIR: ages from faces, 191,509 / 11,022 / 11,022 images (Yang et al., ICML 2021)."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.bench.protocols import ages
from tailwise.bench.protocols.base import SPLIT, UNCHECKED, Index, Protocol

CAP = 150
OLDEST = 186
_OLDEST_META = 200
_META = {"imdb": "imdb_crop", "wiki": "wiki_crop"}
_MID_YEAR = 7
_MATLAB_DAYS = 366  # MATLAB's day 1 is 1 January of year 0, Python's of year 1
LAYOUT = (
    "the folders imdb_crop and wiki_crop of the IMDB-WIKI data set (faces only; Rothe et al., IJCV 2018; from the data "
    "set's page at ETH Zurich), and imdb_wiki.csv from the folder imdb-wiki-dir of the repository "
    "YyzHarry/imbalanced-regression (columns age, path, split; paths from this folder)"
)
EDGES = list(range(OLDEST + 2))


def read_imdb_wiki(folder: Path) -> Index:
    """Return the images with age and split, from ``imdb_wiki.csv`` or from ``imdb.mat`` and ``wiki.mat``."""
    return ages.read_ages(folder, "imdb_wiki.csv", CAP, _from_meta)


def _from_meta(folder: Path) -> pd.DataFrame:
    """Return images with one clear face and a possible age, those of IMDB first."""
    tables = [
        _read_meta(folder / part / f"{name}.mat", name).assign(part=part)
        for name, part in _META.items()
        if (folder / part / f"{name}.mat").is_file()
    ]
    if len(tables) < len(_META):
        raise InputError("'imdb_wiki.csv' is absent, and 'imdb_crop/imdb.mat' or 'wiki_crop/wiki.mat' too")
    rows = pd.concat(tables, ignore_index=True)
    clear = (rows["face"] >= 1) & ~(rows["second"] > 0) & rows["age"].between(0, _OLDEST_META)
    rows = rows[clear].reset_index(drop=True)
    return pd.DataFrame({"path": rows["part"] + "/" + rows["file"], "age": rows["age"].astype(int)})


def _read_meta(file: Path, name: str) -> pd.DataFrame:
    """Return file, age and face scores of the images of IMDB or of Wikipedia."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        meta = loadmat(file, squeeze_me=True, struct_as_record=False)[name]
        birth, taken = np.atleast_1d(meta.dob), np.atleast_1d(meta.photo_taken)
        return pd.DataFrame(
            {
                "file": [str(path) for path in np.atleast_1d(meta.full_path)],
                "age": taken - _birth_years(birth),
                "face": np.atleast_1d(meta.face_score),
                "second": np.atleast_1d(meta.second_face_score),
            }
        )
    except (OSError, ValueError, KeyError, AttributeError, NotImplementedError, MatReadError) as error:
        raise InputError(f"{file.name!r} cannot be read as the data set's metadata: {error}") from error


def _birth_years(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the year of birth of MATLAB day numbers, the next year from July on: photographs are dated mid-year."""
    years = np.full(days.size, -_OLDEST_META, dtype=np.int64)  # an impossible day gives an impossible age
    for row, day in enumerate(days.tolist()):
        if day > _MATLAB_DAYS:
            born = date.fromordinal(int(day) - _MATLAB_DAYS)
            years[row] = born.year + (born.month >= _MID_YEAR)
    return years


def toy(folder: Path, seed: int) -> None:
    """Write 600 synthetic faces to both folders, and ``imdb_wiki.csv`` with the split."""
    rng = np.random.default_rng(seed)
    toy_ages = ages.toy_ages(rng, 600, low=0, high=110)
    paths = [f"{('imdb_crop', 'wiki_crop')[i % 2]}/{i % 100:02d}/{i}.jpg" for i in range(toy_ages.size)]
    for path, age in zip(paths, toy_ages.tolist(), strict=True):
        ages.draw_face(age, rng, folder / path)
    frame = pd.DataFrame({"age": toy_ages, "path": paths, SPLIT: ages.age_split(toy_ages, CAP)})
    frame.to_csv(folder / "imdb_wiki.csv", index=False)


PROTOCOL = Protocol(
    name="imdb-wiki-dir",
    title="ages from faces, 213,553 images of IMDB-WIKI",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML 2021",
    layout=LAYOUT,
    target="age",
    unit="years",
    choices={"edges": EDGES, "shots": (100, 20), "image": ["path"]},
    metrics=(*ages.METRICS, "bmae"),
    recipe=ages.RECIPE,
    params=ages.PARAMS,
    parts={**ages.PARTS, **{name: {"sigma": 10.0} for name in ("gai", "bmc", "bni")}},
    loss=ages.LOSS,
    methods=ages.METHODS,
    deviations=(
        UNCHECKED,
        *ages.DEVIATIONS,
        "ages above 120, all for training, have their own bins; published weights add them to the age 120",
        "the coefficients of RankSim and ConR are the library's; published: 100 and 4 a year of error",
    ),
    quick=ages.QUICK,
    read=lambda folder: {"index": read_imdb_wiki(folder)},
    toy=toy,
)
