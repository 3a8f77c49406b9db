"""The training step as one module: everything a method adds to a network."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import reduce
from operator import add
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailwise._checks import InputError, one_of, positive
from tailwise.augment.views import NoAugment
from tailwise.distributed import gather_all, gathered, sum_over_processes, world
from tailwise.losses.pointwise import MSE
from tailwise.smoothing.fds import Keep
from tailwise.weights.weight_function import UniformWeights

Trains = Literal["all", "head", "encoder"]
TRAINS = ("all", "head", "encoder")


class Objective(nn.Module):
    """A network with the slots of a training step filled: ``forward(x, y)`` gives the terms of the loss.

    Args:
        model: a network with ``encode(x)`` and ``head(features)``; it is what remains after training.
        augment: what becomes of a batch in training; it stays as it is if not given.
        weights: ``w(target) -> (B,)``; ones if not given.
        smoother: ``s(features, target) -> features``; keeps them if not given.
        loss: ``l(pred, target, weight) -> scalar``; squared error if not given. A loss with ``on_outputs`` takes
            ``model.head.outputs(features)``, all the head knows, in place of the prediction. Where the head has
            members (``members_of(features)``, ``(B, k)``), the loss is the mean of theirs; regularizers see the mean
            prediction.
        regularizers: named terms ``r(features, target, pred, weight) -> scalar``.
        coefs: coefficient of each regularizer, 1 where not given.
        trains: ``"head"`` keeps the encoder frozen and in evaluation mode; ``"encoder"`` trains it by the regularizers
            alone, without a loss.
        spread: standard deviation of the training labels. The loss is divided by it (once for a loss in target units,
            twice for one in their square, as its ``degree`` says), so that coefficients and learning rate mean the
            same for ages and for house prices. Regularizers see labels and predictions in the target's units.
        global_batch: of several processes, each computes the loss and the regularizers over the rows of all, and the
            mean of their gradients is that of one process with all the rows (see :mod:`tailwise.distributed`).

    Raises:
        InputError: a coefficient for a regularizer that is not there, an encoder to train without a regularizer.

    Example:
        >>> from tailwise.heads.point import Regressor
        >>> objective = Objective(Regressor(nn.Linear(3, 4), n_features=4))
        >>> list(objective(torch.zeros(2, 3), torch.zeros(2)))
        ['loss']
    """

    loss_scale: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        augment: nn.Module | None = None,
        weights: nn.Module | None = None,
        smoother: nn.Module | None = None,
        loss: nn.Module | None = None,
        regularizers: Mapping[str, nn.Module] | None = None,
        coefs: Mapping[str, float] | None = None,
        trains: Trains = "all",
        spread: float = 1.0,
        global_batch: bool = False,
    ) -> None:
        super().__init__()
        self.global_batch = global_batch
        self.model: Any = model
        self.augment: Any = NoAugment() if augment is None else augment
        self.weights = UniformWeights() if weights is None else weights
        self.smoother: Any = Keep() if smoother is None else smoother
        self.loss = MSE() if loss is None else loss
        self.regularizers = nn.ModuleDict(dict(regularizers or {}))
        unknown = sorted(set(coefs or {}) - set(self.regularizers))
        if unknown:
            raise InputError(f"coefs names {unknown}, but the regularizers are {sorted(self.regularizers)}")
        self.coefs = {name: float((coefs or {}).get(name, 1.0)) for name in self.regularizers}
        one_of(trains, "trains", TRAINS)
        if trains == "encoder" and not self.regularizers:
            raise InputError("an encoder without a loss needs a regularizer to train it, such as rnc")
        self.trains: Trains = trains
        self.on_outputs = bool(getattr(self.loss, "on_outputs", False))
        degree = getattr(self.loss, "degree", 0)
        self.register_buffer("loss_scale", torch.tensor(positive(spread, "spread") ** -degree))
        self.train(self.training)

    def forward(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        """Named scalar terms, whose sum is to be minimised."""
        x, y = self.augment.inputs(x, y)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains != "head"):
            features = self.model.encode(x)
        features, y = self.augment.features(features, y)
        smoothed = self.smoother(features, y)
        ensemble = not self.on_outputs and hasattr(self.model.head, "members_of")
        outputs = self._outputs(ensemble)(smoothed)
        if self.global_batch:
            outputs, y, features = gather_all(outputs, y, features if self.regularizers else None)
        pred = self.model.head.point(outputs) if self.on_outputs else outputs.mean(1) if ensemble else outputs
        weight = self.weights(y)
        with gathered() if self.global_batch else nullcontext():
            terms = {}
            if self.trains != "encoder":
                losses = [self.loss(member, y, weight) for member in (outputs.unbind(1) if ensemble else (outputs,))]
                terms["loss"] = self.loss_scale * reduce(add, losses) / len(losses)
            for name, term in self.regularizers.items():
                terms[name] = self.coefs[name] * term(features, y, pred, weight)
        return terms

    def _outputs(self, ensemble: bool) -> Callable[[Tensor], Tensor]:
        """What of the head the loss takes."""
        head: Any = self.model.head
        outputs: Callable[[Tensor], Tensor] = head.outputs if self.on_outputs else head.members_of if ensemble else head
        return outputs

    def end_epoch(self) -> None:
        """Update what is learnt once an epoch; call it after the last batch.

        Of several processes each has seen its own rows in batch norm: from here on all have the mean of what they saw.
        """
        for piece in (self.smoother, self.loss, *self.regularizers.values()):
            if hasattr(piece, "end_epoch"):
                piece.end_epoch()
        for module in self.model.modules() if self.global_batch else ():
            for seen in (module.running_mean, module.running_var) if isinstance(module, _BatchNorm) else ():
                if seen is not None:
                    seen.copy_(sum_over_processes(seen.clone()) / world()[1])

    def train(self, mode: bool = True) -> "Objective":
        """Switch modes; an encoder that is not trained stays in evaluation mode."""
        super().train(mode)
        if self.trains == "head":
            self.model.eval()
            self.model.head.train(mode)
        return self

    def trained_parameters(self) -> list[nn.Parameter]:
        """Parameters for the optimiser: all, those outside the encoder, or those outside the head."""
        head = {id(p) for p in self.model.head.parameters()}
        frozen = {id(p) for p in self.model.parameters()} - head if self.trains == "head" else set()
        if self.trains == "encoder":
            frozen = head | {id(p) for p in self.loss.parameters()}
        return [p for p in self.parameters() if id(p) not in frozen]


def trained_parameters(objective: nn.Module) -> list[nn.Parameter]:
    """Parameters of an objective for the optimiser; all of them, unless it says otherwise."""
    of: Any = getattr(objective, "trained_parameters", objective.parameters)
    return list(of())


def parameter_groups(objective: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Trained parameters as groups of an optimiser.

    A piece may ask for a learning rate of its own (``learning_rates()``, as the noise of Balanced MSE does); its group
    has ``scheduled`` False, is not decayed, and a schedule should leave it alone. The parameters of a module with an
    ``lr_factor`` (a pretrained encoder) learn so many times as fast as the others; their group has it as ``factor``.

    Args:
        objective: any module whose ``forward(x, y)`` gives the terms of a loss.
        lr: learning rate of all others.
    """
    pieces: list[Any] = list(objective.modules())
    own = {
        id(getattr(piece, name)): rate
        for piece in pieces
        if hasattr(piece, "learning_rates")
        for name, rate in piece.learning_rates().items()
    }
    trained = trained_parameters(objective)
    factors = {
        id(p): factor
        for piece in pieces
        if (factor := getattr(piece, "lr_factor", 1.0)) != 1
        for p in piece.parameters()
    }
    groups = []
    for factor in dict.fromkeys([1.0, *factors.values()]):
        here = [p for p in trained if id(p) not in own and factors.get(id(p), 1.0) == factor]
        if here or factor == 1:
            groups.append({"params": here, "lr": lr * factor, "factor": factor, "scheduled": True})
    return groups + [
        {"params": [p], "lr": own[id(p)], "weight_decay": 0.0, "scheduled": False} for p in trained if id(p) in own
    ]


@contextmanager
def without_gathering(objective: nn.Module) -> Iterator[None]:
    """Let no piece stream the batch into its statistics: for a second pass over a batch that was counted already."""
    pieces: list[Any] = [piece for piece in objective.modules() if getattr(piece, "gathers", False)]
    for piece in pieces:
        piece.gathers = False
    try:
        yield
    finally:
        for piece in pieces:
            piece.gathers = True
