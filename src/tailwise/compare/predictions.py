"""Test rows of a training with their predictions, in a small file next to its result."""

import hashlib
import io
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.labels.shots import REGIONS, Shots
from tailwise.metrics.errors import error_sizes

_ARRAYS = ("row", "target", "prediction", "region", "bin", "share")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Test rows of a cell with their predictions.

    Args:
        row: ``(n,)`` positions in the source, from 0.
        target: ``(n,)`` true values, target units; ``(n, K)`` for K targets.
        prediction: predictions of the same shape, target units, as errors count them: of a censored label one beyond
            its limit is the label.
        region: ``(n,)`` regions of the true values, as indices of :data:`tailwise.labels.shots.REGIONS`.
        bin: ``(n,)`` bins of the true values.
        share: ``(n,)`` fraction of the training rows, or of their weights, that the bin of each true value has.
        weight: ``(n,)`` how much each row counts; ``None`` where all count alike.
    """

    row: NDArray[np.int64]
    target: NDArray[np.float64]
    prediction: NDArray[np.float64]
    region: NDArray[np.int8]
    bin: NDArray[np.int32]
    share: NDArray[np.float64]
    weight: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        row: NDArray[np.int64],
        target: NDArray[np.float64],
        prediction: NDArray[np.float64],
        shots: Shots,
        weight: NDArray[np.float64] | None = None,
    ) -> Self:
        """Return the rows with regions and bins as learnt from the training rows."""
        region, bins = shots.codes(target).astype(np.int8), shots.bins.index(target).astype(np.int32)
        return cls(row, target, prediction, region, bins, (shots.population / shots.population.sum())[bins], weight)

    @property
    def error(self) -> NDArray[np.float64]:
        """``(n,)`` absolute errors (distances for several targets), target units."""
        return error_sizes(self.target, self.prediction)

    def within(self, region: str) -> NDArray[np.bool_]:
        """Return the ``(n,)`` mask of a region's rows; ``"all"`` selects every row."""
        if region == "all":
            return np.ones(self.row.size, dtype=bool)
        return np.asarray(self.region == REGIONS.index(region))

    def same_rows(self, other: "Predictions") -> bool:
        """Return whether both have the same rows in the same order, with the same true values, regions and bins."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("row", "target", "region", "bin", "share"))
        alike = (self.weight is None) == (other.weight is None)
        if self.weight is not None and other.weight is not None:
            alike = np.array_equal(self.weight, other.weight)
        return alike and all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    def write(self, path: Path) -> str:
        """Write the file atomically and return its SHA-256."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: array for name, array in asdict(self).items() if array is not None}
        np.savez_compressed(buffer, **arrays)
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(buffer.getvalue())
        os.replace(fresh, path)
        return hashlib.sha256(buffer.getvalue()).hexdigest()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file that :meth:`write` wrote; nothing in it is executed.

        Raises:
            InputError: a file that is missing or cannot be read.
        """
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
                weight = arrays.get("weight")
                return cls(**{name: arrays[name] for name in _ARRAYS}, weight=weight)
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise InputError(f"predictions {str(path)!r} cannot be read; run the comparison again") from error
