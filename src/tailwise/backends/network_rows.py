"""Rows of a table for a network: inputs, encoder, batches of training rows, validation rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tailwise._checks import InputError, row_weights
from tailwise.data.preprocessing import categories_of, transform_features
from tailwise.data.reach import Reach
from tailwise.data.rows import Rows, sample_of
from tailwise.data.task import Task
from tailwise.methods.build import Method
from tailwise.modalities.encoder_names import AUTO, encoder_for
from tailwise.modalities.table import new_encoder
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.batches import Batches
from tailwise.training.loop import seed_everything
from tailwise.training.recipe import Recipe
from tailwise.training.streamed_batches import StreamedBatches, fit_streamed_preprocessor

ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class NetworkRows:
    """Rows of a table that a network is trained and validated on.

    Args:
        inputs: conversion of rows to inputs.
        network: encoder of the inputs.
        description: of the encoder, from which another is made.
        batches: training rows.
        y_train: ``(n,)`` their targets, ``(n, K)`` of K targets.
        validation: inputs of the validation rows of this process, piece by piece, anew each time.
    """

    inputs: TableInputs
    network: nn.Module
    description: dict[str, Any]
    batches: Batches | StreamedBatches
    y_train: NDArray[np.float64]
    validation: Iterable[NDArray[np.float32]]


def table_rows(
    task: Task,
    method: Method,
    recipe: Recipe,
    validation: NDArray[np.int64],
    *,
    encoder: str,
    params: Mapping[str, Any],
    sample_weight: NDArray[np.float64] | None = None,
) -> NetworkRows:
    """Convert and resample the rows of a table, and make an encoder for them.

    Args:
        task: a prepared table, in memory or not.
        method: its resampler, if any, makes the training rows.
        recipe: batch size and seed.
        validation: positions of the validation rows this process predicts, among those of all.
        encoder: one of :data:`tailwise.modalities.encoder_names.ENCODERS`, or ``"auto"``.
        params: parameters of the encoder, see :func:`tailwise.modalities.table.new_encoder`.
        sample_weight: ``(n,)`` how often each training row is drawn relative to others.

    Raises:
        InputError: weights or resampling of rows that are not in memory, parameters that do not work.
    """
    val = task.rows_of("val")[0].select(validation)
    train: Rows | None = None  # those that are not in memory
    if sample_weight is not None and not task.rows.in_memory:
        raise InputError("sample_weight is for rows that are in memory; leave it out")
    if task.rows.in_memory or method.resampler is not None:
        features, y_train = task.training_features()
        sample_weight = row_weights(sample_weight, len(y_train))
        # Scales and categories are those of the rows as they are: resampled ones may leave out whole ranges.
        inputs = TableInputs.fit(features, clamped=True)
        features, y_train, origin = method.resample(features, y_train, seed=recipe.seed)
        sample_weight = None if sample_weight is None else sample_weight[origin]
        if method.resampler is not None:
            task.note_resampling(method.name, len(y_train))
        x_train = transform_features(inputs.preprocessor, features)
    else:
        train, y_train = task.rows_of("train")
        sample = train.select(sample_of(len(train), recipe.seed)).frame()
        preprocessor = fit_streamed_preprocessor(task.schema, train, sample)
        inputs = TableInputs(preprocessor, reach=Reach.of(task.schema.features(sample)))
        x_train = inputs.of_frame(task.schema, sample)

    seed_everything(recipe.seed, 0, -2)
    categories = categories_of(inputs.preprocessor)
    if encoder == AUTO:
        encoder = encoder_for(int((task.part == "train").sum()), x_train.shape[1] - sum(categories))
    network, description = new_encoder(encoder, x_train, categories, params)
    batch_size = recipe.batch_size_for(len(y_train))
    pieces = partial(inputs.pieces, task.schema, val, size=ROWS_AT_ONCE)
    if train is not None:
        streamed = StreamedBatches(train, y_train, partial(inputs.of_frame, task.schema), batch_size=batch_size)
        return NetworkRows(inputs, network, description, streamed, y_train, _Anew(pieces))
    batches = Batches(
        torch.from_numpy(x_train),
        torch.from_numpy(y_train).float(),
        batch_size=batch_size,
        weight=None if sample_weight is None else torch.from_numpy(sample_weight),
    )
    return NetworkRows(inputs, network, description, batches, y_train, list(pieces()))


class _Anew:
    """An iterable that starts anew each time."""

    def __init__(self, start: Callable[[], Iterator[NDArray[np.float32]]]) -> None:
        self.start = start

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self.start()
