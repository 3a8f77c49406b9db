"""Metrics of true and predicted values in NumPy and float64, by region, with intervals."""
