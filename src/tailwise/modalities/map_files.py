"""Files of images and of dense maps: decoded, and brought to one size."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tailwise.data.cell_paths import FileError
from tailwise.modalities.image_files import opened

_ONE_CHANNEL = ("1", "L", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")


def read_image(path: Path, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the bytes ``(3, H, W)`` of an image, upright, stretched to a height and width if given.

    Raises:
        FileError: a file that is no whole image.
        InputError: Pillow is not installed.
    """
    with opened(path) as stored:
        from PIL import Image, ImageOps

        if stored.mode.startswith(("I", "F")):
            raise FileError(f"an image needs 8 bits a channel, but this is {stored.mode} of Pillow")
        image = ImageOps.exif_transpose(stored).convert("RGB")
        if size is not None and image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def read_map(path: Path, scale: float = 1.0) -> NDArray[np.float32]:
    """Return the numbers ``(H, W)`` of a NPY file or of an image of one channel (PNG of 8 or 16 bits), times a scale.

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
            stored = np.asarray(np.load(path, allow_pickle=False))
        except FileNotFoundError:
            raise
        except Exception as error:  # e.g. a zip file with this suffix
            raise FileError(f"not a whole NPY file: {error}") from error
        if stored.dtype.kind not in "fiub":
            raise FileError(f"it holds {stored.dtype}, not numbers")
        return stored
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in _ONE_CHANNEL:
                raise FileError(f"a map needs an image of one channel, but this is {image.mode}")
            return np.asarray(image)
    except (FileNotFoundError, FileError):
        raise
    except Exception as error:  # Pillow's formats raise errors of any type
        raise FileError(f"neither a whole image nor a NPY file: {error}") from error


def half(size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a network's maps for images of a size."""
    return -(-size[0] // 2), -(-size[1] // 2)


def nearest(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return a map of another height and width, with the nearest pixel for each pixel."""
    rows, columns = (_places(have, want) for have, want in zip(values.shape, size, strict=True))
    return values[np.ix_(rows, columns)]


def _places(have: int, want: int) -> NDArray[np.int64]:
    # Corners stay at corners, as in the bilinear up-sampling of predictions (align_corners=True).
    return np.rint(np.linspace(0, have - 1, want)).astype(np.int64)
