"""The training step as one module: everything a method adds to a network."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import reduce
from operator import add
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailwise._checks import InputError, one_of, positive
from tailwise.augment.views import NoAugment
from tailwise.distributed import gather_all, gathered, sum_over_processes, world
from tailwise.heads.head import Head, as_head
from tailwise.labels.tensors import step_labels
from tailwise.losses.loss import as_loss
from tailwise.losses.pointwise import MSE
from tailwise.methods.slots import EndsEpochs, Gathering, OwnFactor, OwnRates, PartlyTrained
from tailwise.methods.training_step import Inputs, TrainingStep
from tailwise.smoothing.fds import Keep
from tailwise.weights.weight_function import UniformWeights

Trains = Literal["all", "head", "encoder"]
TRAINS = ("all", "head", "encoder")


class Objective(TrainingStep):
    """A network with the slots of a training step filled: ``forward(x, y)`` returns the terms of the loss.

    Args:
        model: a network with ``encode(x)`` and ``head(features)``; it is what remains after training. The head is one
            of :mod:`tailwise.heads`, or any module from features to predictions.
        augment: batch augmentation; none if not given.
        weights: ``w(target) -> (B,)``; ones if not given. Those with ``by_output`` are ``(B, K)``, for a loss with
            ``by_output``; regularizers then see their mean over the targets.
        smoother: ``s(features, target) -> features``; the identity if not given.
        loss: ``l(pred, target, weight) -> scalar``; squared error if not given. A loss with ``on_outputs`` takes all
            outputs of the head, ``model.head.outputs(features)``, in place of the prediction. With an ensemble the loss
            is the mean of the members' losses; regularizers see the mean prediction.
        regularizers: named terms ``r(features, target, pred, weight) -> scalar``.
        coefs: coefficient of each regularizer, 1 where not given.
        trains: ``"head"`` keeps the encoder frozen and in evaluation mode; ``"encoder"`` trains it by the regularizers
            alone, without a loss.
        spread: standard deviation of the training labels. The loss is divided by it (once for a loss in target units,
            twice for one in their square, see ``degree`` of :class:`tailwise.losses.loss.Loss`), so that coefficients
            and learning rate mean the same for ages and for house prices. Regularizers see labels and predictions in
            target units.
        output_weights: ``(K,)`` weight of each of K targets in the loss, ``weight * output_weights`` by row and target;
            for a loss with ``by_output``. Regularizers do not see them.
        global_batch: with several processes, each computes the loss and the regularizers over the rows of all, and the
            mean of their gradients is that of one process with all the rows (see :mod:`tailwise.distributed`).

    Raises:
        InputError: a coefficient for an absent regularizer, an encoder to train without a regularizer, weights of
            targets with a loss that is not a mean over these.

    Example:
        >>> from tailwise.heads.point import Regressor
        >>> objective = Objective(Regressor(nn.Linear(3, 4), n_features=4))
        >>> list(objective(torch.zeros(2, 3), torch.zeros(2)))
        ['loss']
    """

    loss_scale: Tensor
    output_weights: Tensor | None

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
        output_weights: NDArray[np.float64] | None = None,
        global_batch: bool = False,
    ) -> None:
        super().__init__()
        self.global_batch = global_batch
        self.model: Any = model
        # Checking a module against the protocol takes too long to do it in each step.
        head: Any = model.head
        self._head: tuple[nn.Module, Head] = (head, as_head(head))
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
        degree = as_loss(self.loss).degree
        self.register_buffer("loss_scale", torch.tensor(positive(spread, "spread") ** -degree))
        if trains != "encoder":
            _check_by_output(self.loss, self.weights, output_weights)
        of_outputs = None if output_weights is None else torch.from_numpy(output_weights).float()
        self.register_buffer("output_weights", of_outputs)
        self.train(self.training)

    @property
    def head(self) -> Head:
        """The model's head, adapted to the protocol if need be."""
        if self._head[0] is not self.model.head:
            module: nn.Module = self.model.head
            self._head = (module, as_head(module))
        return self._head[1]

    def forward(self, x: Inputs, y: Tensor) -> dict[str, Tensor]:
        """Named scalar terms, whose sum is to be minimised."""
        x, y = self.augment.inputs(x, step_labels(y))
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.trains != "head"):
            features = self.model.encode(x)
        features, y = self.augment.features(features, y)
        head = self.head
        outputs = head.outputs(self.smoother(features, y))
        if self.global_batch:
            outputs, y, features = gather_all(outputs, y, features if self.regularizers else None)
        pred = head.point(outputs)
        weight = self.weights(y)
        with gathered() if self.global_batch else nullcontext():
            terms = {}
            if self.trains != "encoder":
                losses = head.losses(as_loss(self.loss), outputs, y, self._of_outputs(weight))
                terms["loss"] = self.loss_scale * reduce(add, losses) / len(losses)
            for name, term in self.regularizers.items():
                of_rows = weight.mean(1) if weight.ndim == y.ndim == 2 else weight
                terms[name] = self.coefs[name] * term(features, y, pred, of_rows)
        return terms

    def _of_outputs(self, weight: Tensor) -> Tensor:
        """Return the weights of rows in the loss; with weights of targets those of rows and targets, ``(B, K)``."""
        if self.output_weights is None:
            return weight
        return (weight if weight.ndim > 1 else weight.unsqueeze(1)) * self.output_weights.to(weight.dtype)

    def end_epoch(self) -> None:
        """Update statistics that change once an epoch; call it after the last batch.

        With several processes, batch norm then takes the mean of their statistics.
        """
        for piece in (self.smoother, self.loss, *self.regularizers.values()):
            if isinstance(piece, EndsEpochs):
                piece.end_epoch()
        for module in self.model.modules() if self.global_batch else ():
            for running in (module.running_mean, module.running_var) if isinstance(module, _BatchNorm) else ():
                if running is not None:
                    running.copy_(sum_over_processes(running.clone()) / world()[1])

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


