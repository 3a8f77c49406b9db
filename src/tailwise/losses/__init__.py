"""Losses ``l(pred, target, weight=None) -> scalar``: functions, and modules that call them."""
