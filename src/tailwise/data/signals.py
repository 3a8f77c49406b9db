"""Signals named by a column of a table: read from NPY, WAV, CSV or EDF, brought to one length and scale."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError, whole
from tailwise.data.files import FileError, cells, read_files

SUFFIXES = (".npy", ".wav", ".csv", ".edf")
_LONGEST = 4096


@dataclass(frozen=True)
class SignalReader:
    """Signals of a column, each channel with mean 0 and standard deviation 1 over the training signals.

    A file holds ``(L,)`` or ``(L, C)`` values, time first. A longer signal is cut to its middle, a shorter one followed
    by zeros (the mean).

    Args:
        column: the column that names the files.
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
        """A reader for signals like those of the training rows.

        Args:
            column: the column that names the files.
            frame: training rows.
            length: L; that of the longest, at most 4,096, if not given.

        Raises:
            InputError: files that cannot be read, or that have different numbers of channels.
        """
        signals = read_files(column, cells(frame, column), read_signal)
        channels = {signal.shape[1] for signal in signals}
        if len(channels) > 1:
            raise InputError(
                f"the signals of column {column!r} have {sorted(channels)} channels; all must have as many"
            )
        longest = max(len(signal) for signal in signals)
        n = sum(len(signal) for signal in signals)
        mean = sum(signal.sum(axis=0, dtype=np.float64) for signal in signals) / n
        squares = sum(((signal - mean) ** 2).sum(axis=0, dtype=np.float64) for signal in signals)
        std = np.sqrt(squares / n)
        kept = min(longest, _LONGEST) if length is None else whole(length, "signal.length", least=8)
        return cls(column, kept, tuple(map(float, mean)), tuple(float(s) if s > 0 else 1.0 for s in std))

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and length."""
        return len(self.mean), self.length

    @property
    def bytes_each(self) -> int:
        """Memory of one signal."""
        return 4 * len(self.mean) * self.length

    def check(self, frame: pd.DataFrame) -> None:
        """Raise unless every file can be read and has the channels it should have."""
        read_files(self.column, cells(frame, self.column), self._fitted)

    def read(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """``(n, C, L)``.

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
        made = np.zeros(self.shape, np.float32)
        made[:, : cut.shape[1]] = cut
        return made

    def save(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002  readers of texts have files
        """What :meth:`load` needs."""
        return {"kind": "signal", **asdict(self)}

    @classmethod
    def load(cls, folder: Path, saved: dict[str, Any]) -> Self:  # noqa: ARG003
        """The reader that was saved."""
        return cls(str(saved["column"]), int(saved["length"]), tuple(saved["mean"]), tuple(saved["std"]))


def read_signal(path: Path) -> NDArray[np.float64]:
    """``(L, C)`` values of a file: NPY, WAV (whole numbers as shares of full scale), CSV (a header is allowed), EDF.

    Raises:
        FileError: a file of another kind, that cannot be read, or whose values are not finite.
        FileNotFoundError: no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise FileError(f"its name must end in one of {', '.join(SUFFIXES)}")
    try:
        values = np.asarray({".npy": _npy, ".wav": _wav, ".csv": _csv, ".edf": _edf}[kind](path), dtype=np.float64)
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
    table = pd.read_csv(path, header=None)
    if pd.to_numeric(table.iloc[0], errors="coerce").isna().all():
        table = table.iloc[1:]
    return table.apply(pd.to_numeric).to_numpy()


def _edf(path: Path) -> Any:
    try:
        import edfio
    except ImportError as error:
        raise InputError("EDF files need edfio: pip install 'tailwise[signal]'") from error
    signals = [signal.data for signal in edfio.read_edf(path).signals]
    if len({len(values) for values in signals}) > 1:
        raise FileError("its channels have different sampling rates; resample them to one")
    return np.stack(signals, axis=1)
