"""Compare models and methods on tables: a grid of cells, each trained once."""
