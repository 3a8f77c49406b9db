"""Images named by a column of a table: checked, and decoded to one size."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, one_of, whole
from tailwise.data.cell_paths import FileError, cells, read_files

MODES = ("RGB", "L")
_LEAST, _MOST = 8, 4_096
_LARGEST, _LARGE = 96, 224
_LOOKED_AT = 500
MOST_BITS = 16
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)  # EXIF tag, and its values for which width and height are exchanged


@dataclass(frozen=True)
class ImageReader:
    """Read the images of a column as bytes of one size.

    Pillow decodes them. Images are turned upright by their EXIF tag; transparency is dropped. Of 16 bits the higher 8
    of those that the training images use are kept: bits 4 to 11 of 12-bit images. Brighter pixels are clipped. An image
    of another shape is resized, keeping its ratio, until it covers the size, and cut to its middle.

    Args:
        column: column that names the files.
        size: height and width, pixels.
        mode: ``"RGB"`` or ``"L"`` (grey).
        bits: bits that pixels of 16 bits use, 9 to 16.
    """

    column: str
    size: tuple[int, int]
    mode: str = "RGB"
    bits: int = 16

    @classmethod
    def fit(
        cls, column: str, frame: pd.DataFrame, *, size: Any = None, mode: str = "RGB", bits: int | None = None
    ) -> Self:
        """Return a reader for the images of a column.

        Args:
            column: column that names the files.
            frame: training rows.
            size: one number, or (height, width), pixels; by default the size of the images if all have the same one of
                at most 96 pixels a side, else 224.
            mode: ``"RGB"`` or ``"L"``.
            bits: bits that pixels of 16 bits use; by default those of the brightest pixel of at most 500 training
                images, at least 8.

        Raises:
            InputError: files that are no images, sizes below 8 or above 4,096.
        """
        one_of(mode, "image.mode", MODES)
        bits = bits_used(column, frame, bits)
        if size is None:
            sizes = set(read_files(column, cells(frame, column), _size))
            width, height = sizes.pop() if len(sizes) == 1 else (_LARGE, _LARGE)
            height, width = max(height, _LEAST), max(width, _LEAST)
            return cls(column, (height, width) if max(height, width) <= _LARGEST else (_LARGE, _LARGE), mode, bits)
        pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else (size,)
        if len(pair) != 2:
            raise InputError(f"image.size takes one number or (height, width), got {size!r}")
        height, width = (whole(side, "image.size", least=_LEAST, most=_MOST) for side in pair)
        return cls(column, (height, width), mode, bits)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return len(self.mode), *self.size

    @property
    def bytes_each(self) -> int:
        """Memory of one decoded image."""
        return int(np.prod(self.shape))

    def read(self, frame: pd.DataFrame) -> NDArray[np.uint8]:
        """Return bytes ``(n, C, H, W)``.

        Raises:
            InputError: files that are missing or broken, the first ten and their number.
        """
        return self.decode(cells(frame, self.column))

    def decode(self, paths: Sequence[str]) -> NDArray[np.uint8]:
        """Return bytes ``(n, C, H, W)`` of these files."""
        images = read_files(self.column, paths, self._decoded)
        return np.stack(images) if images else np.empty((0, *self.shape), np.uint8)

    def _decoded(self, path: Path) -> NDArray[np.uint8]:
        with opened(path) as image:
            from PIL import Image, ImageOps

            upright = _eight_bits(ImageOps.exif_transpose(image), self.bits).convert(self.mode)
            pixels = np.asarray(ImageOps.fit(upright, self.size[::-1], Image.Resampling.BILINEAR))
        return pixels[None] if self.mode == "L" else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def save(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002  readers of texts write files
        """Return the description that :meth:`load` needs."""
        return {"kind": "image", **asdict(self)}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:  # noqa: ARG003
        """Return the reader that was saved."""
        height, width = (int(side) for side in saved["size"])
        return cls(str(saved["column"]), (height, width), str(saved["mode"]), int(saved.get("bits", 16)))


def bits_used(column: str, frame: pd.DataFrame, bits: Any = None) -> int:
    """Return the bits that pixels of 16 bits use.

    Args:
        column: column that names the files.
        frame: training rows.
        bits: as given; by default those of the brightest pixel of at most 500 images.

    Raises:
        InputError: files that are no images, bits below 8 or above 16.
    """
    if bits is None:
        bits = max([8, *read_files(column, cells(frame, column)[:_LOOKED_AT], bits_of)])
        bits = bits if bits > 8 else MOST_BITS  # images of 8 bits have none
    return whole(bits, "image.bits", least=8, most=MOST_BITS)


def check_images(column: str, frame: pd.DataFrame) -> None:
    """Raise unless every file of a column is an image that can be decoded.

    Raises:
        InputError: files that are missing or broken, the first ten and their number.
    """
    read_files(column, cells(frame, column), _whole)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an image of Pillow, not yet decoded; raise :class:`FileError` for a broken one."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise InputError("images need Pillow: pip install 'tailwise[image]'") from error
    try:
        with Image.open(path) as image:
            yield image
    except FileError:
        raise
    except UnidentifiedImageError as error:
        raise FileError("not an image that can be read") from error
    except Image.DecompressionBombError as error:
        raise FileError(f"too large: {error}") from error
    except Exception as error:  # Pillow's formats raise whatever their parsing raises
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file cannot be opened
        raise FileError(f"broken image: {error}") from error


def _size(path: Path) -> tuple[int, int]:
    """Return width and height, upright."""
    with opened(path) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(_ORIENTATION) in _LYING else (width, height)


def _whole(path: Path) -> None:
    with opened(path) as image:
        image.draft("L", (1, 1))  # decodes an eighth of each side of a JPEG: all of its bytes in little time
        image.load()


def bits_of(path: Path) -> int:
    """Return how many bits the pixels of a 16-bit image use; 0 of an image of 8 bits."""
    with opened(path) as image:
        if not image.mode.startswith("I"):
            return 0
        return int(np.asarray(image).max(initial=0)).bit_length()


def _eight_bits(image: Any, bits: int) -> Any:
    """Return the image with at most 8 bits a channel; Pillow would clip 16 bits."""
    from PIL import Image

    if image.mode == "P":
        return image.convert("RGBA")
    if not image.mode.startswith(("I", "F")):
        return image
    pixels = np.asarray(image)
    if image.mode == "F" or pixels.min(initial=0) < 0 or pixels.max(initial=0) >= 2**16:
        raise FileError(f"its pixels ({image.mode} of Pillow) are not of 8 or 16 bits a channel")
    return Image.fromarray(np.minimum(pixels >> (bits - 8), 255).astype(np.uint8))
