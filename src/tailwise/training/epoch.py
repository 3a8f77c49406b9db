"""What one epoch of a training gave."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave, or one round of boosting.

    Args:
        stage: stage of the method, from 0.
        epoch: epoch of the stage, from 0.
        of: epochs the stage has at most.
        terms: mean of each loss term over the batches.
        validation: validation errors by name, target units; none while the encoder trains alone.
        lr: learning rate; 0 where there is none.
        seconds: time it took, validation included.
        best: whether this is the best epoch of the stage so far.
    """

    stage: int
    epoch: int
    of: int
    terms: dict[str, float]
    validation: dict[str, float]
    lr: float
    seconds: float
    best: bool
