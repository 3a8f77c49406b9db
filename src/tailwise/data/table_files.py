"""Read and write tables: CSV, TSV, Parquet."""

from pathlib import Path

import pandas as pd

from tailwise._checks import InputError, quoted
from tailwise._files import replacing

SUFFIXES = {".csv": ",", ".tsv": "\t", ".parquet": None}


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file, gzip allowed for the first two.

    Raises:
        InputError: a missing file, another kind of file, or one that cannot be read as a table.
    """
    path = Path(path)
    suffix = next((s for s in reversed(path.suffixes) if s.lower() != ".gz"), "").lower()
    if not path.exists():
        raise InputError(f"no file {str(path)!r}; give a CSV, TSV or Parquet file, or example:NAME")
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder; only `tailwise train` takes folders, of Parquet files")
    if suffix not in SUFFIXES:
        raise InputError(f"{str(path)!r} is not a table: the file's name must end in .csv, .tsv or .parquet")
    try:
        frame = pd.read_parquet(path) if suffix == ".parquet" else _read_text(path, SUFFIXES[suffix] or ",")
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} cannot be read as a table: it is not UTF-8; save it as UTF-8") from error
    except (ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{str(path)!r} cannot be read as a table: {reason}") from error
    if isinstance(frame.columns, pd.MultiIndex):
        raise InputError(f"{str(path)!r} has column names of several levels; join them into one")
    if frame.index.names != [None]:
        frame = frame.reset_index()
    frame.columns = frame.columns.astype(str)
    return frame


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    """Read CSV or TSV; pandas would rename the second of two columns with one name."""
    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str).iloc[0].dropna()
    twice = sorted(set(header[header.duplicated()]))
    if twice:
        raise InputError(f"{str(path)!r} has several columns named {quoted(twice)}; rename them")
    return pd.read_csv(path, sep=separator, low_memory=False)


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write CSV, TSV or Parquet, as the file's name says: the whole file or none."""
    path = Path(path)
    try:
        with replacing(path) as fresh:
            if path.suffix.lower() == ".parquet":
                frame.to_parquet(fresh, index=False)
            else:
                frame.to_csv(fresh, index=False, sep=SUFFIXES[path.suffix.lower()] or ",")
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
