"""The stages of a training: one by default, two for regressor re-training."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.optim import Optimizer

from tailwise._checks import label_array, not_negative, positive, whole
from tailwise._part import Part, Setting, Slot
from tailwise.heads.attach import attach_head, replacement
from tailwise.heads.head import as_head
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.dimension_weights import relative_weights
from tailwise.labels.output_bins import OutputBins
from tailwise.labels.streaming import LabelDensity
from tailwise.losses.loss import as_loss
from tailwise.methods.filling import Filling
from tailwise.methods.objective import Objective, Trains
from tailwise.methods.training_step import TrainingStep
from tailwise.methods.whole_network import check_takes_any_head
from tailwise.optim.bsam import BSAM
from tailwise.weights.by_output import WeightsByOutput


@dataclass(frozen=True)
class Stage:
    """One stage of training: the fillings of the slots, and which parameters are trained.

    Args:
        fillings: parts with their parameters, in the order of the method string.
        trains: ``"all"``; ``"head"``, a new one on a frozen encoder; ``"encoder"``, by regularizers alone.
        epochs: number of epochs; ``None`` leaves it to the caller.
        lr: learning rate; ``None`` leaves it to the caller.
        objects: a caller's own pieces by slot: ``augment``, ``weights``, ``smoother``, ``loss`` as modules,
            ``regularizers`` as a mapping of names to modules, ``coefs`` as one of names to coefficients. They replace a
            part in that slot, and each build takes a copy of them: a stage holds no state.
    """

    fillings: tuple[Filling, ...] = ()
    trains: Trains = "all"
    epochs: int | None = None
    lr: float | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)

    def build(
        self, model: nn.Module, y_train: ArrayLike, bins: Bins | BinGrid | OutputBins | LabelDensity | None = None
    ) -> TrainingStep:
        """Build the training step for a model with an output in target units; see :meth:`Method.build`."""
        network: Any = model
        setting = _setting(model, y_train, bins)
        augment, smoother, density = (self._make(slot, setting) for slot in ("augment", "smoother", "density"))
        # Parts of the model inside a piece stay the model's; all other state is copied.
        shared = {id(thing): thing for thing in (*model.modules(), *model.parameters(), *model.buffers())}
        objects = copy.deepcopy(dict(self.objects), shared)
        regularizers, coefs = (dict(objects.pop(name, {})) for name in ("regularizers", "coefs"))
        whole_step = self._filling("objective")
        if whole_step:
            step: TrainingStep = whole_step.make(
                setting, model=model, density=density, augment=objects.get("augment", augment)
            )
            return step
        # Counts can be smoothed, but a density without bins is one of the labels themselves.
        counted = setting if density is None or isinstance(density, LDS) else replace(setting, counts=None)
        loss = self._make("loss", counted, density=density)
        weights = self._weights(counted, density, bins)
        pieces = {"augment": augment, "smoother": smoother, "weights": weights, "loss": loss, **objects}
        named = [f for f in self.fillings if f.part.slot == "regularizer"]
        regularizers = {f.name: f.make(setting) for f in named} | regularizers
        coefs = {f.name: not_negative(f.params.get("coef", f.part.coef), f"{f.name}.coef") for f in named} | coefs
        head = None if pieces["loss"] is None else as_loss(pieces["loss"]).head
        if head is not None:
            check_takes_any_head(str(head.get("kind", "the loss")), model)
            k = {} if setting.y.ndim == 1 else {"n_outputs": setting.y.shape[1]}
            attach_head(model, replacement(as_head(network.head).shape, {**head, **k}), y_train)
        return Objective(
            model,
            **pieces,
            regularizers=regularizers,
            coefs=coefs,
            trains=self.trains,
            spread=setting.spread,
            output_weights=_output_weights(bins),
        )

    def _weights(self, setting: Setting, density: Any, bins: object) -> Any:
        """Build the weights of labels; those by bins of many targets for each target by its own bins."""
        filling = self._filling("weights")
        counted = density is None or isinstance(density, LDS)
        by_bins = filling is not None and "label_bins" in filling.part.needs and counted
        if not by_bins or not isinstance(bins, OutputBins):
            return self._make("weights", setting, density=density)
        of_targets = (replace(setting, y=setting.y[:, j], label_bins=axis) for j, axis in enumerate(bins.axes))
        return WeightsByOutput([self._make("weights", of_target, density=density) for of_target in of_targets])

    def wrap(self, optimizer: Optimizer) -> BSAM | None:
        """Wrap an optimiser in the stage's own way to take steps, if it has one."""
        filling = self._filling("optimizer")
        wrapper: BSAM | None = None if filling is None else filling.build(optimizer)
        return wrapper

    def _filling(self, slot: Slot) -> Filling | None:
        return next((f for f in self.fillings if f.part.slot == slot), None)

    def _make(self, slot: Slot, setting: Setting, **extra: Any) -> Any:
        """Build the part of a slot, if there is one, with the extra parameters that it takes."""
        filling = self._filling(slot)
        if filling is None:
            return None
        return filling.make(setting, **{name: value for name, value in extra.items() if name in filling.part.hidden})


