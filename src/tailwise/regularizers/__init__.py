"""Regularizers of the features: ``r(features, target, pred, weight=None) -> scalar``."""
