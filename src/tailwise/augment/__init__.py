"""Batch augmentation: augmented inputs or mixed samples, with their labels."""
