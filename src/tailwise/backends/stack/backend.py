"""The stack as a model among others."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError, row_weights
from tailwise.backends.names import load_backend
from tailwise.backends.protocol import Backend, Between, Inputs, Predictor
from tailwise.backends.stack.fitting import StackFitting
from tailwise.backends.stack.media_folds import MediaStackFitting
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.stacked_model import KIND, StackedModel
from tailwise.data.task import Task
from tailwise.labels.censoring import CENSORED_METHOD
from tailwise.methods.build import Method, compose
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.kinds import kinds, modality_named
from tailwise.modalities.media_setup import check_files, check_kinds
from tailwise.training.loop import accelerator_for
from tailwise.training.recipe import Recipe

_FEWEST_ROWS = 30


class StackBackend:
    """A stack of experts, trained on rows as they come; of images, texts and signals on features of a network."""

    name = KIND
    losses: Collection[str] = ("mse",)
    dtype = np.float64
    varied: Mapping[str, Between] = {}

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the stack and of encoders by modality.

        See :class:`tailwise.backends.stack.stack_settings.StackSettings`.
        """
        StackSettings.from_params(_without_media(given))
        return dict(given)

    def start(
        self,
        task: Task,
        method: Method,
        recipe: Recipe,
        *,
        params: Mapping[str, Any],
        encoder: str = AUTO,
        sample_weight: NDArray[np.float64] | None = None,
    ) -> StackFitting:
        """Set up a training; each fold takes the weights of its rows from the task.

        Raises:
            InputError: weights that do not work, several targets, a method, rows that are not in memory, fewer than 30
                training and validation rows, a device that is not available, an expert whose package is not installed,
                files of images or signals that cannot be used, censored labels without an expert that has their
                likelihood.
        """
        settings = StackSettings.from_params(_without_media(params))
        if method.name != "vanilla":
            raise InputError(f"a stack trains its experts on rows as they come, without {method.name!r}; leave it out")
        if encoder != AUTO:
            raise InputError("a stack has no encoder of its own; leave `encoder` out")
        if len(task.schema.targets) > 1:
            raise InputError(f"a stack predicts one target, and there are {len(task.schema.targets)}; use the network")
        check_kinds(params, task.schema)
        if not task.rows.in_memory:
            raise InputError("a stack needs the rows in memory; give a file, not a folder, or use the network")
        n = task.count("train") + (task.count("val") if task.held_out else 0)
        if n < _FEWEST_ROWS:
            raise InputError(
                f"a stack needs at least {_FEWEST_ROWS} rows to train on, got {n}; "
                "use `quality='fast'` or another `model`"
            )
        if task.censoring is not None:
            _check_likelihood(settings, next(iter(task.censoring.given)))
        row_weights(sample_weight, task.count("train"))
        accelerator_for(recipe)  # refuse a device or precision before anything is trained
        for expert in settings.chosen:
            load_backend(expert.model).check_installed()
        if task.schema.media:
            of_media = {kind: modality_named(kind).checked(params[kind]) for kind in kinds() if kind in params}
            check_files(task, of_media)
            return MediaStackFitting(task, recipe, settings.for_media(), of_media)
        return StackFitting(task, recipe, settings)

    def load(self, folder: Path, description: Mapping[str, Any]) -> StackedModel:
        """Read a saved stack."""
        return StackedModel.load(folder, description)

    def load_inputs(self, folder: Path, saved: Mapping[str, Any] | None, model: Predictor) -> Inputs:  # noqa: ARG002
        """Return the inputs that were loaded with the models."""
        if not isinstance(model, StackedModel):
            raise TypeError(f"a stack was expected, got {type(model).__name__}")
        return model.inputs

    def check_installed(self) -> None:
        """Nothing to check before the experts are known."""

    def silence(self) -> None:
        """Nothing to silence: each expert is silenced where it is trained."""


def _check_likelihood(settings: StackSettings, limit: str) -> None:
    """Raise unless one of the experts has a likelihood of censored labels."""
    if not any(compose(expert.method).gives(CENSORED_METHOD) for expert in settings.chosen):
        raise InputError(
            f"`{limit}` needs an expert with a likelihood of censored labels; add 'mixture network' to the experts of "
            "the stack"
        )


def _without_media(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not those of encoders of images, texts and signals."""
    return {name: value for name, value in params.items() if name not in kinds()}


BACKEND: Backend = StackBackend()
