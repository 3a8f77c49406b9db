"""Comparisons: a grid of trainings and the statistics of comparing them."""
