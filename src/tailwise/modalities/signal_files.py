"""Signals named by a column of a table: read from NPY, WAV, CSV or EDF, and brought to one length and scale."""

import errno
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, whole
from tailwise.data.cell_paths import FileError, cells, read_files
from tailwise.modalities.signal_modality import SUFFIXES

_LONGEST = 4096
_LARGEST = 1e30  # squares of larger values are not finite
_NO_SPREAD = 1e-9  # standard deviation of a constant after rounding, relative to its mean


@dataclass(frozen=True)
class SignalReader:
    """Read the signals of a column, each channel with mean 0 and standard deviation 1 over the training signals.

    A file holds ``(L,)`` or ``(L, C)`` values, time first. A longer signal is cut to its middle, a shorter one followed
    by zeros (the mean).

    Args:
        column: column that names the files.
        length: L, samples.
        mean: of each channel.
        std: of each channel.
    """

    column: str
    length: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, column: str, frame: pd.DataFrame, *, length: Any = None) -> Self:
        """Return a reader fitted to the signals of training rows.

        Args:
            column: column that names the files.
            frame: training rows.
            length: L; by default that of the longest signal, at most 4,096.

        Raises:
            InputError: files that cannot be read, or that have different numbers of channels.
        """
        moments = read_files(column, cells(frame, column), _moments)
        _same_channels(column, [len(means) for _, means, _ in moments])
        lengths = np.array([n for n, _, _ in moments], dtype=np.float64)
        means, squares = np.array([each for _, each, _ in moments]), np.array([each for _, _, each in moments])
        mean = lengths @ means / lengths.sum()
        std = np.sqrt((squares.sum(axis=0) + lengths @ (means - mean) ** 2) / lengths.sum())
        std[std <= _NO_SPREAD * np.abs(mean)] = 1.0
        kept = min(int(lengths.max()), _LONGEST) if length is None else whole(length, "signal.length", least=8)
        return cls(column, kept, tuple(map(float, mean)), tuple(map(float, std)))

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and length."""
        return len(self.mean), self.length

    def read(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Return values ``(n, C, L)``.

        Raises:
            InputError: files that cannot be used, the first ten and their number.
        """
        signals = read_files(self.column, cells(frame, self.column), self._fitted)
        return np.stack(signals) if signals else np.empty((0, *self.shape), np.float32)

    def _fitted(self, path: Path) -> NDArray[np.float32]:
        signal = read_signal(path)
        if signal.shape[1] != len(self.mean):
            raise FileError(f"{signal.shape[1]} channels, where the training signals have {len(self.mean)}")
        scaled = ((signal - np.asarray(self.mean)) / np.asarray(self.std)).T
        start = max(0, (scaled.shape[1] - self.length) // 2)
        cut = scaled[:, start : start + self.length]
        padded = np.zeros(self.shape, np.float32)
        padded[:, : cut.shape[1]] = cut
        return padded

    def save(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002  readers of texts write files
        """Return the description that :meth:`load` needs."""
        return {"kind": "signal", **asdict(self)}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:  # noqa: ARG003
        """Return the reader that was saved."""
        return cls(str(saved["column"]), int(saved["length"]), tuple(saved["mean"]), tuple(saved["std"]))


def check_signals(column: str, frame: pd.DataFrame) -> None:
    """Raise unless every file of a column is a signal, and all have as many channels.

    Raises:
        InputError: files that cannot be used, the first ten and their number.
    """
    _same_channels(column, read_files(column, cells(frame, column), lambda path: read_signal(path).shape[1]))


def _same_channels(column: str, channels: list[int]) -> None:
    if len(set(channels)) > 1:
        raise InputError(
            f"the signals of column {column!r} have {min(channels)} to {max(channels)} channels; all must have as many "
            "(a signal is (L,) or (L, C), time first)"
        )


def _moments(path: Path) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Return the length, the mean of each channel, and its sum of squared distances from the mean."""
    signal = read_signal(path)
    mean = signal.mean(axis=0)
    return len(signal), mean, ((signal - mean) ** 2).sum(axis=0)


def read_signal(path: Path) -> NDArray[np.float64]:
    """Return the values ``(L, C)`` of a NPY, WAV, CSV or EDF file.

    Integers of WAV files become fractions of full scale. CSV files may have a header.

    Raises:
        FileError: a file of another kind, that cannot be read, or whose values are not finite.
        FileNotFoundError: no such file.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not path.is_file():
        raise FileNotFoundError(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise FileError(f"its name must end in one of {', '.join(SUFFIXES)}")
    try:
        stored = np.asarray({".npy": _npy, ".wav": _wav, ".csv": _csv, ".edf": _edf}[kind](path))
        if stored.dtype.kind not in "biuf":
            raise FileError(f"its values are {stored.dtype}, not real numbers")
        values = stored.astype(np.float64)
    except (FileError, InputError):
        raise
    except Exception as error:  # the parsers of four formats raise many things at broken bytes
        raise FileError(
            f"cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error
    signal = values[:, None] if values.ndim == 1 else values
    if signal.ndim != 2 or signal.size == 0:
        raise FileError(f"it holds an array {values.shape}; a signal is (L,) or (L, C), time first")
    if not np.isfinite(signal).all():
        raise FileError("it holds values that are NaN or infinite")
    if np.abs(signal).max() > _LARGEST:
        raise FileError(f"it holds values above {_LARGEST:g}, which cannot be computed with")
    return signal


def _npy(path: Path) -> Any:
    return np.load(path, allow_pickle=False)


def _wav(path: Path) -> Any:
    from scipy.io import wavfile

    _, values = wavfile.read(path)
    if np.issubdtype(values.dtype, np.unsignedinteger):
        return values / 128 - 1
    return values / -float(np.iinfo(values.dtype).min) if np.issubdtype(values.dtype, np.integer) else values


def _csv(path: Path) -> Any:
    table = pd.read_csv(path, header=None, low_memory=False)
    first = table.iloc[0]
    if (pd.to_numeric(first, errors="coerce").isna() & first.notna()).any():  # names of columns
        table = table.iloc[1:]
    return table.apply(pd.to_numeric).to_numpy(np.float64)


def _edf(path: Path) -> Any:
    try:
        import edfio
    except ImportError as error:
        raise InputError("EDF files need edfio: pip install 'tailwise[signal]'") from error
    signals = [signal.data for signal in edfio.read_edf(path).signals]
    if len({len(values) for values in signals}) > 1:
        raise FileError("its channels have different sampling rates; resample them to one")
    return np.stack(signals, axis=1)
