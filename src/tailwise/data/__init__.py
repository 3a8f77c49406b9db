"""Tables, their columns, splits and batches."""
