"""A read-only local server for a folder of runs: list them, compare them, follow a training."""