def _check_by_output(loss: nn.Module, weights: nn.Module, output_weights: object) -> None:
    """Raise for weights of each target with a loss that is not a mean over the targets."""
    what = "weights by `target_weight`" if output_weights is not None else "weights by the bins of each target"
    if (output_weights is None and not getattr(weights, "by_output", False)) or as_loss(loss).by_output:
        return
    raise InputError(needs_by_output(what, type(loss).__name__))


def needs_by_output(what: str, loss: str) -> str:
    """Return the message for weights of each target with a loss of all targets together."""
    return (
        f"{what} need a loss that is a mean over the targets, and {loss} is one of all together; leave them out, or "
        "use the loss mse, l1, huber, focal_l1 or focal_mse"
    )


def trained_parameters(objective: nn.Module) -> list[nn.Parameter]:
    """Parameters of an objective for the optimiser: its ``trained_parameters()``, else all."""
    return objective.trained_parameters() if isinstance(objective, PartlyTrained) else list(objective.parameters())


def parameter_groups(objective: nn.Module, lr: float) -> list[dict[str, Any]]:
    """Trained parameters as groups of an optimiser.

    A piece may declare its own learning rates (``learning_rates()``, such as the noise of Balanced MSE); its group has
    ``scheduled`` False, is not decayed, and a schedule should leave it alone. The learning rate of a module with an
    ``lr_factor`` (a pretrained encoder) is multiplied by it; its group has it as ``factor``.

    Args:
        objective: any module whose ``forward(x, y)`` returns the terms of a loss.
        lr: learning rate of all other parameters.
    """
    pieces: list[Any] = list(objective.modules())
    rates = {
        id(piece.get_parameter(name)): rate
        for piece in pieces
        if isinstance(piece, OwnRates)
        for name, rate in piece.learning_rates().items()
    }
    trained = trained_parameters(objective)
    factors = {
        id(p): piece.lr_factor
        for piece in pieces
        if isinstance(piece, OwnFactor) and piece.lr_factor != 1
        for p in piece.parameters()
    }
    groups = []
    for factor in dict.fromkeys([1.0, *factors.values()]):
        params = [p for p in trained if id(p) not in rates and factors.get(id(p), 1.0) == factor]
        if params or factor == 1:
            groups.append({"params": params, "lr": lr * factor, "factor": factor, "scheduled": True})
    return groups + [
        {"params": [p], "lr": rates[id(p)], "weight_decay": 0.0, "scheduled": False} for p in trained if id(p) in rates
    ]


@contextmanager
def without_gathering(objective: nn.Module) -> Iterator[None]:
    """Leave running statistics alone: for a second pass over a batch that was counted already."""
    pieces = [piece for piece in objective.modules() if isinstance(piece, Gathering) and piece.gathers]
    for piece in pieces:
        piece.gathers = False
    try:
        yield
    finally:
        for piece in pieces:
            piece.gathers = True
