"""NYUD2-DIR: depth of every pixel of a room, 50,688 / 654 images (Yang et al., ICML 2021)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.bench.protocols.base import SPLIT, UNCHECKED, Index, Protocol, need, need_files, pillow
from tailwise.data.splits import random_split

LISTS = {"train": "nyu2_train.csv", "test": "nyu2_test.csv"}
MASK = "test_balanced_mask.npy"
MANY = [*range(9, 46), 47, 49]
MEDIUM = [7, 8, 46, 48, *range(50, 57), 58, 60, 61, 63]
EDGES = [edge / 10 for edge in range(101)]
TRAIN_SCALE, TEST_SCALE = 10 / 255, 1 / 1000  # metres a unit of the depth files
SHORT_SIDE, HEIGHT, WIDTH = 240, 228, 304
SEED, SHARE = 0, 0.05


def read_nyud2(folder: Path) -> Index:
    """Return training and test images with depths from the released lists, and scenes held out for validation."""
    files = need(folder, *LISTS.values(), MASK)
    frames = []
    for part, file in zip(LISTS, files[:2], strict=True):
        try:
            rows = pd.read_csv(file, header=None, names=["image", "depth"], dtype=str)
        except (ValueError, OSError) as error:
            raise InputError(f"{file.name!r} cannot be read as two columns of paths: {error}") from error
        if rows.empty or rows.isna().any(axis=None):
            raise InputError(f"{file.name!r} must name an image and a depth in every row")
        frames.append(rows.assign(**{SPLIT: part}))
    frame = pd.concat(frames, ignore_index=True)
    train = (frame[SPLIT] == "train").to_numpy()
    scenes = frame.loc[train, "image"].map(lambda path: Path(path).parent.name).to_numpy()
    held = random_split(int(train.sum()), groups=scenes, seed=SEED, share=SHARE) == "val"
    frame.loc[train, SPLIT] = np.where(held, "val", "train")
    for column in ("image", "depth"):
        frame[column] = need_files(column, [_listed_file(folder, path) for path in frame[column]])
    frame["mask"] = ""
    frame.loc[~train, "mask"] = str(folder / MASK)
    return Index(frame, f"released: {', '.join(LISTS.values())} and {MASK}; scenes held out for validation are ours")


def _listed_file(folder: Path, path: str) -> Path:
    """Return the path of a listed file: paths in the lists start with the name of the data folder, ``data``."""
    listed = folder / path
    return listed if listed.exists() else folder / path.removeprefix("data/")


def convert(index: Index, out: Path) -> Index:
    """Convert images, depths (in millimetres) and masks to the size of the published evaluation, 228 x 304.

    Training depths, 8 bits over 10 m, are rounded to millimetres, which does not change their bins.
    """
    frame = index.frame.copy()
    test = (frame[SPLIT] == "test").to_numpy()
    masks = _masks(Path(frame.loc[test, "mask"].iloc[0]), int(test.sum()))
    of_mask = np.cumsum(test) - 1
    for kind in ("image", "depth", "mask"):
        (out / kind).mkdir(parents=True, exist_ok=True)

    def one(row: int) -> tuple[str, str, str]:
        names = [str(out / kind / f"{row:06d}.png") for kind in ("image", "depth", "mask")]
        scale = TEST_SCALE if test[row] else TRAIN_SCALE
        _convert_pair(frame["image"].iloc[row], frame["depth"].iloc[row], scale, names)
        if test[row]:
            _save(masks[of_mask[row]].astype(np.uint8) * 255, names[2])
        return names[0], names[1], names[2] if test[row] else ""

    with ThreadPoolExecutor() as pool:
        paths = list(pool.map(one, range(len(frame))))
    frame[["image", "depth", "mask"]] = paths
    return Index(frame, index.how, ("image", "depth", "mask"))


def _convert_pair(image: str, depth: str, scale: float, names: Sequence[str]) -> None:
    images = pillow()
    try:
        with images.open(image) as colours, images.open(depth) as units:
            colours = _cropped(colours.convert("RGB"), images.Resampling.BICUBIC)
            metres = np.asarray(_cropped(units, images.Resampling.NEAREST)) * scale
    except (OSError, SyntaxError) as error:
        raise InputError(f"{image!r} or its depth {depth!r} cannot be read: {error}") from error
    colours.save(names[0], compress_level=1)
    _save(np.round(1000 * metres).astype(np.uint16), names[1])


def _save(values: NDArray[Any], name: str) -> None:
    pillow().fromarray(values).save(name)


def _masks(file: Path, n: int) -> NDArray[np.bool_]:
    """Return the pixels of the balanced test set, ``(n, 228, 304)``."""
    try:
        masks = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{file.name!r} cannot be read: {error}") from error
    masks = masks.reshape(masks.shape[0], *masks.shape[-2:]) if masks.ndim == 4 and masks.shape[1] == 1 else masks
    if masks.shape != (n, HEIGHT, WIDTH):
        raise InputError(f"{file.name!r} must be ({n}, {HEIGHT}, {WIDTH}), a mask a test image, got {masks.shape}")
    is_kept: NDArray[np.bool_] = masks.astype(bool)
    return is_kept


def _cropped(picture: Any, resample: Any) -> Any:
    """Scale to a short side of 240, then crop the middle 228 x 304."""
    scale = SHORT_SIDE / min(picture.size)
    width, height = (round(scale * side) for side in picture.size)
    left, top = (width - WIDTH) // 2, (height - HEIGHT) // 2
    return picture.resize((width, height), resample).crop((left, top, left + WIDTH, top + HEIGHT))


def toy(folder: Path, seed: int) -> None:
    """Write synthetic rooms, a floor and a wall that darken with depth, in the layout and units of the data set."""
    images = pillow()
    rng = np.random.default_rng(seed)
    masks, lists = [], {}
    for part, n in (("train", 24), ("test", 6)):
        rows = []
        for i in range(n):
            depth = _room(rng)
            shade = np.clip(230 - 20 * depth[..., None] + rng.normal(0, 6, (*depth.shape, 3)), 0, 255)
            name = f"nyu2_{part}/room_{i // 4:02d}/{i:03d}"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            images.fromarray(shade.astype(np.uint8)).save(folder / f"{name}.jpg")
            scale, kind = (TRAIN_SCALE, np.uint8) if part == "train" else (TEST_SCALE, np.uint16)
            images.fromarray((depth / scale).astype(kind)).save(folder / f"{name}.png")
            rows.append((f"data/{name}.jpg", f"data/{name}.png"))
            masks.append(rng.random((HEIGHT, WIDTH)) < 0.5)
        lists[part] = rows
        pd.DataFrame(rows).to_csv(folder / LISTS[part], header=False, index=False)
    np.save(folder / MASK, np.stack(masks[-len(lists["test"]) :]))


def _room(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return depth in metres, ``(240, 320)``: a floor up to a wall, and a box before it."""
    wall = min(1.5 + rng.exponential(2.0), 9.5)
    depth = np.minimum(np.linspace(wall * 1.5, 0.8, 240)[:, None], wall) * np.ones((1, 320))
    top, left = rng.integers(40, 160), rng.integers(20, 220)
    depth[top : top + 70, left : left + 80] = np.maximum(0.75, wall * rng.uniform(0.4, 0.9))
    return depth


