"""Predictive distributions, decisions about them, and the dial between common and rare values (NumPy and SciPy)."""

from tailwise.distributions.conditional import ConditionalDensity
from tailwise.distributions.decisions import Decision, Dial, decide
from tailwise.distributions.dialed import DialedModel, cross_fitted, dial
from tailwise.distributions.empirical import Empirical
from tailwise.distributions.grid_density import GridDensity
from tailwise.distributions.grid_steps import GridFunction
from tailwise.distributions.histograms import Histogram
from tailwise.distributions.label_density import SmoothedDensity
from tailwise.distributions.mixtures import Mixture
from tailwise.distributions.outputs_dial import OutputsDial
from tailwise.distributions.pooling import concatenate, mixture_of, predictive_from_arrays
from tailwise.distributions.predictive import Predictive
from tailwise.distributions.scores import DistributionScores, Reliability, pinball, pit, score_regions
from tailwise.distributions.separate_targets import SeparateTargets
from tailwise.distributions.steps import StepFunction
from tailwise.distributions.tilted import TiltedMixture
from tailwise.distributions.tilted_marginals import TiltedMarginal
from tailwise.distributions.tilted_vectors import TiltedVectorMixture
from tailwise.distributions.transformed import Transformed
from tailwise.distributions.vector_dial import VectorDial
from tailwise.distributions.vector_mixtures import VectorMixture
from tailwise.distributions.vector_predictive import VectorPredictive

__all__ = [
    "ConditionalDensity",
    "Decision",
    "Dial",
    "DialedModel",
    "DistributionScores",
    "Empirical",
    "GridDensity",
    "GridFunction",
    "Histogram",
    "Mixture",
    "OutputsDial",
    "Predictive",
    "Reliability",
    "SeparateTargets",
    "SmoothedDensity",
    "StepFunction",
    "TiltedMarginal",
    "TiltedMixture",
    "TiltedVectorMixture",
    "Transformed",
    "VectorDial",
    "VectorMixture",
    "VectorPredictive",
    "concatenate",
    "cross_fitted",
    "decide",
    "dial",
    "mixture_of",
    "pinball",
    "pit",
    "predictive_from_arrays",
    "score_regions",
]
