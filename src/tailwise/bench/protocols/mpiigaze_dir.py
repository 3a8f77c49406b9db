"""MPIIGaze-DIR: direction of gaze, two angles (named by Keramati et al., ConR, ICLR 2024).

Its split, regions and numbers were not found in the literature, so they are ours: split by subject, both angles
predicted together, regions by the cells of a grid of pitch and yaw.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from tailwise._checks import InputError
from tailwise.bench.protocols.base import SPLIT, Index, Protocol, need, need_columns, need_files, pillow
from tailwise.bench.protocols.downloads import read_download
from tailwise.data.splits import check_groups, random_split, split_column

SEED, SHARE = 0, 0.2
ANGLES = ("pitch", "yaw")


def read_gaze(folder: Path) -> dict[str, Index]:
    """Return the eye images in ``gaze.csv`` with both angles."""
    (file,) = need(folder, "gaze.csv")
    listed = read_download(file)
    need_columns(listed, file, ("path", *ANGLES, "subject"))
    angles = {name: pd.to_numeric(listed[name], errors="coerce") for name in ANGLES}
    for name, values in angles.items():
        if not values.between(-90, 90).all():
            raise InputError(f"column {name!r} of 'gaze.csv' must hold an angle from -90 to 90 degrees in every row")
    if SPLIT in listed:
        parts, how = split_column(listed[SPLIT]), "column split of gaze.csv"
    else:
        check_groups(listed["subject"])
        subjects = listed["subject"].astype(str).to_numpy()
        parts = random_split(len(listed), groups=subjects, seed=SEED, share=SHARE)
        how = f"split by subject, seed {SEED}: the paper's split was not found"
    paths = need_files("path", [folder / str(path) for path in listed["path"]])
    return {"index": Index(pd.DataFrame({"path": paths, **angles, SPLIT: parts}), how, ("path",))}


def toy(folder: Path, seed: int) -> None:
    """Write synthetic eyes of 15 subjects, 20 each, and their list: the position of a dark disc encodes both angles."""
    rng = np.random.default_rng(seed)
    (folder / "eyes").mkdir(parents=True, exist_ok=True)
    height, width = np.mgrid[:36, :60]
    rows = []
    for i in range(300):
        pitch, yaw = -rng.gamma(2.0, 5.0), rng.normal(0, 12)
        disc = np.hypot(height - 18 - 0.5 * pitch, width - 30 - yaw) < 6
        picture = np.where(disc, 40, 200) + rng.normal(0, 8, size=disc.shape)
        pillow().fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / "eyes" / f"{i:03d}.png")
        rows.append((f"eyes/{i:03d}.png", round(pitch, 2), round(yaw, 2), f"p{i % 15:02d}"))
    pd.DataFrame(rows, columns=["path", *ANGLES, "subject"]).to_csv(folder / "gaze.csv", index=False)


PROTOCOL = Protocol(
    name="mpiigaze-dir",
    title="direction of gaze: pitch and yaw, images of MPIIGaze",
    source="Keramati et al., ConR, ICLR 2024, uses it; no protocol and no numbers found",
    layout=(
        "gaze.csv with columns path, pitch, yaw (degrees), subject (and split, if it has one), and the eye "
        "images it names, made from the normalised data of MPIIGaze (Zhang et al., CVPR 2015; from the data set's page "
        "at MPI Informatics); the layout is this library's"
    ),
    target=ANGLES[0],
    also=ANGLES[1:],
    angles=True,
    unit="degrees",
    choices={"image": ["path"]},
    metrics=("angular",),
    recipe={"criterion": "mae"},
    params={"image": {"encoder": "cnn"}},
    loss="l1",
    methods=("vanilla", "sqinv+lds", "sqinv+lds+fds", "conr"),
    deviations=(
        "split, regions and recipe are ours: 3 of 15 subjects for validation, 3 for test, by seed 0; the library's "
        "grid of bins, and its regions by training rows a cell",
        "test errors are angles between the predicted and the true direction; training and validation use distances of "
        "pitch and yaw",
    ),
    quick=("image.size=32", "recipe.batch_size=32"),
    read=read_gaze,
    toy=toy,
)
