"""Tables that users downloaded for a benchmark."""

import warnings
from pathlib import Path

import pandas as pd

from tailwise.data.table_files import read_with_notes


def read_download(file: Path) -> pd.DataFrame:
    """Return a table, and issue the notes on how it was read as warnings that begin with the name of the file.

    Raises:
        InputError: a file that cannot be read.
    """
    frame, notes = read_with_notes(file)
    for note in notes:
        warnings.warn(f"{file.name}: {note}", UserWarning, stacklevel=2)
    return frame
