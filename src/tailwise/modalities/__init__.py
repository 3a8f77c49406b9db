"""Kinds of input (tables, images, texts, signals, maps): readers, encoders, options."""
