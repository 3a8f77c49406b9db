"""scikit-learn estimators that serve the rare values of a target; imported on first use, for only one needs torch."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailwise.estimators.imbalanced import ImbalancedRegressor
    from tailwise.estimators.regional import RegionalRegressor
    from tailwise.estimators.resampled import ResampledRegressor
    from tailwise.estimators.weighted import WeightedRegressor

_WHERE = {
    "ImbalancedRegressor": "imbalanced",
    "RegionalRegressor": "regional",
    "ResampledRegressor": "resampled",
    "WeightedRegressor": "weighted",
}

__all__ = ["ImbalancedRegressor", "RegionalRegressor", "ResampledRegressor", "WeightedRegressor"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tailwise.estimators' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tailwise.estimators.{_WHERE[name]}"), name)
