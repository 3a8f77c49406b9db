"""Settings of a training with their defaults; imports nothing heavy."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from tailwise._checks import InputError, not_negative, one_of, positive, whole

Criterion = Literal["both", "bmae", "mae", "rmse"]
CRITERIA = ("both", "bmae", "mae", "rmse")
EPOCHS, EPOCHS_IN_STACK = 60, 40  # of a network that is trained alone, or as an expert
LR = 1e-3
PRECISIONS = ("no", "bf16", "fp16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training.

    Args:
        epochs: number of epochs (a stage may have its own); ``None`` is 60, in a stack 40 for each network.
        batch_size: rows a batch; ``None`` is n / 50 rounded down to a power of two between 32 and 256.
        lr: learning rate at the start; it falls to 0 along a half cosine, epoch by epoch. ``None`` is 0.001, in a stack
            twice that where the default batch has 64 rows or more, and is doubled too.
        weight_decay: weight decay of AdamW.
        clip_norm: largest norm of the gradient.
        patience: epochs without a better validation score after which a stage stops; ``None`` never stops.
        criterion: validation score that chooses the epoch, or round, to keep: ``"both"`` (the geometric mean of the
            next one and of the error as rows come), ``"bmae"`` (every bin counts the same), ``"mae"`` or ``"rmse"``
            (every validation row counts the same).
        seed: random seed of split, initial weights, order of rows, dropout and bootstrap.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
        precision: ``"no"``, ``"bf16"`` or ``"fp16"``.
        seconds: time after which a stage, or boosting, stops; ``None`` for no limit.

    Raises:
        InputError: a number out of range, an unknown choice.
    """

    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    patience: int | None = 30
    criterion: Criterion = "both"
    seed: int = 0
    device: str = "auto"
    precision: str = "no"
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if value is not None:
                whole(value, f"`{name}`", least=1)
        positive(self.clip_norm, "`clip_norm`")
        for name in ("lr", "seconds"):
            value = getattr(self, name)
            if value is not None:
                positive(value, f"`{name}`")
        not_negative(self.weight_decay, "`weight_decay`")
        one_of(self.criterion, "`criterion`", CRITERIA)
        one_of(self.precision, "`precision`", PRECISIONS)
        if whole(self.seed, "`seed`", least=0) >= 2**32:
            raise InputError(f"`seed` must be below 2**32, got {self.seed!r}")

    @property
    def n_epochs(self) -> int:
        """Number of epochs of a network."""
        return EPOCHS if self.epochs is None else self.epochs

    @property
    def learning_rate(self) -> float:
        """Learning rate of a network at the start."""
        return LR if self.lr is None else self.lr

    def alone(self) -> Self:
        """Return the recipe of a network outside a stack, with numbers for the epochs and the learning rate.

        >>> Recipe().alone() == Recipe(epochs=60, lr=1e-3)
        True
        """
        return replace(self, epochs=self.n_epochs, lr=self.learning_rate)

    def batch_size_for(self, n_rows: int) -> int:
        """Return the number of rows a batch for a number of training rows."""
        if self.batch_size is not None:
            return self.batch_size
        return min(256, max(32, 1 << (max(n_rows // 50, 1).bit_length() - 1)))
