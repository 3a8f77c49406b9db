"""A method: a frozen description of what fills the slots, stage by stage, and how to build it."""

import copy
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from tailwise._checks import InputError, did_you_mean, label_array, not_negative
from tailwise.heads.attach import attach_head
from tailwise.heads.head import as_head
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.streaming import LabelDensity
from tailwise.losses.loss import as_loss
from tailwise.methods.objective import Objective, Trains
from tailwise.methods.part import Part, Setting
from tailwise.methods.parts import PARTS
from tailwise.methods.slots import Slot, Smoother
from tailwise.optim.bsam import BSAM

if TYPE_CHECKING:
    import pandas as pd

VANILLA = "vanilla"
_MOST_APART = 10
_FINEST = 1e-9  # whose square still divides the square of an error in float32
_OWN = ("augment", "weights", "smoother", "loss", "regularizers", "coefs")


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
        if setting.y.ndim > 1 and "k" not in self.part.targets:
            raise InputError(
                f"{self.name}: this part needs scalar labels (n,), got labels of shape {setting.y.shape}; leave it out"
            )
        # The coefficient of a regularizer is the objective's.
        given = {
            name: copy.deepcopy(value)
            for name, value in self.params.items()
            if name != "coef" or self.part.coef is None
        }
        defaults = {
            name: default.value(setting) for name, default in self.part.from_labels.items() if name not in given
        }
        for name, value in given.items():
            finest = _FINEST * setting.spread
            if self.part.units.get(name) == "target" and isinstance(value, int | float) and 0 < value < finest:
                raise InputError(
                    f"{self.name}: {name} must be at least {_FINEST:g} standard deviations of the labels, "
                    f"{finest:.3g}, got {value!r}"
                )
        try:
            needed = [getattr(setting, name) for name in self.part.needs]
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error
        return self._call(needed, {**defaults, **self.part.fixed, **given, **extra})

    def build(self, *needed: Any) -> Any:
        """Build a part that takes nothing from the labels."""
        return self._call(needed, self.params)

    def _call(self, needed: Iterable[Any], params: Mapping[str, Any]) -> Any:
        """Call what makes the part, and say its name where that refuses."""
        try:
            return self.part.load()(*needed, **params)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"the parameters of {self.name!r} do not work: {error}") from error


@dataclass(frozen=True)
class Stage:
    """One stage of training: what fills the slots, and what is trained.

    Args:
        fillings: named parts, in the order of the method string.
        trains: ``"all"``; ``"head"``, a new one on a frozen encoder; ``"encoder"``, by regularizers alone.
        epochs: number of epochs; ``None`` leaves it to the caller.
        lr: learning rate; ``None`` leaves it to the caller.
        objects: a caller's own pieces by slot: ``augment``, ``weights``, ``smoother``, ``loss`` as modules,
            ``regularizers`` as a mapping of names to modules. They take the place of a part in that slot, and each
            build takes a copy of them: a stage holds no state.
    """

    fillings: tuple[Filling, ...] = ()
    trains: Trains = "all"
    epochs: int | None = None
    lr: float | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)

    def _filling(self, slot: Slot) -> Filling | None:
        return next((f for f in self.fillings if f.part.slot == slot), None)

    def build(
        self, model: nn.Module, y_train: ArrayLike, bins: Bins | BinGrid | LabelDensity | None = None
    ) -> nn.Module:
        """Build the training step for a model whose output is already scaled; see :meth:`Method.build`."""
        setting = _setting(model, y_train, bins)
        made = {slot: self._made(slot, setting) for slot in ("augment", "smoother", "density")}
        density = made.pop("density")
        # What of the model a piece holds is the model's, not state of the piece.
        kept = {id(of_model): of_model for of_model in (*model.modules(), *model.parameters(), *model.buffers())}
        objects = copy.deepcopy(dict(self.objects), kept)
        whole = self._filling("objective")
        if whole:
            objective: nn.Module = whole.make(
                setting, model=model, density=density, augment=objects.get("augment", made["augment"])
            )
            return objective
        for slot in ("weights", "loss"):
            filling = self._filling(slot)
            extra = {"density": density} if filling and "density" in filling.part.hidden else {}
            # Counts can be smoothed, but a density without bins is one of labels themselves.
            given = setting if density is None or isinstance(density, LDS) else replace(setting, counts=None)
            made[slot] = filling and filling.make(given, **extra)
        named = [f for f in self.fillings if f.part.slot == "regularizer"]
        pieces = {
            **made,
            **{slot: piece for slot, piece in objects.items() if slot not in ("regularizers", "coefs")},
            "regularizers": {f.name: f.make(setting) for f in named} | dict(objects.get("regularizers", {})),
        }
        coefs = {f.name: not_negative(f.params.get("coef", f.part.coef), f"{f.name}.coef") for f in named}
        coefs |= dict(objects.get("coefs", {}))
        head = None if pieces["loss"] is None else as_loss(pieces["loss"]).head
        if head is not None:
            attach_head(model, head, y_train)
        return Objective(model, **pieces, coefs=coefs, trains=self.trains, spread=setting.spread)

    def _made(self, slot: Slot, setting: Setting) -> Any:
        filling = self._filling(slot)
        return filling and filling.make(setting)

    def wrap(self, optimizer: Any) -> BSAM | None:
        """The wrapper that takes the steps of an optimiser, if the stage has one."""
        filling = self._filling("optimizer")
        wrapper: BSAM | None = None if filling is None else filling.build(optimizer)
        return wrapper


