"""Train a method on a prepared table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from torch import nn

from tailwise._checks import InputError
from tailwise.backends.network import ROWS_AT_ONCE, Inputs, Network, network_of, predictions
from tailwise.data.preprocessing import categories_of, fit_preprocessor, transform, transform_features
from tailwise.data.rows import sample_of
from tailwise.data.task import Task
from tailwise.distributed import gather_objects, piece
from tailwise.methods.method import Method
from tailwise.metrics.regions import validation_errors
from tailwise.modalities.encoder_names import AUTO, encoder_for
from tailwise.modalities.media_inputs import MediaInputs
from tailwise.modalities.media_setup import check_kinds, media_setup
from tailwise.modalities.table import new_encoder
from tailwise.training.batches import Batches
from tailwise.training.epoch import Epoch
from tailwise.training.loop import Training, accelerator_for, seed_everything
from tailwise.training.media_batches import MediaBatches
from tailwise.training.recipe import Recipe
from tailwise.training.streamed_batches import StreamedBatches, fit_streamed_preprocessor


@dataclass(frozen=True)
class TableTraining:
    """A training in progress, its network, the preprocessing it needs, and how it is trained."""

    training: Training
    predictor: Network
    preprocessor: ColumnTransformer | MediaInputs
    recipe: Recipe

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch."""
        return self.training.epochs()


def table_training(
    table: Task,
    method: Method,
    recipe: Recipe,
    encoder: str = AUTO,
    *,
    params: Mapping[str, Any] | None = None,
    sample_weight: NDArray[np.float64] | None = None,
) -> TableTraining:
    """Set up the training of a method on a table.

    Args:
        table: a prepared table.
        method: what to train.
        recipe: how.
        encoder: one of :data:`tailwise.modalities.encoder_names.ENCODERS`, or ``"auto"``, see
            :func:`tailwise.modalities.encoder_names.encoder_for`.
        sample_weight: ``(n,)`` how often each training row is drawn relative to others.
        params: parameters of the encoder, see :func:`tailwise.modalities.table.new_encoder`.

    Raises:
        InputError: parameters that do not work for this table.
    """
    accelerator = accelerator_for(recipe)  # from here on processes know of each other
    check_kinds(params or {}, table.schema)
    _check_targets(method, len(table.schema.targets))
    train, y_train = table.rows_of("train")
    val, _ = table.rows_of("val")
    own = np.arange(len(val))[piece(len(val))]
    if table.schema.media:
        if sample_weight is not None or method.resampler is not None:
            raise InputError(f"{'sample_weight is' if method.resampler is None else 'resampling is'} for tables alone")
        seed_everything(recipe.seed, 0, -2)
        size = recipe.batch_size_for(len(y_train))
        media = media_setup(
            table, own, encoder=encoder, params=params or {}, batch_size=size, device=accelerator.device
        )
        return _training(
            table,
            method,
            recipe,
            media.inputs,
            media.network,
            media.description,
            media.batches,
            y_train,
            media.validation,
        )
    val = val.select(own)

    def inputs(frame: pd.DataFrame) -> NDArray[np.float32]:
        x: NDArray[np.float32] = transform(preprocessor, table.schema, frame)
        return x

    if sample_weight is not None and not train.in_memory:
        raise InputError("sample_weight is for rows that are in memory; leave it out")
    if train.in_memory or method.resampler is not None:
        features, y_train = table.training_features()
        # Scales and categories are those of the rows as they are: resampled ones may leave out whole ranges.
        preprocessor = fit_preprocessor(features)
        features, y_train, index = method.resample(features, y_train, seed=recipe.seed)
        sample_weight = None if sample_weight is None else sample_weight[index]
        if method.resampler is not None:
            table.note_resampling(method.name, len(y_train))
            method = replace(method, resampler=None)
        x_train = transform_features(preprocessor, features)
    else:
        sample = train.select(sample_of(len(train), recipe.seed)).frame()
        preprocessor = fit_streamed_preprocessor(table.schema, train, sample)
        x_train = inputs(sample)

    seed_everything(recipe.seed, 0, -2)
    categories = categories_of(preprocessor)
    if encoder == AUTO:
        encoder = encoder_for(int((table.part == "train").sum()), x_train.shape[1] - sum(categories))
    network, description = new_encoder(encoder, x_train, categories, params)
    batch_size = recipe.batch_size_for(len(y_train))
    batches: Batches | StreamedBatches
    x_val: Iterable[Inputs]
    if train.in_memory:
        y = torch.from_numpy(y_train).float()
        drawn = None if sample_weight is None else torch.from_numpy(sample_weight)
        batches = Batches(torch.from_numpy(x_train), y, batch_size=batch_size, weight=drawn)
        x_val = [inputs(frame) for frame in val.pieces(ROWS_AT_ONCE)]
    else:
        batches = StreamedBatches(train, y_train, inputs, batch_size=batch_size)
        x_val = _Again(lambda: (inputs(frame) for frame in val.pieces(ROWS_AT_ONCE)))

    return _training(table, method, recipe, preprocessor, network, description, batches, y_train, x_val)


def _training(
    table: Task,
    method: Method,
    recipe: Recipe,
    preprocessor: ColumnTransformer | MediaInputs,
    network: nn.Module,
    description: dict[str, Any],
    batches: Batches | StreamedBatches | MediaBatches,
    y_train: NDArray[np.float64],
    x_val: Iterable[Inputs],
) -> TableTraining:
    _, y_val = table.rows_of("val")
    model = network_of(network, y_val.shape[1] if y_val.ndim > 1 else None)

    def validate(current: nn.Module) -> Mapping[str, float]:
        pred = np.concatenate([y_val[:0], *(predictions(current, x) for x in x_val)])
        return validation_errors(y_val, np.concatenate(gather_objects(pred)), table.shots)

    training = Training(method, model, batches, y_train, bins=table.shots.bins, validate=validate, recipe=recipe)
    return TableTraining(training, Network(model, description), preprocessor, recipe)


def _check_targets(method: Method, k: int) -> None:
    """Raise for what a method does before and after training, and does for one target alone."""
    for part, does in ((method.resampler, "resamples rows"), (method.correction, "corrects predictions")):
        if part is not None and k > 1:
            name = type(part).__name__
            raise InputError(f"{method.name!r} {does} by one target, and there are {k}; leave {name} out")


class _Again:
    """An iterable that starts anew each time."""

    def __init__(self, start: Callable[[], Iterator[NDArray[np.float32]]]) -> None:
        self.start = start

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self.start()
