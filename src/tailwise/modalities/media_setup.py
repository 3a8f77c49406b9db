"""Readers, encoders and batches for training on a table with media."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailwise._checks import InputError
from tailwise.data.columns import Schema
from tailwise.data.preprocessing import categories_of, fit_preprocessor, transform_features
from tailwise.data.reach import Reach
from tailwise.data.task import Task
from tailwise.distributed import world
from tailwise.modalities.encoder_names import AUTO, encoder_for
from tailwise.modalities.encoders import MEDIA, MediaEncoder
from tailwise.modalities.kinds import kinds, modality_named
from tailwise.modalities.media_inputs import TABLE, MediaInputs, input_name
from tailwise.modalities.medium import FittedMedium
from tailwise.modalities.table import new_encoder
from tailwise.training.media_batches import MediaBatches, OnDisk

ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class MediaSetup:
    """Everything that a training on a table with media starts from.

    Args:
        inputs: from rows to inputs.
        network: encoder of the inputs.
        description: of the encoder, from which another is made.
        batches: training rows.
        y_train: ``(n,)`` or ``(n, K)`` their targets.
        validation: inputs of the validation rows, piece by piece; can be iterated again and again.
    """

    inputs: MediaInputs
    network: MediaEncoder
    description: dict[str, Any]
    batches: MediaBatches
    y_train: NDArray[np.float64]
    validation: "ValidationInputs"


def media_setup(
    table: Task,
    validation: NDArray[np.int64],
    *,
    encoder: str,
    params: Mapping[str, Any],
    batch_size: int,
    device: torch.device | str = "cpu",
    sample_weight: NDArray[np.float64] | None = None,
) -> MediaSetup:
    """Set up readers, encoders and batches for a table with media.

    Args:
        table: a prepared table.
        validation: positions of the validation rows that this process predicts, among all validation rows.
        encoder: of the ordinary columns.
        params: of the table's encoder, and by modality: ``{"image": {"encoder": "resnet18"}}``.
        batch_size: most rows of a batch.
        device: where a frozen encoder of texts embeds them.
        sample_weight: ``(n,)`` how often each training row is drawn relative to others.

    Raises:
        InputError: files that cannot be used, encoders that cannot be loaded, unknown parameters.
    """
    schema = table.schema
    checked = {medium.kind: modality_named(medium.kind).checked(params.get(medium.kind, {})) for medium in schema.media}
    of_table = {name: value for name, value in params.items() if name not in kinds()}
    if of_table and not schema.columns:
        raise InputError(f"the table has no ordinary columns, so its encoder takes no parameters: {sorted(of_table)}")
    rows, y_train = table.rows_of("train")
    frame = rows.frame()
    check_files(table, checked)
    fitted: dict[str, FittedMedium] = {}
    described: dict[str, dict[str, Any]] = {}
    for position, medium in enumerate(schema.media):
        name, modality = input_name(medium.kind, position), modality_named(medium.kind)
        fitted[name] = modality.fitted(medium.columns, frame, dict(checked[medium.kind]), device)
        described[name] = {"kind": medium.kind, **fitted[name].description}
    encoders = {name: medium.encoder for name, medium in fitted.items()}
    on_disk = {name for name, medium in fitted.items() if medium.stays_on_disk(len(table.y))}
    x = {name: _training_inputs(medium, frame, on_disk=name in on_disk) for name, medium in fitted.items()}
    preprocessor, reach = None, None
    if schema.columns:
        features = schema.features(frame)
        preprocessor, reach = fit_preprocessor(features), Reach.of(features)
        x_table = transform_features(preprocessor, features)
        encoders[TABLE], description = _table_encoder(encoder, x_table, preprocessor, of_table)
        described[TABLE] = {"kind": TABLE, **description}
        x[TABLE] = torch.from_numpy(x_table)
    inputs = MediaInputs({name: medium.reader for name, medium in fitted.items()}, preprocessor, reach)
    network = MediaEncoder(encoders)
    weight = None if sample_weight is None else torch.from_numpy(sample_weight)
    batches = MediaBatches(x, torch.from_numpy(y_train).float(), batch_size=batch_size, weight=weight)
    _check_batches(network, batches, len(y_train))
    held_out = table.rows_of("val")[0].select(validation).frame()
    return MediaSetup(
        inputs,
        network,
        {"encoder": MEDIA, "inputs": described},
        batches,
        y_train,
        ValidationInputs(inputs, schema, held_out, on_disk),
    )


def check_kinds(params: Mapping[str, Any], schema: Schema) -> None:
    """Raise if there are parameters of a modality that the table has no column of."""
    for kind in kinds():
        if kind in params and all(medium.kind != kind for medium in schema.media):
            plural, keyword = modality_named(kind).plural, modality_named(kind).options[0].name
            raise InputError(
                f"parameters of {kind} encoders are given, but no column is one of {plural}; use `{keyword}`"
            )


class ValidationInputs:
    """Inputs of validation rows: read once, except for files on disk, which are decoded in each iteration.

    Args:
        inputs: from rows to inputs.
        schema: columns of the table.
        frame: the validation rows.
        on_disk: inputs whose files stay on disk.
    """

    def __init__(self, inputs: MediaInputs, schema: Schema, frame: pd.DataFrame, on_disk: Collection[str]) -> None:
        in_memory = {name: reader for name, reader in inputs.readers.items() if name not in on_disk}
        self.kept = (
            MediaInputs(in_memory, inputs.preprocessor, inputs.reach).of_frame(schema, frame) if len(frame) else {}
        )
        self.on_disk, self.frame = {name: inputs.readers[name] for name in on_disk}, frame

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        for start in range(0, len(self.frame), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            decoded = {name: reader.read(self.frame.iloc[rows]) for name, reader in self.on_disk.items()}
            yield {name: values[rows] for name, values in self.kept.items()} | decoded


def check_files(table: Task, params: Mapping[str, Mapping[str, Any]]) -> None:
    """Check the files of all parts before anything is trained, and add notes on them to those of the table.

    Args:
        table: a prepared table.
        params: of readers and encoders, by modality.

    Raises:
        InputError: files that cannot be used.
    """
    parts = [table.rows_of(part)[0].frame() for part in ("train", "val", "test")]
    frame = pd.concat(parts)
    for medium in table.schema.media:
        modality = modality_named(medium.kind)
        modality.check_files(medium.columns, frame)
        table.notes.extend(
            modality.notes_on_files(medium.columns, parts[0], frame, params.get(medium.kind, {}), table.notes)
        )


def _training_inputs(medium: FittedMedium, frame: pd.DataFrame, *, on_disk: bool) -> Tensor | OnDisk:
    if on_disk and medium.files is not None:
        return OnDisk([str(path) for path in frame[medium.files.column]], medium.files.decode)
    values = torch.from_numpy(medium.reader.read(frame))
    if medium.match_inputs is not None:
        medium.match_inputs(values)
    return values


def _table_encoder(
    name: str, x: NDArray[np.float32], preprocessor: ColumnTransformer, params: Mapping[str, Any]
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the encoder of the ordinary columns, and its description."""
    categories = categories_of(preprocessor)
    if name == AUTO:
        name = encoder_for(len(x), x.shape[1] - sum(categories))
    if name.startswith("tabm"):
        raise InputError(f"encoder {name} is for tables alone; beside {', '.join(kinds())} use mlp or mlp-ple")
    return new_encoder(name, x, categories, params)


def _check_batches(network: nn.Module, batches: MediaBatches, n_rows: int) -> None:
    """Raise if batch norm would see a single row in a process."""
    if n_rows // len(batches) // world()[1] < 2 and any(isinstance(m, _BatchNorm) for m in network.modules()):
        raise InputError("batch norm needs two rows of each batch in a process; use a larger `batch_size`")
