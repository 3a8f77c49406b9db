"""Results of one epoch of a training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """Results of one epoch, or of one round of boosting.

    Args:
        stage: stage of the method, from 0.
        epoch: epoch of the stage, from 0.
        of: maximum number of epochs of the stage.
        terms: mean of each loss term over the batches.
        validation: validation errors by name, target units; none while the encoder trains alone.
        lr: learning rate; 0 where there is none.
        seconds: duration, validation included.
        best: whether this is the best epoch of the stage so far.
        model: expert of a stack of which a fold ended; empty of other trainings.
    """

    stage: int
    epoch: int
    of: int
    terms: dict[str, float]
    validation: dict[str, float]
    lr: float
    seconds: float
    best: bool
    model: str = ""

    @property
    def step(self) -> str:
        """Name of what ended: an epoch of a network, a round of boosting, or one of several models."""
        return "epoch" if self.terms else "round" if self.lr > 0 else "model"

    @property
    def title(self) -> str:
        """:attr:`step` as a progress bar has it, with the expert of a stack."""
        return f"{self.model}, fold" if self.model else self.step
