"""Heads: from features to predictions in target units."""
