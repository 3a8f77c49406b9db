"""Losses ``l(pred, target, weight=None) -> scalar`` as functions and as modules."""
