"""Predictive distributions, decisions about them, and the dial between common and rare values (NumPy and SciPy)."""

from tailwise.distributions.decisions import Dial, decide
from tailwise.distributions.empirical import Empirical
from tailwise.distributions.histograms import Histogram
from tailwise.distributions.label_density import SmoothedDensity
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.pooling import mixture_of, predictive_from_arrays
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.steps import StepFunction
from tailwise.distributions.tilted import TiltedMixture

__all__ = [
    "Dial",
    "Empirical",
    "Histogram",
    "Mixture",
    "Predictive",
    "SmoothedDensity",
    "StepFunction",
    "TiltedMixture",
    "decide",
    "mixture_of",
    "predictive_from_arrays",
]
