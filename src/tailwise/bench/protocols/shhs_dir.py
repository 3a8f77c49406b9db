"""SHHS-DIR: health score from one night of sleep, 1,892 subjects (Yang et al., ICML 2021).

Neither the split nor the code was released, and the recordings are access-controlled. The layout is ours, and so is the
split unless the index has one.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.bench.protocols.base import SPLIT, Index, Protocol, need, need_columns, need_files
from tailwise.bench.protocols.downloads import read_download
from tailwise.data.splits import balanced_split, split_column
from tailwise.labels.bins import Bins

SEED = 0
EDGES = list(range(102))


def read_shhs(folder: Path) -> Index:
    """Return signals and scores of the subjects in ``scores.csv``."""
    (file,) = need(folder, "scores.csv")
    listed = read_download(file)
    need_columns(listed, file, ("subject", "path", "score"))
    score = pd.to_numeric(listed["score"], errors="coerce")
    if not score.between(0, 100).all():
        raise InputError("column 'score' of 'scores.csv' must hold a number from 0 to 100 in every row")
    if listed["subject"].duplicated().any():
        raise InputError("'scores.csv' lists a subject twice; give each subject one row")
    labels = score.to_numpy(dtype=np.float64)
    if SPLIT in listed:
        parts, how = split_column(listed[SPLIT]), "column split of scores.csv"
    else:
        parts = balanced_split(labels, Bins.from_edges(EDGES), seed=SEED)
        how = f"balanced by seed {SEED}: the paper's split was never released"
    paths = need_files("path", [folder / str(path) for path in listed["path"]])
    return Index(pd.DataFrame({"path": paths, "score": labels, SPLIT: parts}), how, ("path",))


def toy(folder: Path, seed: int) -> None:
    """Write synthetic recordings of 240 subjects, and their list: the rhythm of three channels encodes the score."""
    rng = np.random.default_rng(seed)
    (folder / "signals").mkdir(parents=True, exist_ok=True)
    scores = np.round(100 - 90 * rng.beta(1.3, 3.0, size=240))
    time = np.arange(256)
    for subject, score in enumerate(scores.tolist()):
        rhythm = np.sin(time[None, :] * (0.02 + 0.004 * score) * np.array([[1.0], [2.0], [0.5]]))
        signal = rhythm + rng.normal(scale=0.2, size=(3, time.size))
        np.save(folder / "signals" / f"{subject:04d}.npy", signal.astype(np.float32))
    frame = pd.DataFrame({"subject": range(240), "path": [f"signals/{i:04d}.npy" for i in range(240)], "score": scores})
    frame.to_csv(folder / "scores.csv", index=False)


PROTOCOL = Protocol(
    name="shhs-dir",
    title="health score from a night of sleep, recordings of SHHS",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML 2021",
    layout=(
        "scores.csv with columns subject, path, score (SF-36 health score from 0 to 100), and split, if it has one; "
        "one row a subject, and the signals it names (NPY, WAV, CSV or EDF; EEG, ECG and breathing of one "
        "night), made from the Sleep Heart Health Study, which the National Sleep Research Resource gives on request; "
        "the layout is this library's: the authors released none"
    ),
    target="score",
    unit="points from 0 to 100",
    choices={"edges": EDGES, "shots": (100, 20), "signal": ["path"]},
    metrics=("mae", "gm"),
    recipe={"criterion": "mae"},
    loss="l1",
    methods=("vanilla", "inv+lds", "inv+fds", "inv+lds+fds"),
    deviations=(
        "split, shot lists, network and training of the paper were never released: here a balanced split by seed 0, "
        "many above 100 and few below 20 training rows a point, and a residual network in place of their CNN-RNN",
    ),
    quick=("recipe.batch_size=32",),
    read=lambda folder: {"index": read_shhs(folder)},
    toy=toy,
)
