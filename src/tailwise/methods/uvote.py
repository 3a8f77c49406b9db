"""UVOTE: the loss of Laplace heads, each re-weighted by another power of the inverse density."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tailwise._checks import whole
from tailwise._part import Part
from tailwise.labels.bins import Bins
from tailwise.losses.laplace_likelihood import UVote
from tailwise.weights.by_density import density_weights


def uvote(
    y_train: ArrayLike,
    bins: Bins,
    *,
    n_heads: int = 2,
    ramp: int | None = None,
    clip: tuple[float, float] | None = None,
    density: Any = None,
) -> UVote:
    """Build the uncertainty voting loss, with the powers 0 to 1 of the inverse density in equal steps.

    Jiang et al., *Uncertainty Voting Ensemble for Imbalanced Deep Regression* (GCPR 2024): expert m of M has weights
    ∝ n_b^(-r_m) with r = linspace(0, 1, M).

    Args:
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target.
        n_heads: M, at least 2 (the authors: 2 for AgeDB, 3 for IMDB-WIKI and STS-B).
        ramp: epochs over which the re-weighted heads' terms grow to their full size, as (t / ramp)².
        clip: lowest and highest count of a bin; the authors' code for ages has (5, 1000) for r = 1.
        density: density that the weights invert, such as LDS; the histogram if not given.

    Raises:
        InputError: parameters out of range, labels that cannot be counted in bins.
    """
    powers = np.linspace(0.0, 1.0, whole(n_heads, "n_heads", least=2, most=100))
    weights = [density_weights(y_train, bins, power=float(r), density=density, clip=clip) for r in powers]
    return UVote(weights, ramp=ramp)


UVOTE_PART = Part(
    name="uvote",
    slot="loss",
    make=uvote,
    summary="uncertainty voting: increasingly re-weighted Laplace heads; the one with the smallest scale predicts",
    source="Jiang et al., Uncertainty Voting Ensemble for Imbalanced Deep Regression, GCPR",
    year=2024,
    cost="O(B M)",
    use="""\
objective = compose("uvote", uvote={"n_heads": 3}).build(model, y_train, bins)
optimizer = torch.optim.Adam(objective.parameters())  # the model has new heads
loss = sum(objective(x, y).values())""",
    units={"ramp": "epochs", "clip": "rows"},
    targets=("scalar",),
    needs=("y", "scalar_bins"),
    hidden=frozenset({"density"}),
    also=("weights",),
    of_none={"ramp": "no ramp", "clip": "no clip"},
    corrects=True,
    deviates=True,
)
