"""The training step as one module: everything a method adds to a network."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from tailwise._checks import InputError, one_of, positive
from tailwise.fds import Keep
from tailwise.losses.pointwise import MSE
from tailwise.weights import UniformWeights

Trains = Literal["all", "head"]


class Objective(nn.Module):
    """A network with the slots of a training step filled: ``forward(x, y)`` gives the terms of the loss.

    Args:
        model: a network with ``encode(x)`` and ``head(features)``; it is what remains after training.
        weights: ``w(target) -> (B,)``; ones if not given.
        smoother: ``s(features, target) -> features``; keeps them if not given.
        loss: ``l(pred, target, weight) -> scalar``; squared error if not given.
        regularizers: named terms ``r(features, target, pred, weight) -> scalar``.
        coefs: coefficient of each regularizer, 1 where not given.
        trains: ``"head"`` keeps the encoder frozen and in evaluation mode.
        spread: standard deviation of the training labels. The loss is divided by it (once for a loss in target units,
            twice for one in their square, as its ``degree`` says), so that coefficients and learning rate mean the
            same for ages and for house prices. Regularizers see labels and predictions in the target's units.

    Raises:
        InputError: a coefficient for a regularizer that is not there.

    Example:
        >>> from tailwise.models.regressor import Regressor
        >>> objective = Objective(Regressor(nn.Linear(3, 4), n_features=4))
        >>> list(objective(torch.zeros(2, 3), torch.zeros(2)))
        ['loss']
    """

    loss_scale: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        weights: nn.Module | None = None,
        smoother: nn.Module | None = None,
        loss: nn.Module | None = None,
        regularizers: Mapping[str, nn.Module] | None = None,
        coefs: Mapping[str, float] | None = None,
        trains: Trains = "all",
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.weights = UniformWeights() if weights is None else weights
        self.smoother: Any = Keep() if smoother is None else smoother
        self.loss = MSE() if loss is None else loss
        self.regularizers = nn.ModuleDict(dict(regularizers or {}))
        unknown = sorted(set(coefs or {}) - set(self.regularizers))
        if unknown:
            raise InputError(f"coefs names {unknown}, but the regularizers are {sorted(self.regularizers)}")
        self.coefs = {name: float((coefs or {}).get(name, 1.0)) for name in self.regularizers}
        one_of(trains, "trains", ("all", "head"))
        self.trains: Trains = trains
        degree = getattr(self.loss, "degree", 0)
        self.register_buffer("loss_scale", torch.tensor(positive(spread, "spread") ** -degree))

    def forward(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        """Named scalar terms, whose sum is to be minimised."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains == "all"):
            features = self.model.encode(x)
        pred = self.model.head(self.smoother(features, y))
        weight = self.weights(y)
        terms = {"loss": self.loss_scale * self.loss(pred, y, weight)}
        for name, term in self.regularizers.items():
            terms[name] = self.coefs[name] * term(features, y, pred, weight)
        return terms

    def end_epoch(self) -> None:
        """Update what is learnt once an epoch; call it after the last batch."""
        self.smoother.end_epoch()

    def train(self, mode: bool = True) -> "Objective":
        """Switch modes; an encoder that is not trained stays in evaluation mode."""
        super().train(mode)
        if self.trains == "head":
            self.model.eval()
            self.model.head.train(mode)
        return self

    def trained_parameters(self) -> list[nn.Parameter]:
        """Parameters for the optimiser: all, or those outside the encoder when only the head is trained."""
        if self.trains == "all":
            return list(self.parameters())
        frozen = {id(p) for p in self.model.parameters()} - {id(p) for p in self.model.head.parameters()}
        return [p for p in self.parameters() if id(p) not in frozen]

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Trained parameters as groups of an optimiser.

        A piece may ask for a learning rate of its own (``learning_rates()``, as the noise of Balanced MSE does); its
        group has ``scheduled`` False, is not decayed, and a schedule should leave it alone.

        Args:
            lr: learning rate of all others.
        """
        pieces: list[Any] = list(self.modules())
        own = {
            id(getattr(piece, name)): rate
            for piece in pieces
            if hasattr(piece, "learning_rates")
            for name, rate in piece.learning_rates().items()
        }
        trained = self.trained_parameters()
        groups = [{"params": [p for p in trained if id(p) not in own], "lr": lr, "scheduled": True}]
        return groups + [
            {"params": [p], "lr": own[id(p)], "weight_decay": 0.0, "scheduled": False} for p in trained if id(p) in own
        ]
