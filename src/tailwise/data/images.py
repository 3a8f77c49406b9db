"""Images named by a column of a table: found, checked, decoded to one size."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, one_of, whole
from tailwise.data.files import FileError, cells, read_files

MODES = ("RGB", "L")
_LARGEST, _LARGE = 96, 224


@dataclass(frozen=True)
class ImageReader:
    """Images of a column as bytes of one size.

    Decoding is Pillow's. An image of another shape is resized with its sides' ratio kept so that it covers the size,
    and cut in the middle.

    Args:
        column: the column that names the files.
        size: height and width, pixels.
        mode: ``"RGB"`` or ``"L"`` (grey).
    """

    column: str
    size: tuple[int, int]
    mode: str = "RGB"

    @classmethod
    def fit(cls, column: str, frame: pd.DataFrame, *, size: Any = None, mode: str = "RGB") -> Self:
        """A reader for the images of a column.

        Args:
            column: the column that names the files.
            frame: training rows.
            size: one number, or (height, width), pixels; that of the images if they all have one of at most 96
                pixels a side, else 224.
            mode: ``"RGB"`` or ``"L"``.

        Raises:
            InputError: files that are no images, sizes below 8.
        """
        one_of(mode, "image.mode", MODES)
        if size is None:
            there = {image.size for image in read_files(column, cells(frame, column), _header)}
            width, height = there.pop() if len(there) == 1 else (_LARGE, _LARGE)
            found = (height, width) if max(height, width) <= _LARGEST else (_LARGE, _LARGE)
            return cls(column, found, mode)
        pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else (size,)
        if len(pair) != 2:
            raise InputError(f"image.size takes one number or (height, width), got {size!r}")
        height, width = (whole(side, "image.size", least=8) for side in pair)
        return cls(column, (height, width), mode)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return len(self.mode), *self.size

    @property
    def bytes_each(self) -> int:
        """Memory of one decoded image."""
        return int(np.prod(self.shape))

    def check(self, frame: pd.DataFrame) -> None:
        """Raise unless every file is there and its data are whole, as far as its format lets one know undecoded."""
        read_files(self.column, cells(frame, self.column), _verified)

    def read(self, frame: pd.DataFrame) -> NDArray[np.uint8]:
        """``(n, C, H, W)`` bytes.

        Raises:
            InputError: files that are missing or broken, the first ten and their number.
        """
        return self.decode(cells(frame, self.column))

    def decode(self, paths: Sequence[str]) -> NDArray[np.uint8]:
        """``(n, C, H, W)`` bytes of these files."""
        images = read_files(self.column, paths, self._decoded)
        return np.stack(images) if images else np.empty((0, *self.shape), np.uint8)

    def _decoded(self, path: Path) -> NDArray[np.uint8]:
        from PIL import Image, ImageOps

        image = _opened(path)
        try:
            with image:
                fitted = ImageOps.fit(
                    ImageOps.exif_transpose(image).convert(self.mode), self.size[::-1], Image.Resampling.BILINEAR
                )
                pixels = np.asarray(fitted)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise FileError(f"broken image: {error}") from error
        return pixels[None] if self.mode == "L" else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def save(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002  readers of texts have files
        """What :meth:`load` needs."""
        return {"kind": "image", **asdict(self)}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:  # noqa: ARG003
        """The reader that was saved."""
        return cls(str(saved["column"]), (int(saved["size"][0]), int(saved["size"][1])), str(saved["mode"]))


def _opened(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("images need Pillow: pip install 'tailwise[image]'") from error
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileError("not an image that can be read") from error


def _header(path: Path) -> Any:
    with _opened(path) as image:
        return image


def _verified(path: Path) -> None:
    with _opened(path) as image:
        try:
            image.verify()
        except Exception as error:  # Pillow's formats raise whatever their parsing raises
            raise FileError(f"broken image: {error}") from error
