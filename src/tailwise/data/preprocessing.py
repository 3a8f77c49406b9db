"""Read tables, and turn their rows into numbers a network takes."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from tailwise._checks import InputError, quoted
from tailwise.data.columns import Schema

SUFFIXES = {".csv": ",", ".tsv": "\t", ".parquet": None}
NUMBERS, CATEGORIES = "numbers", "categories"
_MOST_CATEGORIES, _MOST_CODES = 256, 255
_LARGEST_WHOLE = 2**53


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
    fresh = path.with_name(path.name + ".new")
    try:
        if path.suffix.lower() == ".parquet":
            frame.to_parquet(fresh, index=False)
        else:
            frame.to_csv(fresh, index=False, sep=SUFFIXES[path.suffix.lower()] or ",")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


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
        for name, step, columns in ((NUMBERS, numbers, numeric), (CATEGORIES, categories, nominal))
        if columns
    ]
    return ColumnTransformer(steps, sparse_threshold=0.0).fit(features)


def resample_features(
    resampler: Any, features: pd.DataFrame, y: NDArray[np.float64], *, seed: int
) -> tuple[pd.DataFrame, NDArray[np.float64], NDArray[np.int64]]:
    """Resampled features, as :meth:`Schema.features` gives them, targets, and the row that each row was made from.

    Whole numbers stay whole, and a column of two values has no third. Neighbours are found among values imputed by the
    median or the most frequent category; then a value is missing again where it is missing in the row that a row was
    made from.

    Args:
        resampler: ``fit_resample(X, y)``, then ``sample_indices_``.
        features: features of the training rows.
        y: ``(n,)`` targets.
        seed: for a resampler that has no ``random_state`` of its own.

    Raises:
        InputError: a resampler that does not say which rows its rows come from.
    """
    if getattr(resampler, "random_state", 0) is None:
        resampler = copy.deepcopy(resampler)
        resampler.random_state = seed
    missing = features.isna()
    typed = {name: _typed(features[name], missing[name].to_numpy()) for name in features.columns}
    resampled, labels = resampler.fit_resample(pd.DataFrame(typed, index=features.index), y)
    if not hasattr(resampler, "sample_indices_"):
        raise InputError(
            f"{type(resampler).__name__} must have sample_indices_ after fit_resample: the row that each row comes from"
        )
    index = np.asarray(resampler.sample_indices_, dtype=np.int64)
    made = {
        name: resampled[name].astype(np.float64 if features[name].dtype == np.float64 else object)
        for name in features.columns
    }
    return pd.DataFrame(made).mask(missing.to_numpy()[index]), np.asarray(labels, dtype=np.float64), index


def _typed(values: pd.Series, missing: NDArray[np.bool_]) -> pd.Series:
    """A feature without gaps and as what it is: a category, a whole number, or any number."""
    there = values[~missing]
    if values.dtype != np.float64:
        return values.fillna("(missing)" if there.empty else there.mode()[0]) if missing.any() else values
    filled = values.fillna(0.0 if there.empty else there.median() if there.nunique() > 2 else there.mode()[0])
    if filled.nunique() <= 2:
        return filled.astype("category")
    whole = (there == there.round()).all() and there.abs().max() < _LARGEST_WHOLE
    return filled.round().astype(np.int64) if whole else filled


def fit_tree_preprocessor(features: pd.DataFrame) -> ColumnTransformer:
    """Learn preprocessing for models of trees: numbers as they are, missing ones too, and text as codes of categories.

    The 254 most frequent categories have codes of their own; one never seen has the code -1.
    """
    numbers = [name for name in features.columns if features[name].dtype == np.float64]
    nominal = [name for name in features.columns if name not in numbers]
    numeric = [name for name in numbers if features[name].notna().any()]  # boosting cannot bin an empty column
    codes = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(missing)", keep_empty_features=True),
        OrdinalEncoder(max_categories=_MOST_CODES, handle_unknown="use_encoded_value", unknown_value=-1),
    )
    steps: list[tuple[str, Any, list[str]]] = [
        (name, step, columns)
        for name, step, columns in ((NUMBERS, "passthrough", numeric), (CATEGORIES, codes, nominal))
        if columns
    ]
    return ColumnTransformer(steps, sparse_threshold=0.0).fit(features)


def nominal_inputs(preprocessor: ColumnTransformer, n_inputs: int) -> NDArray[np.bool_]:
    """``(p,)`` which inputs come from nominal columns; they are the last ones."""
    here = preprocessor.output_indices_.get(CATEGORIES, slice(0, 0))
    nominal = np.zeros(n_inputs, dtype=bool)
    nominal[here] = True
    return nominal


def categories_of(preprocessor: ColumnTransformer) -> list[int]:
    """Of each nominal column how many inputs it takes; they are the last ones."""
    if CATEGORIES not in preprocessor.named_transformers_:
        return []
    encoder = preprocessor.named_transformers_[CATEGORIES][-1]
    rare = encoder.infrequent_categories_
    return [
        len(all_of) - (0 if few is None else len(few) - 1)
        for all_of, few in zip(encoder.categories_, rare, strict=True)
    ]


def transform(preprocessor: ColumnTransformer, schema: Schema, frame: pd.DataFrame, dtype: Any = np.float32) -> Any:
    """``(n, n_inputs)`` inputs of the model for a table's rows; of models of trees some may be missing.

    Args:
        preprocessor: from features to inputs.
        schema: columns of the table.
        frame: its rows.
        dtype: float32 for networks; float64 where numbers are not scaled first.
    """
    return transform_features(preprocessor, schema.features(frame), dtype)


def transform_features(preprocessor: ColumnTransformer, features: pd.DataFrame, dtype: Any = np.float32) -> Any:
    """``(n, n_inputs)`` inputs of the model for features as :meth:`Schema.features` gives them."""
    with np.errstate(over="ignore"):
        x = np.ascontiguousarray(preprocessor.transform(features), dtype=dtype)
    if np.isinf(x).any():
        raise InputError(
            "a number in the table is too far from those of the training rows to compute with; check its unit"
        )
    return x
