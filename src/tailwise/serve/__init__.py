"""A local page over a folder of runs: list, compare, follow; it only reads."""
