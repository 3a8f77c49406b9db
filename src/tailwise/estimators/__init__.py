"""scikit-learn estimators that serve the rare values of a target."""

from tailwise.estimators.imbalanced import ImbalancedRegressor
from tailwise.estimators.resampled import ResampledRegressor
from tailwise.estimators.weighted import WeightedRegressor

__all__ = ["ImbalancedRegressor", "ResampledRegressor", "WeightedRegressor"]
