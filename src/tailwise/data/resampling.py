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
    """Resample features, as :meth:`Schema.features` gives them, and targets; also return the source row of each row.

    Whole numbers stay whole, and columns with two values keep two. For neighbours, missing values are imputed by the
    median or the most frequent category; afterwards values that are missing in the source row are missing again.

    Args:
        resampler: object with ``fit_resample(X, y)``, which sets ``sample_indices_``.
        features: features of the training rows.
        y: ``(n,)`` targets.
        seed: random seed of a resampler whose ``random_state`` is ``None``.

    Raises:
        InputError: a resampler that does not set ``sample_indices_``.
    """
    if getattr(resampler, "random_state", 0) is None:
        resampler = copy.deepcopy(resampler)
        resampler.random_state = seed
    missing = features.isna()
    typed = {name: _typed(features[name], missing[name].to_numpy()) for name in features.columns}
    resampled, labels = resampler.fit_resample(pd.DataFrame(typed, index=features.index), y)
    if not hasattr(resampler, "sample_indices_"):
        raise InputError(
            f"{type(resampler).__name__} must set sample_indices_ in fit_resample: the source row of each row"
        )
    index = np.asarray(resampler.sample_indices_, dtype=np.int64)
    columns = {
        name: resampled[name].astype(np.float64 if features[name].dtype == np.float64 else object)
        for name in features.columns
    }
    return pd.DataFrame(columns).mask(missing.to_numpy()[index]), np.asarray(labels, dtype=np.float64), index


def _typed(values: pd.Series, missing: NDArray[np.bool_]) -> pd.Series:
    """Return a feature without missing values, as categories, whole numbers or numbers."""
    known = values[~missing]
    if values.dtype != np.float64:
        return values.fillna("(missing)" if known.empty else known.mode()[0]) if missing.any() else values
    filled = values.fillna(0.0 if known.empty else known.median() if known.nunique() > 2 else known.mode()[0])
    if filled.nunique() <= 2:
        return filled.astype("category")
    whole = (known == known.round()).all() and known.abs().max() < _LARGEST_WHOLE
    return filled.round().astype(np.int64) if whole else filled
