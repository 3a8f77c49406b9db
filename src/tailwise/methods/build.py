"""Compose a method from parts, and build its training steps."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from tailwise._checks import InputError, did_you_mean
from tailwise.calibration.corrections import FitsCorrection
from tailwise.heads.head import as_head
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.censoring import CENSORED_METHOD, Censoring
from tailwise.labels.output_bins import MOST_APART, OutputBins
from tailwise.labels.streaming import LabelDensity
from tailwise.losses.loss import as_loss
from tailwise.methods.catalog import CATALOG, PARTS
from tailwise.methods.filling import Filling
from tailwise.methods.grammar import VANILLA, parse
from tailwise.methods.rules import check_objects, checked_params, has_balanced_loss, warn_of_two_corrections
from tailwise.methods.slots import Resamples
from tailwise.methods.stages import Stage
from tailwise.methods.training_step import TrainingStep
from tailwise.methods.whole_network import WholeNetwork, check_needs_predictions_alone

if TYPE_CHECKING:
    import pandas as pd

_OBJECTS = ("augment", "weights", "smoother", "loss", "regularizers", "coefs")


@dataclass(frozen=True)
class Method:
    """Description of a method without state; building it returns the module that holds all state.

    Args:
        name: the canonical method string, or any name for a hand-made method.
        stages: one, or two for RRT and Rank-N-Contrast pre-training.
        correction: fits a map of the trained network's predictions by ``fit(fitting)``, see
            ``tailwise.calibration.corrections``.
        resampler: resamples the training rows by ``fit_resample(X, y)``, see ``tailwise.sampling``.

    Example:
        >>> from tailwise.heads.point import Regressor
        >>> method = compose("sqinv+lds+fds")
        >>> objective = method.build(Regressor(nn.Linear(3, 4), n_features=4), y_train=range(100))
        >>> type(objective.smoother).__name__
        'FDS'
    """

    name: str
    stages: tuple[Stage, ...]
    correction: FitsCorrection | None = None
    resampler: Resamples | None = None

    @property
    def reweights(self) -> bool:
        """Whether training rows are weighted or resampled by label, or the loss corrects for the label distribution.

        Distributions that a model learns then are not those of labels as rows come. Corrections after training, and a
        user's own row weights, which declare how often rows come, do not count.
        """
        return self.resampler is not None or any(
            "weights" in stage.objects
            or has_balanced_loss(stage.objects)
            or any(filling.part.corrects for filling in stage.fillings)
            for stage in self.stages
        )

    def gives(self, kind: str) -> bool:
        """Whether the trained network has a head of a kind, such as ``"mixture"``, for its loss."""
        last = self.stages[-1]
        if "loss" in last.objects:
            return (as_loss(last.objects["loss"]).head or {}).get("kind") == kind
        return any(filling.part.slot == "loss" and filling.name == kind for filling in last.fillings)

    def censored(self, censoring: Censoring) -> "Method":
        """Return the method with the likelihood of censored labels, for a method of the loss ``mixture``.

        Args:
            censoring: the limits, in units of the labels that it is trained on.
        """
        stages = tuple(
            replace(
                stage,
                fillings=tuple(
                    replace(filling, params={**filling.params, **censoring.given})
                    if filling.name == CENSORED_METHOD
                    else filling
                    for filling in stage.fillings
                ),
            )
            for stage in self.stages
        )
        return replace(self, stages=stages)

    @property
    def predicts_median(self) -> bool:
        """Whether the trained network predicts a conditional median: for a loss of absolute errors without a head."""
        last = self.stages[-1]
        losses = [filling.part.make for filling in last.fillings if filling.part.slot == "loss"]
        loss: Any = as_loss(last.objects["loss"]) if "loss" in last.objects else next(iter(losses), None)
        return getattr(loss, "degree", 0) == 1 and not getattr(loss, "on_outputs", False)

    @property
    def remarks(self) -> list[str]:
        """Notes on the predictions for their reader."""
        remarks = []
        if any(filling.part.deviates for stage in self.stages for filling in stage.fillings):
            remarks.append("the method predicts a standard deviation too: column std of predictions.parquet")
        if self.correction is not None:
            name = type(self.correction).__name__.lower()
            remarks.append(
                f"predictions were corrected after training by {name}, with the validation rows at hand: their own "
                "errors are no longer a fair measure"
            )
        return remarks

    def resample(
        self, features: "pd.DataFrame", y: NDArray[np.float64], *, seed: int
    ) -> tuple["pd.DataFrame", NDArray[np.float64], NDArray[np.int64]]:
        """Return rows to train on, their targets, and the index of the row that each was made from.

        Without a resampler these are the given rows.

        Args:
            features: ``(n, p)`` from :meth:`tailwise.data.columns.Schema.features`.
            y: ``(n,)`` targets.
            seed: for a resampler without a ``random_state`` of its own.

        Raises:
            InputError: rows that the resampler refuses.
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
        bins: Bins | BinGrid | OutputBins | LabelDensity | None = None,
        *,
        stage: int = 0,
    ) -> TrainingStep:
        """Build the training step of one stage: a module whose ``forward(x, y)`` returns the terms of the loss.

        The first stage scales the model's output to the labels (by ``model.match_scale``, if the model has it); a stage
        that trains the head draws new weights for it. A part with its own head (``uvote``, ``vir``) replaces
        ``model.head``.

        Args:
            model: a network with ``encode(x)`` and ``head(features)``; ``n_features`` if the method smooths features.
                For weights, resampling, corrections and losses of predictions any module from inputs to predictions in
                target units does, such as ``nn.Sequential``; it is trained in place, and its output is not scaled.
            y_train: ``(n,)`` training labels, target units; ``(n, K)`` for parts that take K-dimensional targets.
            bins: bins of the target; ``Bins.auto(y_train)``, or for 2 or 3 dimensions ``BinGrid.auto(y_train)``, if not
                given; :class:`OutputBins` of more. Counts of all labels in bins where ``y_train`` is a random part of
                them (pixels of maps).
            stage: which stage, from 0.

        Raises:
            InputError: labels that are constant or not finite, a stage that does not exist, a model that lacks an
                attribute.

        Warns:
            UserWarning: dimensions of K-dimensional labels whose spreads differ by more than a factor of 10; a method
                with a resampler, which a training step cannot apply: see :meth:`resample`.
        """
        if not 0 <= stage < len(self.stages):
            raise InputError(f"method {self.name!r} has {len(self.stages)} stages; there is no stage {stage}")
        if not (hasattr(model, "encode") and hasattr(model, "head")):
            check_needs_predictions_alone(self.stages, model)
            model = WholeNetwork(model, scalar=np.ndim(y_train) == 1)
        network: Any = model
        if stage == 0:
            _warn_of_spreads_apart(y_train)
            if self.resampler is not None:
                warnings.warn(
                    f"{self.name!r} resamples rows, which a training step cannot do; pass the training rows through "
                    "method.resample(features, y, seed=0) first",
                    UserWarning,
                    stacklevel=2,
                )
            if hasattr(model, "match_scale"):
                network.match_scale(y_train)
        if self.stages[stage].trains == "head":
            as_head(network.head).reset()
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
    objects = {slot: params.pop(slot) for slot in _OBJECTS if slot in params}
    check_objects(objects, names)
    for slot in objects:
        filler = next((part for part in names if slot in CATALOG[part].slots), None)
        if filler:
            raise InputError(f"{slot}= is given, but {filler!r} in {name!r} fills that slot already; leave one out")
    for part in params:
        if part not in names:
            reason = did_you_mean(part, names or CATALOG) if part not in CATALOG else "; add it to the method"
            raise InputError(f"parameters are given for {part!r}, which is not part of {name!r}{reason}")
    fillings = [Filling(PARTS[part], checked_params(PARTS[part], params.get(part, {}))) for part in names]
    if _implies_weights(fillings, objects):
        fillings.insert(0, Filling(PARTS["sqinv"]))
    warn_of_two_corrections(fillings, objects, names)
    by_slot = {filling.part.slot: filling for filling in fillings}
    scheme, correction, resampler = (by_slot.get(slot) for slot in ("stage", "correction", "resample"))
    corrects = None if correction is None else correction.build()
    resamples = None if resampler is None else resampler.build()
    parts = tuple(f for f in fillings if f.part.slot not in ("stage", "correction", "resample"))
    stages = (Stage(parts, objects=objects),) if scheme is None else scheme.part.make(parts, objects, **scheme.params)
    return Method("+".join(names) or VANILLA, stages, corrects, resamples)


def _implies_weights(fillings: list[Filling], objects: Mapping[str, Any]) -> bool:
    """Whether a method without weights means ``sqinv``: a density that nothing else uses, BSAM and RRT do."""
    filled = {slot for filling in fillings for slot in (filling.part.slot, *filling.part.also)} | set(objects)
    if "weights" in filled:
        return False
    density_used = any("density" in filling.part.hidden for filling in fillings)
    balanced = has_balanced_loss(objects) or any(filling.part.balances for filling in fillings)
    reweights = "optimizer" in filled or any(filling.name == "rrt" for filling in fillings)
    return ("density" in filled and not density_used) or (reweights and not balanced)


def _warn_of_spreads_apart(y_train: ArrayLike) -> None:
    spreads = np.asarray(y_train, dtype=np.float64).std(axis=0)
    if spreads.ndim == 1 and spreads.size and spreads.max() > MOST_APART * spreads.min() > 0:
        warnings.warn(
            f"the standard deviations of the labels' dimensions run from {spreads.min():.3g} to {spreads.max():.3g}, "
            f"so dimension {int(spreads.argmax())} dominates loss and distances; divide the labels by their standard "
            "deviations",
            UserWarning,
            stacklevel=3,
        )
