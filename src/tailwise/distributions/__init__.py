"""Predictive distributions, decisions about them, and the dial between common and rare values (NumPy and SciPy)."""

from tailwise.distributions.decisions import Dial, decide
from tailwise.distributions.label_density import SmoothedDensity
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.steps import StepFunction
from tailwise.distributions.tilted import TiltedMixture

__all__ = ["Dial", "Mixture", "Predictive", "SmoothedDensity", "StepFunction", "TiltedMixture", "decide"]
