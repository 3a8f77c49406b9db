"""A fitted medium: what reads a column of a modality, and what encodes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

_IN_MEMORY = 2**31


class Reader(Protocol):
    """From rows to the inputs of an encoder."""

    def read(self, frame: pd.DataFrame, /) -> NDArray[Any]:
        """Return inputs ``(n, ...)``."""

    def save(self, folder: Path, /) -> dict[str, Any]:
        """Write files into an empty folder, and return a description from which the reader is loaded."""


class FileReader(Reader, Protocol):
    """A reader of files that can be decoded again in each epoch."""

    @property
    def column(self) -> str:
        """Column that names the files."""

    @property
    def bytes_each(self) -> int:
        """Memory of one decoded file."""

    def decode(self, paths: Sequence[str], /) -> NDArray[Any]:
        """Return inputs ``(n, ...)`` of these files."""


@dataclass(frozen=True)
class FittedMedium:
    """Reader and encoder of a column, or of several that are read together.

    Args:
        reader: from rows to inputs.
        encoder: network from inputs to features, with ``n_features``.
        description: plain values from which an encoder of the same form is made.
        files: the reader, if its files may stay on disk.
        in_memory: whether all inputs are kept in memory; ``None``: up to 2 GiB.
        match_inputs: called once with the inputs of the training rows, e.g. to standardise them.
    """

    reader: Reader
    encoder: nn.Module
    description: dict[str, Any]
    files: FileReader | None = None
    in_memory: bool | None = None
    match_inputs: Callable[[Tensor], None] | None = None

    def stays_on_disk(self, n_rows: int) -> bool:
        """Whether files are decoded again in each epoch, in a table of this many rows."""
        if self.files is None:
            return False
        fits = n_rows * self.files.bytes_each <= _IN_MEMORY
        return not (fits if self.in_memory is None else self.in_memory)
