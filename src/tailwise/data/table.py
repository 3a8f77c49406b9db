"""Read tables, and turn their rows into numbers a network takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tailwise._checks import InputError
from tailwise.data.schema import Schema

SUFFIXES = {".csv": ",", ".tsv": "\t", ".parquet": None}
_MOST_CATEGORIES = 256


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV, TSV or Parquet file, gzip allowed for the first two.

    Raises:
        InputError: a missing file, another kind of file, or one that cannot be read as a table.
    """
    path = Path(path)
    suffix = next((s for s in reversed(path.suffixes) if s.lower() != ".gz"), "").lower()
    if not path.exists():
        raise InputError(f"no file {str(path)!r}; give a CSV, TSV or Parquet file, or example:NAME")
    if path.is_dir() or suffix not in SUFFIXES:
        raise InputError(f"{str(path)!r} is not a table: the file's name must end in .csv, .tsv or .parquet")
    try:
        frame = (
            pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path, sep=SUFFIXES[suffix], low_memory=False)
        )
    except (ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{str(path)!r} cannot be read as a table: {reason}") from error
    if frame.shape[1] < 2 or frame.empty:
        raise InputError(
            f"{str(path)!r} has {frame.shape[0]} rows and {frame.shape[1]} columns; "
            "a target and at least one feature are needed (is the separator right?)"
        )
    frame.columns = frame.columns.astype(str)
    return frame


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write CSV, TSV or Parquet, as the file's name says."""
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, sep=SUFFIXES[path.suffix.lower()] or ",")


def fit_preprocessor(features: pd.DataFrame) -> ColumnTransformer:
    """Learn preprocessing from the features of training rows, as :meth:`Schema.features` gives them.

    Numbers: the median where missing, with an indicator, then mean 0 and standard deviation 1. Text: one column a
    category, the 255 most frequent apart, all others and those never seen together.
    """
    numeric = [name for name in features.columns if features[name].dtype == np.float64]
    nominal = [name for name in features.columns if name not in numeric]
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(missing)", keep_empty_features=True),
        OneHotEncoder(
            max_categories=_MOST_CATEGORIES, handle_unknown="infrequent_if_exist", sparse_output=False, dtype=np.float32
        ),
    )
    steps: list[tuple[str, Any, list[str]]] = [
        (name, step, columns)
        for name, step, columns in (("numbers", numbers, numeric), ("categories", categories, nominal))
        if columns
    ]
    return ColumnTransformer(steps, sparse_threshold=0.0).fit(features)


def transform(preprocessor: ColumnTransformer, schema: Schema, frame: pd.DataFrame) -> NDArray[np.float32]:
    """``(n, n_inputs)`` inputs of the network for a table's rows."""
    return np.ascontiguousarray(preprocessor.transform(schema.features(frame)), dtype=np.float32)
