"""Augmentations of a training batch: new inputs, or mixed samples, with their labels."""
