"""Rows of images with a dense map each: paths whose files are decoded when they are needed."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.data.cell_paths import cells, read_files
from tailwise.modalities.map_files import half, nearest, read_image, read_map
from tailwise.modalities.map_schema import MapSchema

_SHOWN = 10
_TRUTHS_AT_ONCE = 64


@dataclass(frozen=True)
class MapRows:
    """Rows of images with their maps, as paths.

    Args:
        columns: names of the columns of images, of maps, and of masks if there are any.
        images: paths.
        maps: paths; empty for images without maps.
        masks: path of each row's mask, in which pixels that are not 0 count; ``None`` if all pixels count.
        scale: target units of 1 in a file of a map.
        size: height and width that images are stretched to.
        shapes: height and width of each image as stored, which its map shares.
        names: cells of the column of images as they are written in the table.
    """

    columns: tuple[str, str, str | None]
    images: tuple[str, ...]
    maps: tuple[str, ...]
    masks: tuple[str | None, ...]
    scale: float
    size: tuple[int, int]
    shapes: tuple[tuple[int, int], ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def select(self, index: Sequence[int] | NDArray[np.int64]) -> "MapRows":
        """Return some of the rows, by their position."""
        positions = [int(i) for i in index]
        return replace(
            self,
            images=tuple(self.images[i] for i in positions),
            maps=tuple(self.maps[i] for i in positions) if self.maps else (),
            masks=tuple(self.masks[i] for i in positions),
            shapes=tuple(self.shapes[i] for i in positions),
            names=tuple(self.names[i] for i in positions),
        )

    def pieces(self, rows: int) -> Iterator["MapRows"]:
        """Yield at most this many rows at a time, in order."""
        for start in range(0, len(self), rows):
            yield self.select(range(start, min(start + rows, len(self))))

    def digest(self, table: str) -> str:
        """Return a SHA-256 of the table's digest and of the size of every file, which a resumed run compares."""
        files = [*self.images, *self.maps, *(mask for mask in self.masks if mask is not None)]
        sizes = ",".join(str(Path(path).stat().st_size) for path in files)
        return hashlib.sha256(f"{table} {sizes}".encode()).hexdigest()

    def decoded(self) -> NDArray[np.uint8]:
        """Return images ``(n, 3, H, W)`` of one size."""
        images = read_files(self.columns[0], self.images, lambda path: read_image(path, self.size))
        return np.stack(images) if images else np.empty((0, 3, *self.size), np.uint8)

    def truths(self, *, masked: bool = False) -> list[NDArray[np.float32]]:
        """Return maps of their own size, NaN where unknown.

        Args:
            masked: whether pixels that a mask leaves out are NaN too.
        """
        truths = read_files(self.columns[1], self.maps, lambda path: read_map(path, self.scale))
        if not masked:
            return truths
        masks = iter(read_files(str(self.columns[2]), [mask for mask in self.masks if mask is not None], read_map))
        return [
            truth if mask is None else np.where(np.isnan(next(masks)), np.float32(np.nan), truth)
            for mask, truth in zip(self.masks, truths, strict=True)
        ]

    def targets(self) -> NDArray[np.float32]:
        """Return maps ``(n, h, w)`` of half the size of the images; the nearest pixel keeps unknown pixels apart."""
        return np.stack([nearest(truth, half(self.size)) for truth in self.truths()])


@dataclass(frozen=True)
class Truths:
    """Maps of rows, ``(H, W)`` in target units, NaN where unknown or masked; read while they are iterated.

    Args:
        rows: rows with maps.
    """

    rows: MapRows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for piece in self.rows.pieces(_TRUTHS_AT_ONCE):
            yield from piece.truths(masked=True)