def rrt_stages(
    fillings: tuple[Filling, ...], objects: Mapping[str, Any], *, epochs: int = 30, lr: float = 1e-3
) -> tuple[Stage, Stage]:
    """Regressor re-training: train without weights, then a new head, re-weighted, on frozen features.

    First (θ, h) = argmin Σ_i l(h(f_θ(x_i)), y_i), then h* = argmin over h' of Σ_i w(y_i) l(h'(f_θ(x_i)), y_i), f_θ the
    encoder and h the head.

    Yang et al. (ICML 2021), after Kang et al., *Decoupling* (ICLR 2020). In the second stage the encoder is in
    evaluation mode, and neither FDS nor regularizers act. A loss that itself corrects for the label distribution,
    such as Balanced MSE (Ren et al., CVPR 2022), acts in the second stage only, as its authors use it on faces.

    Args:
        fillings: the method's parts.
        objects: a caller's own pieces.
        epochs: epochs of the second stage.
        lr: its learning rate.

    Shape:
        the step of each stage takes inputs ``(B, ...)`` and labels ``(B,)`` or ``(B, K)``, and gives scalar terms.
    """
    balanced = "loss" in objects and as_loss(objects["loss"]).balances
    second_only = {"weights", "loss"} if balanced else {"weights"}
    return (
        Stage(
            tuple(f for f in fillings if f.part.slot not in ("weights", "density") and not f.part.balances),
            objects={slot: piece for slot, piece in objects.items() if slot not in second_only},
        ),
        Stage(
            parts_of(fillings, "weights", "density", "loss", "optimizer"),
            trains="head",
            epochs=whole(epochs, "rrt.epochs", least=1),
            lr=positive(lr, "rrt.lr"),
            objects={slot: piece for slot, piece in objects.items() if slot in ("weights", "loss")},
        ),
    )


def parts_of(fillings: Iterable[Filling], *slots: str) -> tuple[Filling, ...]:
    """Return the fillings of some slots."""
    return tuple(f for f in fillings if f.part.slot in slots)


def _output_weights(bins: object) -> NDArray[np.float64] | None:
    """Return the weights of several targets, of mean 1, if their bins have some."""
    weights = getattr(bins, "weights", None)
    return None if weights is None else relative_weights(weights)


def _setting(model: nn.Module, y_train: ArrayLike, bins: Bins | BinGrid | OutputBins | LabelDensity | None) -> Setting:
    y = np.asarray(y_train, dtype=np.float64)
    each = isinstance(bins, OutputBins)
    bins = None if isinstance(bins, OutputBins) else bins
    counts = bins if isinstance(bins, LabelDensity) else None
    bins = bins.bins if isinstance(bins, LabelDensity) else bins
    if y.ndim != 2:
        y = label_array(y, "y_train")
        bins = Bins.auto(y) if bins is None else bins
    elif bins is None and not each and 1 <= y.shape[1] <= BinGrid.MOST_AXES:
        bins = BinGrid.auto(y)
    width = getattr(model, "n_features", None)
    return Setting(y, bins, width if isinstance(width, int) else None, counts)


RRT_PART = Part(
    name="rrt",
    slot="stage",
    make=rrt_stages,
    summary="regressor re-training: a new head, re-weighted or with a loss that balances, on frozen features",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML",
    year=2021,
    cost="none; epochs of a head alone",
    use="""\
objective = compose("rrt+lds").build(model, y_train, bins, stage=1)  # after training stage 0
optimizer = torch.optim.Adam(objective.trained_parameters())
loss = sum(objective(x, y).values())""",
    units={"epochs": "epochs"},
    remark="after Kang et al., Decoupling, ICLR 2020",
)
