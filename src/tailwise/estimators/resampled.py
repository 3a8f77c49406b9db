"""Any regressor on resampled rows."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, validate_data

from tailwise._checks import InputError, label_array
from tailwise.data.rows import TableLike
from tailwise.estimators.around import RegressorAround
from tailwise.methods.slots import Resamples


class ResampledRegressor(RegressorAround):
    """Any regressor, trained on rows that a resampler gives.

    Only the rows of ``fit`` are resampled, so that cross-validation scores on rows as they are.

    Args:
        estimator: the regressor; ``HistGradientBoostingRegressor()`` if not given. A clone of it is fitted.
        resampler: ``fit_resample(X, y)``, see ``tailwise.sampling``; ``SMOGN()`` if not given. A clone of it is used.

    Attributes:
        estimator_: the fitted regressor.
        resampler_: the resampler, with its ``sample_indices_``.

    Raises:
        InputError: a resampler without ``fit_resample``; ``sample_weight`` with a resampler that does not say which
            rows its rows come from.

    Example:
        >>> from sklearn.linear_model import Ridge
        >>> from tailwise.sampling import RandomOverSampler
        >>> X, y = np.arange(40.0).reshape(-1, 1), np.r_[np.arange(38.0) / 38, 50.0, 60.0]
        >>> model = ResampledRegressor(Ridge(), RandomOverSampler(random_state=0)).fit(X, y)
        >>> len(model.resampler_.sample_indices_) > 40
        True
    """

    def __init__(self, estimator: BaseEstimator | None = None, resampler: Resamples | None = None) -> None:
        self.estimator, self.resampler = estimator, resampler

    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit a clone of the estimator to resampled rows.

        Args:
            X: ``(n, p)`` in any form that the resampler takes.
            y: ``(n,)`` targets.
            sample_weight: ``(n,)`` weights of the caller; a synthetic row has that of the row it was made from.
            fit_params: passed on to the estimator's ``fit``, as they are.
        """
        labels = label_array(self._labels(y))
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, skip_check_array=True)
        else:
            X = validate_data(self, X, ensure_all_finite="allow-nan")
        check_consistent_length(X, labels)
        resampler = self._resampler()
        if not hasattr(resampler, "fit_resample"):
            raise InputError(f"resampler must have fit_resample(X, y), such as SMOGN(), got {self.resampler!r}")
        self.resampler_ = clone(resampler)
        rows, targets = self.resampler_.fit_resample(X, labels)
        weight = None
        if sample_weight is not None:
            if not hasattr(self.resampler_, "sample_indices_"):
                raise InputError("sample_weight needs a resampler with sample_indices_, which row each row comes from")
            weight = _safe_indexing(_check_sample_weight(sample_weight, labels), self.resampler_.sample_indices_)
        self._fit(rows, np.asarray(targets), weight, self._routed(fit_params))
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.non_deterministic = getattr(self._resampler(), "random_state", 0) is None
        return tags

    def _resampler(self) -> Any:
        if self.resampler is not None:
            return self.resampler
        from tailwise.sampling import SMOGN

        return SMOGN()
