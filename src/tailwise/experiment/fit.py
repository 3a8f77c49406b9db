"""Fit an experiment to a task: the one place where a training is assembled."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

from tailwise._checks import InputError
from tailwise.backends.names import load_backend
from tailwise.backends.protocol import Fitting
from tailwise.backends.transformed import TransformedFitting, transformed_task
from tailwise.data.original_units import Point
from tailwise.data.task import Task
from tailwise.distributions.conditional import FEWEST
from tailwise.experiment.censored import check_censoring, check_one_target
from tailwise.experiment.model import FittedModel
from tailwise.experiment.quality import default_for
from tailwise.experiment.row_predictions import Predictions
from tailwise.experiment.spec import AUTO_BALANCE, AUTO_METHOD, AUTO_TRANSFORM, LIMITS, Experiment
from tailwise.experiment.transform_choice import choose_transform
from tailwise.modalities.map_method import map_method
from tailwise.modalities.map_model import MapModel
from tailwise.modalities.map_task import PreparedMaps
from tailwise.modalities.map_training import MapFitting
from tailwise.modalities.map_training import start as start_maps
from tailwise.training.epoch import Epoch
from tailwise.training.epoch_bar import epoch_bar

if TYPE_CHECKING:
    from tailwise.methods.build import Method


@dataclass(frozen=True)
class Running:
    """An experiment on a task, set up and not yet trained.

    Args:
        task: the data.
        experiment: the description; the default in place of ``"auto"``.
        method: the composed method.
        fitting: the training of the experiment's model.
    """

    task: Task
    experiment: Experiment
    method: "Method"
    fitting: Fitting

    def finish(self) -> "tuple[FittedModel, Predictions]":
        """Return the fitted model once all epochs are over, and its predictions of the validation rows.

        The model is corrected where the method says so, and has intervals where validation rows were held out.
        """
        return self.bare().validated(
            self.task,
            self.method.correction,
            intervals=self.task.censoring is None and (self.task.held_out or self.fitting.out_of_fold is not None),
            out_of_fold=self.fitting.out_of_fold,
            within=self.experiment.within if self.experiment.balance == AUTO_BALANCE else None,
        )

    def bare(self) -> FittedModel:
        """Return the fitted model without correction and intervals."""
        task, fitting = self.task, self.fitting
        return FittedModel(
            task.schema,
            fitting.inputs,
            fitting.predictor,
            task.shots,
            task.relevance,
            balance=0.0 if isinstance(self.experiment.balance, str) else self.experiment.balance,
            reweighted=self.method.reweights,
            censoring=task.censoring,
        )


@dataclass(frozen=True)
class RunningMaps:
    """An experiment on maps, set up and not yet trained; see :class:`Running`."""

    task: PreparedMaps
    experiment: Experiment
    method: "Method"
    fitting: MapFitting

    def finish(self) -> tuple[MapModel, None]:
        """Return the fitted model once all epochs are over; maps have neither corrections nor intervals."""
        balance, reweighted = _given(self.experiment.balance, "maps have several"), self.method.reweights
        return MapModel.of(self.task, self.fitting.predictor, balance=balance, reweighted=reweighted), None


@overload
def start(task: Task, experiment: Experiment) -> Running: ...


@overload
def start(task: PreparedMaps, experiment: Experiment) -> RunningMaps: ...


def start(task: Task | PreparedMaps, experiment: Experiment) -> Running | RunningMaps:
    """Set up the training of an experiment on a task.

    Raises:
        InputError: a model, encoder, method or parameter that does not exist or does not fit the task.
    """
    if isinstance(task, PreparedMaps):
        if experiment.transform is not None:
            raise InputError("`transform` is for one target of a table, and maps have several; leave it out")
        check_one_target(experiment, "maps have several")
        method, params = map_method(experiment.method, experiment.method_params)
        if _given(experiment.balance, "maps have several") > 0:
            _check_mixture(method, "maps have none")
        maps = start_maps(task, method, experiment.recipe, encoder=experiment.encoder, params=experiment.params)
        return RunningMaps(task, replace(experiment, method_params=params), method, maps)
    n_targets = len(task.schema.targets)
    if n_targets > 1:
        check_one_target(experiment, f"there are {n_targets}")
    task = replace(task, censoring=experiment.censoring)
    if experiment.method == AUTO_METHOD:
        experiment = _default(task, experiment)
    experiment.check()
    if task.censoring is not None:
        check_censoring(task, experiment, task.censoring)
    if experiment.model != "network" and n_targets > 1:
        raise InputError(f"model {experiment.model!r} predicts one target, and there are {n_targets}; use the network")
    method = experiment.compose()
    if n_targets > 1:
        _given(experiment.balance, f"there are {n_targets}")
    if experiment.balance not in (0, AUTO_BALANCE) and experiment.model != "stack":
        _check_balance(task, method)
    if experiment.transform == AUTO_TRANSFORM:
        choice = choose_transform(task)
        task.notes.append(choice.note)
        experiment = replace(experiment, transform=choice.name)
    return Running(task, experiment, method, _fitting(task, experiment, method))


def _default(task: Task, experiment: Experiment) -> Experiment:
    """Return the default for a task in place of the method ``"auto"``, with the transform and the limits given.

    Where labels are censored the balance is the one given too, since none can be chosen.
    """
    default = replace(default_for(task, experiment.for_default()), transform=experiment.transform)
    if task.censoring is None:
        return default
    limits = {name: getattr(experiment, name) for name in LIMITS}
    return replace(default, balance=experiment.balance, within=experiment.within, **limits)


def _given(balance: float | str, targets: str) -> float:
    """Return a balance that is a number."""
    if isinstance(balance, str):
        raise InputError(f"a `balance` of {balance!r} is chosen for one target, and {targets}; give a number")
    return balance


def _check_balance(task: Task, method: "Method") -> None:
    """Raise unless predictions of this task can be decided at a balance."""
    if len(task.schema.targets) > 1:
        _check_mixture(method, f"there are {len(task.schema.targets)}")
    elif not task.held_out or task.count("val") < 2 * FEWEST:
        raise InputError(
            f"a `balance` needs {2 * FEWEST} validation rows, and there are "
            f"{task.count('val') if task.held_out else 0}; leave it out or train on more rows"
        )


def _check_mixture(method: "Method", targets: str) -> None:
    """Raise unless a method gives distributions of labels as they come without a density of validation rows."""
    if method.reweights or not method.gives("mixture"):
        raise InputError(
            f"with method {method.name!r} a `balance` is for one target a row, and {targets}; leave it out, or use "
            "`method='mixture'`, without weights"
        )


def _fitting(task: Task, experiment: Experiment, method: "Method") -> Fitting:
    if experiment.transform is None:
        return _plain_fitting(task, experiment, method)
    median = experiment.model == "stack" or method.predicts_median
    point: Point = "median" if median else "mean"
    inner, units = transformed_task(task, experiment.transform, point, reweighted=method.reweights)
    return TransformedFitting(_plain_fitting(inner, experiment, method), inner, units)


def _plain_fitting(task: Task, experiment: Experiment, method: "Method") -> Fitting:
    return load_backend(experiment.model).start(
        task,
        method if task.censoring is None else method.censored(task.censoring),
        experiment.recipe,
        params=experiment.params,
        encoder=experiment.encoder,
        sample_weight=task.weight_of("train"),
    )


@overload
def fit(
    task: Task,
    experiment: Experiment | None = None,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    verbose: bool = False,
) -> FittedModel: ...


@overload
def fit(
    task: PreparedMaps,
    experiment: Experiment | None = None,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    verbose: bool = False,
) -> MapModel: ...


def fit(
    task: Task | PreparedMaps,
    experiment: Experiment | None = None,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    verbose: bool = False,
) -> FittedModel | MapModel:
    """Train an experiment on a task and return the fitted model.

    Args:
        task: data from :func:`tailwise.experiment.prepare.prepare`; of maps from
            :func:`tailwise.modalities.map_task.prepare_maps`.
        experiment: what to train; by default :func:`tailwise.experiment.quality.default_for` the task.
        on_epoch: called with each :class:`tailwise.training.epoch.Epoch`, a round of boosting among them.
        verbose: show the progress on standard error: a bar in a terminal, a line in a notebook.

    Raises:
        InputError: a model, encoder, method or parameter that does not exist or does not fit the task.

    Example:
        >>> import numpy as np, pandas as pd
        >>> from tailwise.experiment.prepare import prepare
        >>> from tailwise.training.recipe import Recipe
        >>> x = np.random.default_rng(0).normal(size=300)
        >>> task = prepare(pd.DataFrame({"x": x, "y": np.exp(x)}), "y")
        >>> model = fit(task, Experiment("sqinv+lds", recipe=Recipe(epochs=2)))
        >>> model.predict(pd.DataFrame({"x": [0.0, 2.0]})).shape
        (2,)
    """
    if experiment is None:
        experiment = default_for(task) if isinstance(task, Task) else Experiment()
    running = start(task, experiment)
    with epoch_bar() if verbose else nullcontext() as bar:
        for epoch in running.fitting.epochs():
            for shown in (on_epoch, None if bar is None else bar.show):
                if shown is not None:
                    shown(epoch)
    return running.finish()[0]