@dataclass(frozen=True)
class Method:
    """A recipe, not a state: building it gives the module that holds all state.

    Args:
        name: the canonical method string, or any name for a hand-made method.
        stages: usually one; two for RRT.
        correction: ``fit(fitting)`` gives what corrects the trained network's predictions, see
            ``tailwise.calibration.corrections``.
        resampler: ``fit_resample(X, y)`` gives the rows to train on, see ``tailwise.sampling``.

    Example:
        >>> from tailwise.heads.point import Regressor
        >>> method = compose("sqinv+lds+fds")
        >>> objective = method.build(Regressor(nn.Linear(3, 4), n_features=4), y_train=range(100))
        >>> type(objective.smoother).__name__
        'FDS'
    """

    name: str
    stages: tuple[Stage, ...]
    correction: Any = None
    resampler: Any = None

    @property
    def remarks(self) -> list[str]:
        """What is particular about the predictions, for who reads them."""
        said = []
        if any(filling.part.deviates for stage in self.stages for filling in stage.fillings):
            said.append("the method predicts a standard deviation too: column std of predictions.parquet")
        if self.correction is not None:
            by = type(self.correction).__name__.lower()
            said.append(
                f"predictions were corrected after training by {by}, with the validation rows at hand: their own "
                "errors are no longer a fair measure"
            )
        return said

    def resample(
        self, features: "pd.DataFrame", y: NDArray[np.float64], *, seed: int
    ) -> tuple["pd.DataFrame", NDArray[np.float64], NDArray[np.int64]]:
        """Rows to train on, their targets, and the row that each was made from: those given, or what is resampled.

        Args:
            features: ``(n, p)`` as :meth:`tailwise.data.columns.Schema.features` gives them.
            y: ``(n,)`` targets.
            seed: for a resampler that has no ``random_state`` of its own.

        Raises:
            InputError: what the resampler refuses.
        """
        if self.resampler is None:
            return features, y, np.arange(len(y))
        from tailwise.data.resampling import resample_features  # a training step needs neither pandas nor scikit-learn

        try:
            return resample_features(self.resampler, features, y, seed=seed)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error

    def build(
        self,
        model: nn.Module,
        y_train: ArrayLike,
        bins: Bins | BinGrid | LabelDensity | None = None,
        *,
        stage: int = 0,
    ) -> Any:
        """Build the training step of one stage: a module whose ``forward(x, y)`` gives the terms of the loss.

        The first stage scales the model's output to the labels (``model.match_scale``, where there is one); a stage
        that trains the head starts from a new one. A part with a head of its own (``uvote``, ``vir``) replaces
        ``model.head``.

        Args:
            model: a network with ``encode(x)`` and ``head(features)``; ``n_features`` if the method smooths features.
            y_train: ``(n,)`` training labels, target units; ``(n, K)`` for parts that take K-dimensional targets.
            bins: bins of the target; ``Bins.auto(y_train)``, or for 2 or 3 dimensions ``BinGrid.auto(y_train)``, if not
                given. Counts of all labels in bins where ``y_train`` is a random part of them (pixels of maps).
            stage: which stage, from 0.

        Raises:
            InputError: labels that are constant or not finite, a stage that does not exist, a model without what it
                needs.

        Warns:
            UserWarning: dimensions of K-dimensional labels whose spreads differ by more than a factor of 10; a method
                that resamples, which a training step cannot do: see :meth:`resample`.
        """
        if not 0 <= stage < len(self.stages):
            raise InputError(f"method {self.name!r} has {len(self.stages)} stages; there is no stage {stage}")
        for name in ("encode", "head"):
            if not hasattr(model, name):
                raise InputError(
                    f"model {type(model).__name__} has no {name}; a method needs model.encode and model.head"
                )
        if stage == 0:
            _warn_of_spreads_apart(y_train)
            if self.resampler is not None:
                warnings.warn(
                    f"{self.name!r} resamples rows, which a training step cannot do; pass the training rows through "
                    "method.resample(features, y, seed=0) first",
                    UserWarning,
                    stacklevel=2,
                )
        if stage == 0 and hasattr(model, "match_scale"):
            scaled: Any = model
            scaled.match_scale(y_train)
        if self.stages[stage].trains == "head":
            module: Any = model.head
            as_head(module).reset()
        return self.stages[stage].build(model, y_train, bins)


