"""Preprocessing of features into inputs of a model: imputation, scaling, categories."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from tailwise._checks import InputError
from tailwise.data.columns import Schema
from tailwise.data.reach import Reach
from tailwise.data.seen import Seen

NUMBERS, CATEGORIES = "numbers", "categories"
NO_CATEGORY = "(missing)"
_MOST_CATEGORIES, _MOST_CODES = 256, 255
_AT_ONCE = 65_536


def fit_preprocessor(features: pd.DataFrame) -> ColumnTransformer:
    """Fit preprocessing to the features of training rows, as :meth:`Schema.features` gives them.

    Numbers are imputed by the median, with an indicator, and scaled to mean 0 and standard deviation 1. Text is one-hot
    encoded: one column for each of the 255 most frequent categories, one for all others.
    """
    numeric = [name for name in features.columns if features[name].dtype == np.float64]
    nominal = [name for name in features.columns if name not in numeric]
    numbers = make_pipeline(
        SimpleImputer(strategy=_median, add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=NO_CATEGORY, keep_empty_features=True),
        OneHotEncoder(
            max_categories=_MOST_CATEGORIES, handle_unknown="infrequent_if_exist", sparse_output=False, dtype=np.float32
        ),
    )
    steps: list[tuple[str, Any, list[str]]] = [
        (name, step, columns)
        for name, step, columns in ((NUMBERS, numbers, numeric), (CATEGORIES, categories, nominal))
        if columns
    ]
    preprocessor = ColumnTransformer(steps, sparse_threshold=0.0).fit(features)
    if numeric:  # what is stored names the statistic, not a function
        preprocessor.set_params(**{f"{NUMBERS}__simpleimputer__strategy": "median"})
        preprocessor.named_transformers_[NUMBERS][0].set_params(strategy="median")
    return preprocessor


def _median(known: NDArray[np.float64]) -> float:
    """Return the median of the known numbers of one column; scikit-learn's takes six times the table's memory."""
    return float(np.median(known)) if known.size else 0.0


def fit_tree_preprocessor(features: pd.DataFrame, *, scaled: bool = False) -> ColumnTransformer:
    """Fit preprocessing for tree models: numbers unchanged, also missing ones, and text as codes of categories.

    The 254 most frequent categories have separate codes; unseen categories have the code -1.

    Args:
        features: of the training rows.
        scaled: numbers have mean 0 and standard deviation 1, for models that round them to float32.
    """
    numbers = [name for name in features.columns if features[name].dtype == np.float64]
    nominal = [name for name in features.columns if name not in numbers]
    numeric = [name for name in numbers if features[name].notna().any()]  # boosting cannot bin an empty column
    codes = make_pipeline(
        SimpleImputer(strategy="constant", fill_value=NO_CATEGORY, keep_empty_features=True),
        OrdinalEncoder(max_categories=_MOST_CODES, handle_unknown="use_encoded_value", unknown_value=-1),
    )
    steps: list[tuple[str, Any, list[str]]] = [
        (name, step, columns)
        for name, step, columns in (
            (NUMBERS, StandardScaler() if scaled else "passthrough", numeric),
            (CATEGORIES, codes, nominal),
        )
        if columns
    ]
    return ColumnTransformer(steps, sparse_threshold=0.0).fit(features)


def nominal_inputs(preprocessor: ColumnTransformer, n_inputs: int) -> NDArray[np.bool_]:
    """Return which inputs come from nominal columns, ``(p,)``; they are the last ones."""
    columns = preprocessor.output_indices_.get(CATEGORIES, slice(0, 0))
    nominal = np.zeros(n_inputs, dtype=bool)
    nominal[columns] = True
    return nominal


def categories_of(preprocessor: ColumnTransformer) -> list[int]:
    """Return the number of inputs of each nominal column; they are the last inputs."""
    if CATEGORIES not in preprocessor.named_transformers_:
        return []
    encoder = preprocessor.named_transformers_[CATEGORIES][-1]
    rare = encoder.infrequent_categories_
    return [
        len(all_of) - (0 if few is None else len(few) - 1)
        for all_of, few in zip(encoder.categories_, rare, strict=True)
    ]


def levels_of(preprocessor: ColumnTransformer) -> dict[str, Seen]:
    """Return the categories of each nominal column, without that of missing cells."""
    seen = {}
    for name, step, columns in preprocessor.transformers_:
        if name == CATEGORIES:
            for column, levels in zip(columns, step[-1].categories_, strict=True):
                seen[str(column)] = Seen(levels=tuple(str(level) for level in levels if level != NO_CATEGORY))
    return seen


def transform(
    preprocessor: ColumnTransformer,
    schema: Schema,
    frame: pd.DataFrame,
    dtype: Any = np.float32,
    reach: Reach | None = None,
) -> Any:
    """Return the inputs of the model for rows of a table, ``(n, n_inputs)``; those of tree models may be missing.

    Args:
        preprocessor: from features to inputs.
        schema: columns of the table.
        frame: its rows.
        dtype: float32 for networks; float64 where numbers are not scaled first.
        reach: limits of the numbers, if there are some.
    """
    features = schema.features(frame)
    return transform_features(preprocessor, features if reach is None else reach.clamped(features), dtype)


def transform_features(preprocessor: ColumnTransformer, features: pd.DataFrame, dtype: Any = np.float32) -> Any:
    """Return the inputs of the model for features as :meth:`Schema.features` gives them, ``(n, n_inputs)``."""
    x: Any = None
    for start in range(0, len(features) or 1, _AT_ONCE):  # each step of the preprocessor copies what it is given
        with np.errstate(over="ignore"):
            piece = np.ascontiguousarray(preprocessor.transform(features.iloc[start : start + _AT_ONCE]), dtype=dtype)
        if np.isinf(piece).any():
            raise InputError("a number in the table is too far from those of the training rows; check its unit")
        if len(features) <= _AT_ONCE:
            return piece
        x = np.empty((len(features), piece.shape[1]), dtype=piece.dtype) if x is None else x
        x[start : start + len(piece)] = piece
    return x