def map_rows(
    frame: pd.DataFrame,
    folder: Path,
    schema: MapSchema,
    *,
    maps: bool = True,
    masked: NDArray[np.bool_] | None = None,
) -> MapRows:
    """Return the rows of an index table, with every file checked; see :func:`open_maps`.

    Args:
        frame: the table.
        folder: where relative paths start.
        schema: its columns.
        maps: whether to open maps and masks; ``False`` to predict.
        masked: ``(n,)`` rows whose masks are read; all by default.

    Raises:
        InputError: empty cells, and what :func:`open_maps` raises.
    """
    settings = schema.settings
    masks: list[str | None] = []
    if maps and settings.mask is not None:
        has_mask = frame[settings.mask].notna().to_numpy() & (True if masked is None else masked)
        named = frame[settings.mask]
        masks = [str(folder / str(cell)) if has else None for cell, has in zip(named, has_mask, strict=True)]
    return open_maps(
        (schema.image, schema.depth if maps else "", settings.mask),
        _paths(frame, schema.image, folder),
        _paths(frame, schema.depth, folder) if maps else [],
        masks,
        scale=settings.scale,
        size=settings.size,
        names=cells(frame, schema.image),
    )


def open_maps(
    columns: tuple[str, str, str | None],
    images: Sequence[str],
    maps: Sequence[str] = (),
    masks: Sequence[str | None] = (),
    *,
    scale: float = 1.0,
    size: tuple[int, int] | None = None,
    names: Sequence[str] | None = None,
) -> MapRows:
    """Read every file once and check that the files of a row belong together.

    Args:
        columns: names of the columns of images, maps and masks.
        images: paths.
        maps: paths; none to predict.
        masks: paths, ``None`` for a row without.
        scale: target units of 1 in a file of a map.
        size: height and width that images are stretched to; by default that of the images, which then must be one.
        names: names of the images; their paths by default.

    Raises:
        InputError: files that are missing or broken, maps or masks of another size than their image, images of several
            sizes: how many, and the first ten.
    """
    of_images, of_maps, of_masks = columns
    shapes = read_files(of_images, images, lambda path: _hw(read_image(path).shape[1:]))
    if maps:
        sizes = read_files(of_maps, maps, lambda path: _hw(read_map(path, scale).shape))
        _check_same(of_maps, maps, sizes, shapes)
    with_mask = [i for i, mask in enumerate(masks) if mask is not None]
    if with_mask and of_masks is not None:
        paths = [str(masks[i]) for i in with_mask]
        sizes = read_files(of_masks, paths, lambda path: _hw(read_map(path).shape))
        _check_same(of_masks, paths, sizes, [shapes[i] for i in with_mask])
    if size is None:
        if len(set(shapes)) > 1:
            several = ", ".join(f"{h} x {w}" for h, w in sorted(set(shapes))[:_SHOWN])
            raise InputError(
                f"the images of column {of_images!r} have {len(set(shapes))} sizes ({several}); choose the one to "
                "stretch them to, e.g. `depth.size=[228,304]`"
            )
        size = shapes[0]
    return MapRows(
        columns,
        tuple(images),
        tuple(maps),
        tuple(masks) if masks else (None,) * len(images),
        scale,
        size,
        tuple(shapes),
        tuple(images if names is None else names),
    )


def _paths(frame: pd.DataFrame, column: str, folder: Path) -> list[str]:
    empty = frame[column].isna()
    if empty.any():
        raise InputError(
            f"column {column!r} has {int(empty.sum())} empty cells, the first in row "
            f"{int(empty.to_numpy().argmax()) + 1}; remove those rows"
        )
    return [str(folder / cell) for cell in cells(frame, column)]


def _hw(shape: tuple[int, ...]) -> tuple[int, int]:
    height, width = shape
    return height, width


def _check_same(
    column: str, paths: Sequence[str], sizes: Sequence[tuple[int, int]], expected: Sequence[tuple[int, int]]
) -> None:
    """Raise unless files have the size of their image."""
    wrong = [
        f"{path}: {a[0]} x {a[1]}, its image {b[0]} x {b[1]}"
        for path, a, b in zip(paths, sizes, expected, strict=True)
        if a != b
    ]
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            f"{len(wrong)} of the {len(paths)} files that column {column!r} names have another size than their image: "
            + "; ".join(wrong[:_SHOWN])
            + more
        )