def compose(name: str, /, **params: Any) -> Method:
    """Compose a method by name: parts joined by ``+``, parameters by keyword.

    Args:
        name: for example ``"sqinv+lds+fds+conr"``; ``"vanilla"`` is the plain network. Order does not matter.
        **params: for each part a mapping of its parameters, ``conr={"window": 2.0}``; or a slot's name with a piece of
            your own: ``loss=MyLoss()``, ``weights=...``, ``smoother=...``, ``augment=...``,
            ``regularizers={"mine": ...}`` with ``coefs={"mine": 0.5}``. Each build takes a copy of it.

    Raises:
        InputError: an unknown part, two parts in one slot, parameters for a part that is absent, an unknown parameter.

    Warns:
        UserWarning: two pieces that each correct for the label distribution: weights, a loss that balances, ``vir``,
            ``uvote``, ``debias``.

    Example:
        >>> compose("conr+sqinv", conr={"window": 2.0}).name
        'sqinv+conr'
    """
    names = parse(name)
    objects = {slot: params.pop(slot) for slot in _OWN if slot in params}
    _check_objects(objects, names)
    for slot in objects:
        taken = [n for n in names if slot in (PARTS[n].slot, *PARTS[n].also)]
        if taken:
            raise InputError(f"{slot}= is given, but {taken[0]!r} in {name!r} fills that slot already; leave one out")
    for part in params:
        if part not in names:
            reason = did_you_mean(part, names or PARTS) if part not in PARTS else "; add it to the method"
            raise InputError(f"parameters are given for {part!r}, which is not part of {name!r}{reason}")
    fillings = [Filling(n, _checked(n, params.get(n, {}))) for n in names]
    canonical = "+".join(names) or VANILLA
    filled = {slot for f in fillings for slot in (f.part.slot, *f.part.also)} | set(objects)
    second = next((f for f in fillings if f.part.slot == "stage"), None)
    used = any("density" in f.part.hidden for f in fillings)
    balanced = any(f.part.balances for f in fillings) or _balances(objects)
    # A density nothing uses, BSAM and RRT all mean a re-weighted loss.
    implied = ("density" in filled and not used) or (
        not balanced and ("optimizer" in filled or (second is not None and second.name == "rrt"))
    )
    if implied and "weights" not in filled:
        fillings.insert(0, Filling("sqinv"))
    _warn_of_two_corrections(fillings, objects, names)
    correction = next((f for f in fillings if f.part.slot == "correction"), None)
    resample = next((f for f in fillings if f.part.slot == "resample"), None)
    corrects, resamples = correction and correction.build(), resample and resample.build()
    parts = tuple(f for f in fillings if f.part.slot not in ("stage", "correction", "resample"))
    if second is None:
        stages: tuple[Stage, ...] = (Stage(parts, objects=objects),)
    else:
        stages = second.part.load()(parts, objects, **second.params)
    return Method(canonical, stages, corrects, resamples)


