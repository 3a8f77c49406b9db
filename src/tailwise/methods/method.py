"""A method: a frozen description of what fills the slots, stage by stage, and how to build it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from tailwise._checks import InputError, did_you_mean, label_array, not_negative, positive, whole
from tailwise.labels.bins import Bins
from tailwise.methods.objective import Objective, Trains
from tailwise.methods.parts import PARTS, Part, Setting
from tailwise.methods.slots import Slot, Smoother

VANILLA = "vanilla"


@dataclass(frozen=True)
class Filling:
    """A part by name with the parameters given for it."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def part(self) -> Part:
        """Its entry in ``PARTS``."""
        return PARTS[self.name]

    def make(self, setting: Setting, **extra: Any) -> Any:
        """Build the part: what it needs, defaults from the labels, its fixed parameters, then what was given."""
        given = {name: value for name, value in self.params.items() if name != "coef"}
        defaults = {
            name: default.value(setting) for name, default in self.part.from_labels.items() if name not in given
        }
        needed = [getattr(setting, name) for name in self.part.needs]
        try:
            return self.part.load()(*needed, **{**defaults, **self.part.fixed, **given, **extra})
        except InputError:
            raise
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"the parameters of {self.name!r} do not work: {error}") from error


@dataclass(frozen=True)
class Stage:
    """One stage of training: what fills the slots, and what is trained.

    Args:
        fillings: named parts, in the order of the method string.
        trains: ``"all"``, or ``"head"`` for a new head on a frozen encoder.
        epochs: number of epochs; ``None`` leaves it to the caller.
        lr: learning rate; ``None`` leaves it to the caller.
        objects: a caller's own pieces by slot: ``weights``, ``smoother``, ``loss`` as modules, ``regularizers`` as a
            mapping of names to modules. They take the place of a part in that slot.
    """

    fillings: tuple[Filling, ...] = ()
    trains: Trains = "all"
    epochs: int | None = None
    lr: float | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)

    def _filling(self, slot: Slot) -> Filling | None:
        return next((f for f in self.fillings if f.part.slot == slot), None)

    def build(self, model: nn.Module, y_train: ArrayLike, bins: Bins | None = None) -> Objective:
        """Build the training step for a model whose output is already scaled; see :meth:`Method.build`."""
        y = np.asarray(y_train, dtype=np.float64)
        if y.ndim != 2:
            y = label_array(y, "y_train")
            bins = Bins.auto(y) if bins is None else bins
        width = getattr(model, "n_features", None)
        setting = Setting(y, bins, width if isinstance(width, int) else None)
        density, weights = self._filling("density"), self._filling("weights")
        if density and not weights:
            weights = Filling("sqinv")
        smoother, loss = self._filling("smoother"), self._filling("loss")
        named = [f for f in self.fillings if f.part.slot == "regularizer"]
        pieces = {
            "weights": weights and weights.make(setting, lds=density and density.make(setting)),
            "smoother": smoother and smoother.make(setting),
            "loss": loss and loss.make(setting),
            **{slot: piece for slot, piece in self.objects.items() if slot not in ("regularizers", "coefs")},
            "regularizers": {f.name: f.make(setting) for f in named} | dict(self.objects.get("regularizers", {})),
        }
        coefs = {f.name: not_negative(f.params.get("coef", f.part.coef), f"{f.name}.coef") for f in named}
        coefs |= dict(self.objects.get("coefs", {}))
        return Objective(model, **pieces, coefs=coefs, trains=self.trains, spread=setting.spread)


