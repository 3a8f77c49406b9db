"""Tables: sources, rows, columns, splits, targets, and tasks ready for training."""
