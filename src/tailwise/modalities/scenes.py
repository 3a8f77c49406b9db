"""Toy scenes with known depth: balls and boxes on a floor, most of them near, a few far."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, whole

NEAREST, FARTHEST = 1.0, 20.0
_EYE = 1.5  # metres above the floor
_VIEW = 0.6  # half the picture's width, at a distance of 1
_LIGHT = np.array([0.4, 0.8, -0.45]) / np.linalg.norm([0.4, 0.8, -0.45])
_FOG = np.array([0.75, 0.8, 0.88])
_MEAN_DISTANCE = 3.0
_UNKNOWN = 0.02
_UNITS = 1000  # a metre in a file


def render_scene(
    rng: np.random.Generator, size: tuple[int, int] = (64, 64)
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a picture and the distance of each of its pixels along the viewing axis, in metres.

    A chequered floor, a wall, and three to six balls and boxes, few of them far away: at 1 m plus an exponential with a
    mean of 3 m. Colours fade with distance. One pixel in fifty is unknown, as are those beyond 20 m.

    Args:
        rng: generator that draws the scene.
        size: height and width, pixels.

    Returns:
        Colours ``(H, W, 3)``, and metres ``(H, W)``, NaN where unknown.

    Example:
        >>> picture, depth = render_scene(np.random.default_rng(0))
        >>> picture.shape, depth.shape, bool(np.nanmin(depth) >= 0.5)
        ((64, 64, 3), (64, 64), True)
    """
    height, width = size
    x = (np.arange(width) + 0.5) / width * 2 - 1
    y = 1 - (np.arange(height) + 0.5) / height * 2
    rays = np.stack([*np.meshgrid(x * _VIEW, y * _VIEW * height / width - 0.15), np.ones(size)], axis=-1)
    wall = min(NEAREST + 3 + rng.exponential(2 * _MEAN_DISTANCE), FARTHEST + 2)
    depth = np.full(size, wall)
    normal = np.broadcast_to([0.0, 0.0, -1.0], rays.shape).copy()
    colour = np.broadcast_to(rng.uniform(0.3, 0.9, 3), rays.shape).copy()

    with np.errstate(divide="ignore", invalid="ignore"):
        floor = np.where(rays[..., 1] < 0, -_EYE / rays[..., 1], np.inf)
        nearer = floor < depth
        place = rays * np.where(nearer, floor, 0)[..., None]
        chequer = (np.floor(place[..., 0]) + np.floor(place[..., 2])) % 2
        tiles = rng.uniform(0.3, 0.9, (2, 3))[chequer.astype(int)]
        depth, normal, colour = _put(nearer, (depth, normal, colour), (floor, np.array([0.0, 1.0, 0.0]), tiles))
        for _ in range(rng.integers(3, 7)):
            distance = min(NEAREST + rng.exponential(_MEAN_DISTANCE), FARTHEST)
            radius = rng.uniform(0.25, 0.7)
            centre = np.array([rng.uniform(-_VIEW, _VIEW) * distance, radius - _EYE, distance + radius])
            hit, facing = _ball(rays, centre, radius) if rng.random() < 0.5 else _box(rays, centre, radius)
            paint = rng.uniform(0.1, 1.0, 3)
            depth, normal, colour = _put(hit < depth, (depth, normal, colour), (hit, facing, paint))
    light = 0.35 + 0.65 * np.clip(normal @ _LIGHT, 0, 1)
    clear = np.exp(-depth / 12)[..., None]
    picture = colour * light[..., None] * clear + _FOG * (1 - clear) + rng.normal(scale=0.01, size=rays.shape)
    unknown = (rng.random(size) < _UNKNOWN) | (depth > FARTHEST)
    return np.round(picture.clip(0, 1) * 255).astype(np.uint8), np.where(unknown, np.nan, depth).astype(np.float32)


def write_scenes(
    folder: str | Path, n: int, *, size: tuple[int, int] = (64, 64), seed: int = 0, depths: str = "png"
) -> Path:
    """Write scenes as pictures, maps of depth and an index table of their paths.

    Args:
        folder: new folder; it must not exist.
        n: number of scenes.
        size: height and width, pixels.
        seed: of the scenes.
        depths: ``"png"``: 16 bits, millimetres, 0 where unknown; ``"npy"``: float32, metres, NaN where unknown.

    Returns:
        The table, ``index.csv`` with the columns ``image`` and ``depth``; train with ``depth.scale=0.001`` for PNG.

    Raises:
        InputError: a folder that exists, no scenes, another kind of file, Pillow not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("scenes need Pillow: pip install 'tailwise[image]'") from error
    if depths not in ("png", "npy"):
        raise InputError(f"depths must be 'png' or 'npy', got {depths!r}")
    out = Path(folder)
    if out.exists():
        raise InputError(f"{str(folder)!r} exists already; choose another folder")
    for name in ("images", "depths"):
        (out / name).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(whole(n, "n", least=1)):
        picture, depth = render_scene(rng, size)
        line = {"image": f"images/{i:05d}.png", "depth": f"depths/{i:05d}.{depths}"}
        Image.fromarray(picture).save(out / line["image"])
        if depths == "npy":
            np.save(out / line["depth"], depth)
        else:
            Image.fromarray(np.round(np.nan_to_num(depth) * _UNITS).astype(np.uint16)).save(out / line["depth"])
        lines.append(line)
    pd.DataFrame(lines).to_csv(out / "index.csv", index=False)
    return out / "index.csv"


def _ball(
    rays: NDArray[np.float64], centre: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distance along the axis at which rays meet a ball, infinite if they do not, and its normals."""
    a, b = (rays * rays).sum(-1), rays @ centre
    inside = b * b - a * (centre @ centre - radius * radius)
    hit = np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
    return hit, (rays * np.where(np.isfinite(hit), hit, 0)[..., None] - centre) / radius


def _box(
    rays: NDArray[np.float64], centre: NDArray[np.float64], half: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the same for a cube whose sides are parallel to the axes."""
    first, second = (centre - half) / rays, (centre + half) / rays
    enter, leave = np.minimum(first, second), np.maximum(first, second)
    side = enter.argmax(-1)
    hit = np.where(enter.max(-1) < leave.min(-1), enter.max(-1), np.inf)
    return hit, -np.eye(3)[side] * np.sign(np.take_along_axis(rays, side[..., None], -1))


def _put(
    where: NDArray[np.bool_],
    old: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    new: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return distance, normals and colour with a new object in front of the old ones."""
    depth, normal, colour = (
        np.where(where if old_values.ndim == 2 else where[..., None], values, old_values)
        for old_values, values in zip(old, new, strict=True)
    )
    return depth, normal, colour
