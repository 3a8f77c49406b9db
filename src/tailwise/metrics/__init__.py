"""Metrics in NumPy and float64: functions of true and predicted values, by region, with intervals."""
