"""Files of images with a dense map each: decoded, checked against each other, brought to one size."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from zipfile import ZipFile

import numpy as np
from numpy.lib.format import write_array
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.cell_paths import FileError, read_files
from tailwise.modalities.image_files import opened

_SHOWN = 10
_ONE_CHANNEL = ("1", "L", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def read_image(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Bytes ``(3, H, W)`` of an image, upright, stretched to a height and width if given.

    Raises:
        FileError: a file that is no whole image.
        InputError: Pillow is not installed.
    """
    with opened(path) as found:
        from PIL import Image, ImageOps

        if found.mode.startswith(("I", "F")):
            raise FileError(f"an image needs 8 bits a channel, but this is {found.mode} of Pillow")
        image = ImageOps.exif_transpose(found).convert("RGB")
        if size is not None and image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def read_map(path: Path, scale: float = 1.0) -> NDArray[np.float32]:
    """Numbers ``(H, W)`` of a NPY file or of an image of one channel (PNG of 8 or 16 bits), times a scale.

    Zeros and NaN are unknown and come as NaN.

    Raises:
        FileError: a file that is neither, of several channels, or with numbers below 0.
    """
    values = np.asarray(_numbers(path), dtype=np.float32) * np.float32(scale)
    if values.ndim != 2:
        raise FileError(f"a map needs one number a pixel, (H, W), but this has the shape {values.shape}")
    if np.isinf(values).any() or (values < 0).any():
        raise FileError("it has numbers that are infinite or below 0; mark unknown pixels by 0 or NaN")
    return np.where(values > 0, values, np.float32(np.nan))


def _numbers(path: Path) -> NDArray[np.generic]:
    if path.suffix.lower() == ".npy":
        try:
            found = np.asarray(np.load(path, allow_pickle=False))
        except FileNotFoundError:
            raise
        except Exception as error:  # a zip file, or another, under this name
            raise FileError(f"not a whole NPY file: {error}") from error
        if found.dtype.kind not in "fiub":
            raise FileError(f"it holds {found.dtype}, not numbers")
        return found
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in _ONE_CHANNEL:
                raise FileError(f"a map needs an image of one channel, but this is {image.mode}")
            return np.asarray(image)
    except (FileNotFoundError, FileError):
        raise
    except Exception as error:  # Pillow's formats raise whatever their parsing raises
        raise FileError(f"neither a whole image nor a NPY file: {error}") from error


