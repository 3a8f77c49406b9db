"""Resample the features of training rows, keeping types and missing values."""

import copy
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError

_LARGEST_WHOLE = 2**53


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
