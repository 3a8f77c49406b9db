"""How the columns of a data frame lie in memory."""

MOST_BLOCKS = 100
"""Columns up to which each may lie on its own, which needs no copy; pandas warns of more, and is slow with them."""
