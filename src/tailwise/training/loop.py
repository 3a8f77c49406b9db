"""The loop: a generator of epochs over accelerate."""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from datetime import timedelta
from functools import partial, reduce
from operator import add
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.state import AcceleratorState
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tailwise._checks import InputError
from tailwise.distributed import from_main, sharing, world
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.streaming import LabelDensity
from tailwise.methods.build import Method
from tailwise.methods.objective import parameter_groups, trained_parameters, without_gathering
from tailwise.training.batches import BatchSource
from tailwise.training.checkpoint import optimizer_tensors, restore_optimizer, under
from tailwise.training.epoch import Epoch
from tailwise.training.one_thread import one_thread
from tailwise.training.recipe import Recipe

Validate = Callable[[nn.Module], Mapping[str, float]]


class Training:
    """Training of one method: its state, and a generator of its epochs.

    Started on several processes (``torchrun``, ``accelerate launch``) it gives what one process gives with the same
    batch size, which is that of all together: each takes its piece of every batch, losses and regularizers see the
    whole batch (:class:`tailwise.methods.objective.Objective`), and statistics of bins are merged at the end of an
    epoch.

    Args:
        method: method to train.
        model: the network; trained in place, and holding the best epoch when :meth:`epochs` ends.
        batches: training rows.
        y_train: ``(n,)`` or ``(n, K)`` training labels, target units.
        bins: bins of the target, of K-dimensional labels a grid of them, or those of each dimension; counts of all
            labels (pixels) of which ``y_train`` is a random part.
        validate: from the model in evaluation mode to validation errors by name, ``recipe.criterion`` among them.
        recipe: settings of the training.
        is_small: whether the network is so small that it trains on one thread of a CPU: more gain little, wait long for
            each other where other processes use their cores, and may change the last digits.

    Example:
        >>> from tailwise.methods.build import compose
        >>> from tailwise.heads.point import Regressor
        >>> from tailwise.training.batches import Batches
        >>> x, y = torch.randn(64, 3), torch.rand(64)
        >>> model = Regressor(nn.Linear(3, 4), n_features=4)
        >>> training = Training(
        ...     compose("sqinv+lds"), model, Batches(x, y, batch_size=32), y.numpy(), bins=Bins.count(y.numpy(), 5),
        ...     validate=lambda m: {"both": float((m(x) - y).abs().mean())}, recipe=Recipe(epochs=2, device="cpu"),
        ... )
        >>> [epoch.epoch for epoch in training.epochs()]
        [0, 1]
    """

    def __init__(
        self,
        method: Method,
        model: nn.Module,
        batches: BatchSource,
        y_train: ArrayLike,
        *,
        bins: Bins | BinGrid | OutputBins | LabelDensity | None,
        validate: Validate,
        recipe: Recipe,
        is_small: bool = False,
    ) -> None:
        self.method, self.model, self.is_small = method, model, is_small
        self.y_train, self.bins, self.validate, self.recipe = y_train, bins, validate, recipe
        self.accelerator = accelerator_for(recipe)
        self.batches = batches.to(self.device)
        if batches.batch_size < world()[1]:
            raise InputError(
                f"a batch of {batches.batch_size} rows cannot be shared by {world()[1]} processes; use a larger "
                "`batch_size`, or fewer processes"
            )
        self.set_aside: list[nn.Parameter] = []
        self.step: Any = None  # the objective as accelerate wraps it, from the first stage on
        self.stage, self.epoch, self.seconds = 0, 0, 0.0
        self.best_score, self.waited = math.inf, 0
        self.best: dict[str, Tensor] = {}
        for stage in method.stages[1:]:  # validate later stages before training starts
            stage.build(model, y_train, bins)
        self._start_stage()

    def epochs(self) -> Iterator[Epoch]:
        """Train stage by stage, epoch by epoch; after each one :meth:`state` can be saved."""
        while True:
            if self._stage_over():
                self.model.load_state_dict(self.best)
                if self.stage + 1 == len(self.method.stages):
                    self._bring_back()
                    return
                self.stage, self.epoch, self.best_score, self.waited = self.stage + 1, 0, math.inf, 0
                self.seconds = 0.0
                self._start_stage()
            with one_thread() if self.is_small else nullcontext():
                epoch = self._one_epoch()
            yield epoch

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything needed to go on after the last epoch: tensors, and numbers."""
        tensors = {f"objective.{name}": value for name, value in self.objective.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        return tensors, {
            "stage": self.stage,
            "epoch": self.epoch,
            "best_score": self.best_score,
            "waited": self.waited,
            "scaler": None if self.accelerator.scaler is None else self.accelerator.scaler.state_dict(),
        }

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave, bit for bit.

        Raises:
            InputError: the state of another method or model.
        """
        try:
            self.stage, self.epoch = numbers["stage"], numbers["epoch"]
            self.best_score, self.waited = numbers["best_score"], numbers["waited"]
            self._start_stage()
            self.objective.load_state_dict(under("objective.", tensors))
            restore_optimizer(self.optimizer, under("optimizer.", tensors))
            self.best = {name: value.to(self.device) for name, value in under("best.", tensors).items()}
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(numbers["scaler"])
        except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise InputError("the checkpoint does not fit this run; choose another `out`, or `overwrite` it") from error

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def stage_epochs(self) -> int:
        """Maximum number of epochs of the current stage."""
        epochs = self.method.stages[self.stage].epochs
        return self.recipe.n_epochs if epochs is None else epochs

    def _start_stage(self) -> None:
        seed_everything(self.recipe.seed, self.stage, -1)
        stage = self.method.stages[self.stage]
        objective: nn.Module = self.method.build(self.model, self.y_train, self.bins, stage=self.stage)
        objective.to(self.device)
        if world()[1] > 1:
            objective.global_batch = True  # type: ignore[assignment]
            self._set_aside(objective)
        self.lr = self.recipe.learning_rate if stage.lr is None else stage.lr
        optimizer = torch.optim.AdamW(
            parameter_groups(objective, self.lr),
            lr=self.lr,
            weight_decay=self.recipe.weight_decay,
            fused=_can_fuse(self.device),
        )
        self.objective: Any = objective
        if self.step is not None:  # it keeps, and unscales, every optimiser it has ever prepared
            self.accelerator.free_memory()  # collects garbage, which takes a third of a second: only where it must
        with warnings.catch_warnings():  # torch has a new name for broadcast_buffers, accelerate has not yet
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            self.step, self.optimizer = self.accelerator.prepare(objective), optimizer
            if not self._alone:
                self.optimizer = self.accelerator.prepare(optimizer)
        self.parameters = trained_parameters(objective)
        self.wrapper = stage.wrap(self.optimizer)
        if self.wrapper is not None and self.accelerator.scaler is not None:
            raise InputError("bsam takes the length of a gradient, which fp16 scales; use `precision` bf16 or no")

    @property
    def _alone(self) -> bool:
        """Whether one process trains without scaled gradients: accelerate would only add calls to each step."""
        return world()[1] == 1 and self.accelerator.scaler is None

    def _set_aside(self, objective: nn.Module) -> None:
        """Disable gradients of parameters that this stage does not train, which all processes would wait for."""
        self._bring_back()
        trained = {id(p) for p in trained_parameters(objective)}
        self.set_aside = [p for p in objective.parameters() if p.requires_grad and id(p) not in trained]
        for parameter in self.set_aside:
            parameter.requires_grad_(False)

    def _bring_back(self) -> None:
        for parameter in self.set_aside:
            parameter.requires_grad_(True)
        self.set_aside = []

    def _stage_over(self) -> bool:
        patience, limit = self.recipe.patience, self.recipe.seconds
        late = limit is not None and self.epoch > 0 and self.seconds >= limit
        return self.epoch >= self.stage_epochs or late or (patience is not None and self.waited >= patience)

    def _one_epoch(self) -> Epoch:
        started = time.perf_counter()
        seed_everything(self.recipe.seed, self.stage, self.epoch)
        lr = self.lr * (1 + math.cos(math.pi * self.epoch / self.stage_epochs)) / 2
        for group in self.optimizer.param_groups:
            if group["scheduled"]:
                group["lr"] = lr * group["factor"]
        self.step.train()
        sums: dict[str, Tensor] = {}
        for rows, x, y in self.batches.pieces():
            with sharing(rows):
                terms = self._step(x, y)
            for name, term in terms.items():
                sums[name] = sums[name] + term.detach() if name in sums else term.detach()
        self.objective.end_epoch()
        means = {name: float(total) / len(self.batches) for name, total in sums.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise InputError(f"training diverged in epoch {self.epoch + 1}: {means}; use a smaller `lr`")
        self.objective.eval()
        validation: dict[str, float] = {}
        score = -math.inf  # an encoder that trains alone has no predictions yet: its last epoch is its best
        if self.method.stages[self.stage].trains != "encoder":
            with torch.no_grad():
                # Processes that differ in their last digits must not differ in when they stop.
                validation = from_main(dict(self.validate(self.model)))
            criterion = self.recipe.criterion
            if criterion not in validation:
                raise InputError(
                    f"`criterion` is {criterion!r}, and the validation gives {', '.join(validation)}; return it "
                    "there, or choose another `criterion`"
                )
            score = validation[criterion]
            if not math.isfinite(score):
                raise InputError(f"predictions are not finite after epoch {self.epoch + 1}; use a smaller `lr`")
        best = not validation or score < self.best_score
        if best:
            self.best_score, self.waited = score, 0
            self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        else:
            self.waited += 1
        self.epoch += 1
        seconds = time.perf_counter() - started
        self.seconds += seconds
        return Epoch(self.stage, self.epoch - 1, self.stage_epochs, means, validation, lr, seconds, best)

    def _step(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        if self.wrapper is None:
            terms = self._gradients(x, y)
            self.optimizer.step()
            return terms
        drawn = _random_state(self.device)
        terms = self._gradients(x, y)
        after = _random_state(self.device)
        with without_gathering(self.objective):
            # Its second gradient is that of the same loss: dropout, views and partners must be drawn alike.
            _set_random_state(self.device, drawn)
            self.wrapper.step(partial(self._gradients, x, y))
        _set_random_state(self.device, after)
        return terms

    def _gradients(self, x: Any, y: Tensor) -> dict[str, Tensor]:
        """Return the terms of a batch; their clipped gradients are stored in the parameters."""
        terms: dict[str, Tensor] = self.step(x, y)
        loss = reduce(add, terms.values())
        if self._alone:
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        else:
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(self.parameters, self.recipe.clip_norm)
        return terms


def seed_everything(seed: int, stage: int, epoch: int) -> None:
    """Seed torch for one epoch, so that a resumed run draws what an uninterrupted one would."""
    torch.manual_seed((seed * 1_000 + stage) * 100_003 + epoch + 1)


def accelerator_for(recipe: Recipe) -> Accelerator:
    """Return the accelerator for a recipe's device and precision.

    Raises:
        InputError: a device that is not available, or does not support the precision.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    device = recipe.device
    if device != "auto" and device not in available:
        raise InputError(f"`device` must be 'auto', 'cpu', 'cuda' or 'mps', got {device!r}")
    if device != "auto" and not available[device]:
        raise InputError(f"device {device!r} is not available here; use `device='auto'`")
    on_cpu = device == "cpu" or (device == "auto" and not (available["cuda"] or available["mps"]))
    if recipe.precision == "fp16" and on_cpu:
        raise InputError("precision 'fp16' needs a GPU; on a CPU use `precision` bf16 or no")
    # Buffers are the same in all processes, so they need not be sent before each step.
    # One process converts a large table while the others wait.
    handlers = [
        DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True),
        InitProcessGroupKwargs(timeout=timedelta(hours=2)),
    ]
    try:
        accelerator = Accelerator(mixed_precision=recipe.precision, cpu=on_cpu, kwargs_handlers=handlers)
        if device in ("auto", accelerator.device.type):
            return accelerator
    except ValueError:
        pass
    # accelerate keeps the first device and precision of a process; this recipe has others.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision=recipe.precision, cpu=on_cpu, kwargs_handlers=handlers)


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _set_random_state(device: torch.device, state: tuple[Tensor, Tensor | None]) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)


def _can_fuse(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda")
