"""Numbers of cells in microscope images: VGG (synthetic fluorescence) and MBM (bone marrow)."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import label

from tailwise._checks import InputError
from tailwise.bench.protocols.base import SPLIT, UNCHECKED, Index, Protocol, need_columns, need_files, pillow
from tailwise.bench.protocols.downloads import read_download
from tailwise.data.splits import random_split, split_column

SEED = 0
SHARE = 0.25
LIST = "counts.csv"
_IMAGE, _DOTS = "cell.png", "dots.png"


def read_counts(folder: Path) -> Index:
    """Return images and their numbers of cells: from ``counts.csv``, or from a picture of dots beside each image."""
    file = folder / LIST
    listed = read_download(file) if file.is_file() else _dotted(folder)
    need_columns(listed, file, ("path", "count"))
    count = pd.to_numeric(listed["count"], errors="coerce")
    if not (count >= 0).all():
        raise InputError(f"column 'count' of {LIST!r} must hold a number of at least 0 in every row")
    if SPLIT in listed:
        parts, how = split_column(listed[SPLIT]), f"column {SPLIT} of {LIST}"
    else:
        parts = random_split(len(listed), seed=SEED, share=SHARE)
        how = f"at random by seed {SEED}, {100 * SHARE:.0f} % for validation and as many for test"
    paths = need_files("path", [folder / str(path) for path in listed["path"]])
    return Index(pd.DataFrame({"path": paths, "count": count, SPLIT: parts}), how, ("path",))


def _dotted(folder: Path) -> pd.DataFrame:
    """Return the images with a picture of dots, and the number of connected dots in each."""
    images = sorted(folder.glob(f"*{_IMAGE}"))
    if not images:
        raise InputError(f"{LIST!r} and images *{_IMAGE} are absent")
    dots = [image.with_name(image.name.removesuffix(_IMAGE) + _DOTS) for image in images]
    need_files("dots", dots)
    counts = []
    for picture in dots:
        with pillow().open(picture) as opened:
            marks = np.asarray(opened.convert("RGB")).max(axis=2) > 0
        counts.append(label(marks, structure=np.ones((3, 3)))[1])
    return pd.DataFrame({"path": [image.name for image in images], "count": counts})


def toy(folder: Path, seed: int) -> None:
    """Write 80 pairs of images, bright discs on a dark ground and a dot at the centre of each."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    height, width = np.mgrid[:64, :64]
    for i in range(80):
        picture, dots = rng.normal(20, 4, (64, 64)), np.zeros((64, 64, 3), dtype=np.uint8)
        cells = rng.permutation(36)[: min(int(rng.gamma(2.0, 4.0)), 36)]
        for row, column in zip(5 + 10 * (cells // 6), 5 + 10 * (cells % 6), strict=True):
            picture += 150 * np.exp(-((height - row) ** 2 + (width - column) ** 2) / 12)
            dots[row, column] = (255, 0, 0)
        for name, pixels in ((_IMAGE, np.clip(picture, 0, 255).astype(np.uint8)), (_DOTS, dots)):
            pillow().fromarray(pixels).save(folder / f"{i:03d}{name}")


def _protocol(name: str, title: str, source: str, data: str, *deviations: str) -> Protocol:
    return Protocol(
        name=name,
        title=title,
        source=source,
        layout=(
            f"{data}: pairs of images NUMBER{_IMAGE} and NUMBER{_DOTS} with a dot in each cell; or {LIST} with columns "
            "path and count (and split, if it has one), and the images it names"
        ),
        target="count",
        unit="cells",
        choices={"image": ["path"]},
        metrics=("mae", "rmse"),
        recipe={"criterion": "mae"},
        params={"image": {"encoder": "cnn"}},
        methods=("vanilla", "sqinv+lds", "sqinv+lds+fds", "conr"),
        deviations=(
            UNCHECKED,
            *deviations,
            f"split at random by seed {SEED} unless the list has one; regions and recipe are the library's",
            "networks predict the number of cells of a whole image, without a map of densities",
        ),
        quick=("image.size=32", "recipe.batch_size=16"),
        read=lambda folder: {"index": read_counts(folder)},
        toy=toy,
    )


VGG = _protocol(
    "vgg-cells",
    "number of cells in 200 synthetic fluorescence images",
    "Lempitsky and Zisserman, Learning to Count Objects in Images, NeurIPS 2010",
    "the cell-counting images of the Visual Geometry Group, Oxford",
    "the number of training images of the published error is not known",
)
MBM = _protocol(
    "mbm-cells",
    "number of cells in images of bone marrow",
    "the images are those of the repository countception; no numbers found",
    "the bone marrow images (MBM) of the repository countception",
)
