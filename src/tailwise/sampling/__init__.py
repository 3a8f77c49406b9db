"""Resamplers for tables with an imbalanced target: ``fit_resample(X, y)`` before training."""

from tailwise.sampling.geometric import GeometricSMOTE
from tailwise.sampling.noise import GaussianNoise
from tailwise.sampling.random import RandomOverSampler, RandomUnderSampler
from tailwise.sampling.smogn import SMOGN
from tailwise.sampling.smoter import SMOTER
from tailwise.sampling.to_density import DensityResampler
from tailwise.sampling.wercs import WERCS

__all__ = [
    "SMOGN",
    "SMOTER",
    "WERCS",
    "DensityResampler",
    "GaussianNoise",
    "GeometricSMOTE",
    "RandomOverSampler",
    "RandomUnderSampler",
]