def parse(name: str) -> list[str]:
    """Parts of a method string in canonical order.

    Raises:
        InputError: an empty or unknown part, the same part twice, two parts in one slot.
    """
    words = [word.strip() for word in str(name).split("+")]
    if words == [VANILLA]:
        return []
    taken: dict[str, str] = {}
    for word in words:
        if word not in PARTS:
            hint = did_you_mean(word, [*PARTS, VANILLA]) if word else "; parts are joined by one '+'"
            if word == VANILLA:
                hint = "; 'vanilla' is the plain network and stands alone"
            raise InputError(f"unknown method part {word!r} in {name!r}{hint}")
        if words.count(word) > 1:
            raise InputError(f"{word!r} stands twice in {name!r}")
        part = PARTS[word]
        for slot in (part.slot, *part.also):
            both_regularize = slot == part.slot == "regularizer" and slot in taken and PARTS[taken[slot]].slot == slot
            if slot in taken and not both_regularize:
                raise InputError(f"{taken[slot]!r} and {word!r} both fill the slot {slot!r} in {name!r}; leave one out")
            taken[slot] = word
    order = list(PARTS)
    return sorted(words, key=order.index)


def _setting(model: nn.Module, y_train: ArrayLike, bins: Bins | BinGrid | LabelDensity | None) -> Setting:
    y = np.asarray(y_train, dtype=np.float64)
    counts = bins if isinstance(bins, LabelDensity) else None
    bins = bins.bins if isinstance(bins, LabelDensity) else bins
    if y.ndim != 2:
        y = label_array(y, "y_train")
        bins = Bins.auto(y) if bins is None else bins
    elif bins is None and 1 <= y.shape[1] <= BinGrid.MOST_AXES:
        bins = BinGrid.auto(y)
    width = getattr(model, "n_features", None)
    return Setting(y, bins, width if isinstance(width, int) else None, counts)


def _warn_of_spreads_apart(y_train: ArrayLike) -> None:
    spreads = np.asarray(y_train, dtype=np.float64).std(axis=0)
    if spreads.ndim == 1 and spreads.size and spreads.max() > _MOST_APART * spreads.min() > 0:
        warnings.warn(
            f"the standard deviations of the labels' dimensions run from {spreads.min():.3g} to {spreads.max():.3g}, "
            f"so dimension {int(spreads.argmax())} dominates loss and distances; divide the labels by their standard "
            "deviations",
            UserWarning,
            stacklevel=3,
        )


def _balances(objects: Mapping[str, Any]) -> bool:
    return "loss" in objects and as_loss(objects["loss"]).balances


def _warn_of_two_corrections(fillings: list[Filling], objects: Mapping[str, Any], names: list[str]) -> None:
    """Warn of several corrections for the label distribution, by the names that were written."""
    found = ["weights="] if "weights" in objects else []
    for filling in fillings:
        if filling.part.corrects:
            # Weights that nobody wrote are those of a density, or else of what means a re-weighted loss.
            meant = (n for n in names if PARTS[n].slot in ("density", "optimizer", "stage"))
            found.append(repr(filling.name if filling.name in names else next(meant)))
    if _balances(objects):
        found.append("loss=")
    if len(found) > 1:
        twice, out = ("twice", " or ".join(found)) if len(found) == 2 else (f"{len(found)} times", "all but one")
        warnings.warn(
            f"{', '.join(found[:-1])} and {found[-1]} each correct for the label distribution, so together they "
            f"correct {twice}; leave out {out}",
            UserWarning,
            stacklevel=3,
        )


def _check_objects(objects: Mapping[str, Any], names: list[str]) -> None:
    """Raise unless a caller's own pieces are objects, under names of their own."""
    regularizers = objects.get("regularizers", {})
    pieces = {slot: piece for slot, piece in objects.items() if slot not in ("regularizers", "coefs")}
    density = next((name for name in names if PARTS[name].slot == "density"), None)
    if "weights" in objects and density:
        raise InputError(f"weights= is given, so {density!r} would give a density that nothing uses; leave one out")
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
        most = PARTS[name].most.get(key)
        if most is not None and isinstance(params[key], Real) and params[key] > most:
            raise InputError(f"{name}: {key} must be at most {most:g}, got {params[key]!r}")
    return dict(params)