@dataclass(frozen=True)
class MapRows:
    """Rows of images with their maps, as paths.

    Args:
        columns: name of the column of images, of maps, and of masks if there are some.
        images: paths.
        maps: paths; none of images alone.
        masks: path of each row's mask, of which a pixel that is not 0 counts, or ``None``: all pixels count.
        scale: target units of 1 in a file of a map.
        size: height and width that images are stretched to.
        shapes: height and width of each image as it is, which its map shares.
    """

    columns: tuple[str, str, str | None]
    images: tuple[str, ...]
    maps: tuple[str, ...]
    masks: tuple[str | None, ...]
    scale: float
    size: tuple[int, int]
    shapes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.images)

    def digest(self, table: str) -> str:
        """SHA-256 of the table's own, and of the size of every file: whether a run to resume has the same data."""
        files = [*self.images, *self.maps, *(mask for mask in self.masks if mask is not None)]
        sizes = ",".join(str(Path(path).stat().st_size) for path in files)
        return hashlib.sha256(f"{table} {sizes}".encode()).hexdigest()

    def decoded(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        """``(n, 3, H, W)`` images of one size."""
        found = read_files(self.columns[0], [self.images[i] for i in rows], lambda path: read_image(path, self.size))
        return np.stack(found)

    def truths(self, rows: Sequence[int], *, masked: bool = False) -> list[NDArray[np.float32]]:
        """Maps at their own size, NaN where unknown, and where a mask leaves a pixel out if asked for."""
        found = read_files(self.columns[1], [self.maps[i] for i in rows], lambda path: read_map(path, self.scale))
        if not masked:
            return found
        named = [mask for i in rows if (mask := self.masks[i]) is not None]
        masks = iter(read_files(str(self.columns[2]), named, read_map))
        return [
            truth if self.masks[i] is None else np.where(np.isnan(next(masks)), np.float32(np.nan), truth)
            for i, truth in zip(rows, found, strict=True)
        ]

    def targets(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """``(n, h, w)`` maps of half the size of the images, by nearest pixel: unknown pixels stay apart."""
        return np.stack([nearest(truth, half(self.size)) for truth in self.truths(rows)])


def half(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a network's maps of images of a size."""
    return -(-size[0] // 2), -(-size[1] // 2)


def nearest(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map brought to another height and width by taking, for each pixel, the one nearest to its place."""
    rows, columns = (_places(have, want) for have, want in zip(values.shape, size, strict=True))
    return values[np.ix_(rows, columns)]


def _places(have: int, want: int) -> NDArray[np.int64]:
    # Ends lie on ends, as in the bilinear up-sampling of predictions (align_corners=True).
    return np.rint(np.linspace(0, have - 1, want)).astype(np.int64)


def open_maps(
    columns: tuple[str, str, str | None],
    images: Sequence[str],
    maps: Sequence[str] = (),
    masks: Sequence[str | None] = (),
    *,
    scale: float = 1.0,
    size: tuple[int, int] | None = None,
) -> MapRows:
    """Read every file once and see that those of a row belong together.

    Args:
        columns: names of the columns of images, maps and masks.
        images: paths.
        maps: paths, none to predict.
        masks: paths, ``None`` for a row without.
        scale: target units of 1 in a file of a map.
        size: height and width that images are stretched to; by default that of the images, which then must be one.

    Raises:
        InputError: files that are missing or broken, maps or masks of another size than their image, images of several
            sizes: how many, and the first ten.
    """
    name, of_maps, of_masks = columns
    shapes = read_files(name, images, lambda path: _hw(read_image(path).shape[1:]))
    if maps:
        found = read_files(of_maps, maps, lambda path: _hw(read_map(path, scale).shape))
        _check_same(of_maps, maps, found, shapes)
    there = [i for i, mask in enumerate(masks) if mask is not None]
    if there and of_masks is not None:
        paths = [str(masks[i]) for i in there]
        sizes = read_files(of_masks, paths, lambda path: _hw(read_map(path).shape))
        _check_same(of_masks, paths, sizes, [shapes[i] for i in there])
    if size is None:
        if len(set(shapes)) > 1:
            several = ", ".join(f"{h} x {w}" for h, w in sorted(set(shapes))[:_SHOWN])
            raise InputError(
                f"the images of column {name!r} have {len(set(shapes))} sizes ({several}); choose the one to stretch "
                "them to, e.g. --set depth.size=[228,304]"
            )
        size = shapes[0]
    given = tuple(masks) if masks else (None,) * len(images)
    return MapRows(columns, tuple(images), tuple(maps), given, scale, size, tuple(shapes))


def _hw(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape
    return height, width


def _check_same(
    column: str, paths: Sequence[str], found: Sequence[tuple[int, int]], expected: Sequence[tuple[int, int]]
) -> None:
    wrong = [
        f"{path}: {a[0]} x {a[1]}, its image {b[0]} x {b[1]}"
        for path, a, b in zip(paths, found, expected, strict=True)
        if a != b
    ]
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            f"{len(wrong)} of the {len(paths)} files that column {column!r} names have another size than their image: "
            + "; ".join(wrong[:_SHOWN])
            + more
        )


class MapFile:
    """A NPZ file written map by map, for all of them may not fit in memory."""

    def __init__(self, path: Path) -> None:
        self.zip = ZipFile(path, "w")

    def add(self, name: str, values: NDArray[np.generic]) -> None:
        """Append an array."""
        with self.zip.open(f"{name}.npy", "w", force_zip64=True) as file:
            write_array(file, values, allow_pickle=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()