@dataclass(frozen=True)
class Method:
    """A recipe, not a state: building it gives the module that holds all state.

    Args:
        name: the canonical method string, or any name for a hand-made method.
        stages: usually one; two for RRT.

    Example:
        >>> from tailwise.models.regressor import Regressor
        >>> method = compose("sqinv+lds+fds")
        >>> objective = method.build(Regressor(nn.Linear(3, 4), n_features=4), y_train=range(100))
        >>> type(objective.smoother).__name__
        'FDS'
    """

    name: str
    stages: tuple[Stage, ...]

    def build(self, model: nn.Module, y_train: ArrayLike, bins: Bins | None = None, *, stage: int = 0) -> Objective:
        """Build the training step of one stage.

        The first stage scales the model's output to the labels (``model.match_scale``, where there is one); a stage
        that trains the head starts from a new one.

        Args:
            model: a network with ``encode(x)`` and ``head(features)``; ``n_features`` if the method smooths features.
            y_train: ``(n,)`` training labels, target units; ``(n, K)`` for parts that take K-dimensional targets.
            bins: bins of a scalar target; ``Bins.auto(y_train)`` if not given.
            stage: which stage, from 0.

        Raises:
            InputError: labels that are constant or not finite, a stage that does not exist, a model without what it
                needs.
        """
        if not 0 <= stage < len(self.stages):
            raise InputError(f"method {self.name!r} has {len(self.stages)} stages; there is no stage {stage}")
        for name in ("encode", "head"):
            if not hasattr(model, name):
                raise InputError(
                    f"model {type(model).__name__} has no {name}; a method needs model.encode and model.head"
                )
        if stage == 0 and hasattr(model, "match_scale"):
            scaled: Any = model
            scaled.match_scale(y_train)
        if self.stages[stage].trains == "head":
            head: Any = model.head
            if not hasattr(head, "reset"):
                raise InputError("a stage that trains the head needs model.head.reset() to draw new weights")
            head.reset()
        return self.stages[stage].build(model, y_train, bins)


def compose(name: str, /, **params: Any) -> Method:
    """Compose a method by name: parts joined by ``+``, parameters by keyword.

    Args:
        name: for example ``"sqinv+lds+fds+conr"``; ``"vanilla"`` is the plain network. Order does not matter.
        **params: for each part a mapping of its parameters, ``conr={"window": 2.0}``; or a slot's name with a piece of
            your own: ``loss=MyLoss()``, ``weights=...``, ``smoother=...``, ``regularizers={"mine": ...}`` with
            ``coefs={"mine": 0.5}``.

    Raises:
        InputError: an unknown part, two parts in one slot, parameters for a part that is absent, an unknown parameter.

    Example:
        >>> compose("conr+sqinv", conr={"window": 2.0}).name
        'sqinv+conr'
    """
    names = parse(name)
    slots = {"weights", "smoother", "loss", "regularizers", "coefs"}
    objects = {slot: params.pop(slot) for slot in sorted(slots & set(params))}
    _check_objects(objects, names)
    for slot in objects:
        taken = [n for n in names if PARTS[n].slot == slot]
        if taken:
            raise InputError(f"{slot}= is given, but {taken[0]!r} in {name!r} fills that slot already; leave one out")
    for part in params:
        if part not in names:
            reason = did_you_mean(part, names or PARTS) if part not in PARTS else "; add it to the method"
            raise InputError(f"parameters are given for {part!r}, which is not part of {name!r}{reason}")
    fillings = tuple(Filling(n, _checked(n, params.get(n, {}))) for n in names)
    canonical = "+".join(names) or VANILLA
    second = next((f for f in fillings if f.part.slot == "stage"), None)
    if second is None:
        return Method(canonical, (Stage(fillings, objects=objects),))
    reweighting = tuple(f for f in fillings if f.part.slot in ("weights", "density"))
    if not reweighting and "weights" not in objects:
        reweighting = (Filling("sqinv"),)
    losses = tuple(f for f in fillings if f.part.slot == "loss")
    first = Stage(
        tuple(f for f in fillings if f.part.slot in ("smoother", "loss", "regularizer")),
        objects={slot: piece for slot, piece in objects.items() if slot != "weights"},
    )
    last = second.part.load()(
        **second.params,
        fillings=reweighting + losses,
        objects={slot: piece for slot, piece in objects.items() if slot in ("weights", "loss")},
    )
    return Method(canonical, (first, last))