PROTOCOL = Protocol(
    name="nyud2-dir",
    title="depth of every pixel, 51,342 images of NYU Depth v2",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML 2021",
    layout=(
        f"{', '.join(LISTS.values())} (rows image,depth without a header), the folders nyu2_train and nyu2_test that "
        f"they name, and {MASK}, all of nyud2-dir of the repository YyzHarry/imbalanced-regression "
        "(NYU Depth v2, Silberman et al., ECCV 2012, prepared by Hu et al., WACV 2019); preparing writes all images "
        "scaled and cropped, some 8 GB"
    ),
    target="depth",
    unit="metres",
    choices={
        "image": ["image"],
        "depth": {"scale": TEST_SCALE, "mask": "mask"},
        "edges": EDGES,
        "regions": {"many": MANY, "medium": MEDIUM},
    },
    metrics=("rmse", "delta1"),
    recipe={"epochs": 10, "batch_size": 32, "lr": 1e-4, "weight_decay": 1e-4, "patience": None, "criterion": "rmse"},
    params={"image": {"encoder": "resnet50"}},
    parts={
        "fds": {"clip": [0.2, 5.0]},
        "gai": {"components": 16, "sigma": 1.0, "learn_sigma": False},
        "bni": {"sigma": 1.0, "learn_sigma": False},
        "conr": {
            "window": 0.2,
            "push": 0.2,
            "coef": 0.084,
        },  # published: 0.2 with the squared error, divided by 1.55 squared
    },
    methods=("vanilla", "inv+lds", "fds", "inv+lds+fds", "bni"),
    deviations=(
        UNCHECKED,
        "the epoch is chosen on all pixels of training scenes held out by seed 0; published: on the test images "
        "(`select='test'`, also on all pixels)",
        "the encoder starts from random weights; published: from ImageNet's (`image.encoder=FOLDER`)",
        "the learning rate falls along half a cosine; published: times 0.1 every 5 epochs",
        "training images are not rotated and have no lighting noise",
        "bins below 0.7 m, without training pixels, are treated like others; published weights give them the counts of "
        "the bin at 0.7 m",
    ),
    quick=("image.encoder=small", "depth.size=[64,84]", "recipe.batch_size=8"),
    selects_on_test=True,
    read=lambda folder: {"index": read_nyud2(folder)},
    toy=toy,
    convert=convert,
)