def parse(name: str) -> list[str]:
    """Parts of a method string in canonical order.

    Raises:
        InputError: an empty or unknown part, the same part twice, two parts in one slot.
    """
    words = [word.strip() for word in str(name).split("+")]
    if words == [VANILLA]:
        return []
    slots: dict[str, str] = {}
    for word in words:
        if word not in PARTS:
            hint = did_you_mean(word, [*PARTS, VANILLA]) if word else "; parts are joined by one '+'"
            if word == VANILLA:
                hint = "; 'vanilla' is the plain network and stands alone"
            raise InputError(f"unknown method part {word!r} in {name!r}{hint}")
        if words.count(word) > 1:
            raise InputError(f"{word!r} stands twice in {name!r}")
        slot = PARTS[word].slot
        if slot != "regularizer" and slot in slots:
            raise InputError(f"{slots[slot]!r} and {word!r} both fill the slot {slot!r} in {name!r}; leave one out")
        slots[slot] = word
    order = list(PARTS)
    return sorted(words, key=order.index)


def rrt_stage(
    *,
    epochs: int = 30,
    lr: float = 1e-3,
    fillings: tuple[Filling, ...] = (),
    objects: Mapping[str, Any] | None = None,
) -> Stage:
    """The second stage of regressor re-training: a new head on frozen features.

    Yang et al. (ICML 2021), after Kang et al., *Decoupling* (ICLR 2020). The encoder stays in evaluation
    mode, and neither FDS nor regularizers act.

    Args:
        epochs: number of epochs.
        lr: learning rate.
        fillings: weights, density and loss of the stage.
        objects: a caller's own pieces for these slots.
    """
    epochs = whole(epochs, "rrt.epochs", least=1)
    return Stage(fillings, trains="head", epochs=epochs, lr=positive(lr, "rrt.lr"), objects=objects or {})


def _check_objects(objects: Mapping[str, Any], names: list[str]) -> None:
    """Raise unless a caller's own pieces are objects, under names of their own."""
    regularizers = objects.get("regularizers", {})
    pieces = {slot: piece for slot, piece in objects.items() if slot not in ("regularizers", "coefs")}
    if "weights" in objects and "lds" in names:
        raise InputError("weights= is given, so 'lds' would smooth a density that nothing uses; leave one out")
    if "smoother" in objects and not isinstance(objects["smoother"], Smoother):
        raise InputError(f"smoother needs end_epoch(), called once an epoch, got {objects['smoother']!r}")
    for slot, piece in {**pieces, **regularizers}.items():
        if not isinstance(piece, nn.Module):
            hint = "; make an object of it, e.g. L1()" if isinstance(piece, type) else ""
            raise InputError(f"{slot} must be a torch module, got {piece!r}{hint}")
    for name in regularizers:
        if name in names:
            raise InputError(f"regularizers names {name!r}, which is a part of the method; choose another name")
    for name in objects.get("coefs", {}):
        if name not in regularizers:
            raise InputError(f"coefs names {name!r}, which is not one of the regularizers given; for a part use coef")


def _checked(name: str, params: Any) -> Mapping[str, Any]:
    """Parameters of a part, each of which must exist."""
    if not isinstance(params, Mapping):
        raise InputError(f"parameters of {name!r} must be a mapping such as {{'window': 2.0}}, got {params!r}")
    known = PARTS[name].parameters()
    for key in params:
        if key not in known:
            fixed = PARTS[name].fixed
            if key in fixed:
                raise InputError(f"{name!r} stands for {key}={fixed[key]}; use 'reweight' to choose it")
            hint = did_you_mean(key, known) if known else f"; {name} takes none"
            raise InputError(f"{name!r} has no parameter {key!r}{hint}")
    return dict(params)
