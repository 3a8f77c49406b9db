"""Train a method on a table whose columns are images, texts or signals."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import skops.io
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tailwise._checks import InputError, did_you_mean, true_or_false
from tailwise.backends.names import AUTO, MEDIA, encoder_for
from tailwise.data.cell_paths import with_full_paths
from tailwise.data.columns import Medium, Schema
from tailwise.data.preprocessing import categories_of, fit_preprocessor, transform, transform_features
from tailwise.data.rows import Rows
from tailwise.data.task import Task
from tailwise.distributed import world
from tailwise.modalities.encoders import TABLE, MediaEncoder
from tailwise.modalities.image_files import ImageReader, check_images
from tailwise.modalities.signal_files import SignalReader, check_signals
from tailwise.modalities.table import new_encoder
from tailwise.training.media_batches import MediaBatches, OnDisk

_IN_MEMORY = 2**31
_SMALL = 64
_PIECE = 1_024
_TABLE_FILE, _TRUSTED = "preprocess.skops", ["numpy.dtype"]
_KNOWN = {
    "image": ("encoder", "size", "mode", "in_memory", "crop", "flip", "colour", "erase", "width", "lr_factor"),
    "signal": ("length", "width", "blocks", "kernel", "noise"),
    "text": (
        *("encoder", "frozen", "length", "pair", "cache", "vectors", "words", "lr_factor"),
        *("widths", "dropout", "input_dropout", "units", "width"),
    ),
}


class Reader(Protocol):
    """From rows to what an encoder takes."""

    def read(self, frame: pd.DataFrame, /) -> NDArray[Any]:
        """``(n, ...)`` inputs."""

    def save(self, folder: Path, /) -> dict[str, Any]:
        """Write what is needed into a folder, and say what it is."""


@dataclass(frozen=True)
class MediaInputs:
    """From rows to the inputs of a network: what readers read, and the ordinary columns.

    Args:
        readers: by input.
        preprocessor: of the ordinary columns, if there are any.
    """

    readers: Mapping[str, Reader]
    preprocessor: ColumnTransformer | None

    def inputs(self, schema: Schema, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
        """Inputs of rows by name, each ``(n, ...)``."""
        x = {name: reader.read(frame) for name, reader in self.readers.items()}
        return x if self.preprocessor is None else x | {TABLE: transform(self.preprocessor, schema, frame)}

    def pieces(self, schema: Schema, rows: Rows) -> Iterator[dict[str, NDArray[Any]]]:
        """Inputs of at most 1,024 rows at a time, in order; relative paths start at the current folder."""
        rows = with_full_paths(rows, schema, Path())
        return (self.inputs(schema, frame) for frame in rows.pieces(_PIECE))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write readers and preprocessing into a folder, and say what they are."""
        if self.preprocessor is not None:
            skops.io.dump(self.preprocessor, folder / _TABLE_FILE)
        saved = {}
        for name, reader in self.readers.items():
            (folder / name).mkdir()
            saved[name] = reader.save(folder / name)
            if not any((folder / name).iterdir()):
                (folder / name).rmdir()
        return {"readers": saved, "table": self.preprocessor is not None}

    @classmethod
    def load(cls, folder: Path, saved: Mapping[str, Any]) -> "MediaInputs":
        """Read what :meth:`save` wrote; nothing in it is executed."""
        preprocessor = skops.io.load(folder / _TABLE_FILE, trusted=_TRUSTED) if saved["table"] else None
        return cls({name: _reader(folder / name, one) for name, one in saved["readers"].items()}, preprocessor)


@dataclass(frozen=True)
class MediaSetup:
    """What a table of media is trained with.

    Args:
        inputs: from rows to inputs.
        network: encoder of the inputs.
        description: of the encoder, from which another is made.
        batches: training rows.
        y_train: ``(n,)`` their targets.
        validation: inputs of the validation rows, piece by piece, anew each time.
    """

    inputs: MediaInputs
    network: MediaEncoder
    description: dict[str, Any]
    batches: MediaBatches
    y_train: NDArray[np.float64]
    validation: "_Validation"


def media_setup(
    table: Task,
    validation: NDArray[np.int64],
    *,
    encoder: str,
    params: Mapping[str, Any],
    batch_size: int,
    device: torch.device | str = "cpu",
) -> MediaSetup:
    """Readers, encoders and batches for a table of media.

    Args:
        table: a prepared table.
        validation: positions of the validation rows this process predicts, among those of all.
        encoder: of the ordinary columns.
        params: of the table's encoder, and by kind of medium: ``{"image": {"encoder": "resnet18"}}``.
        batch_size: most rows of a batch.
        device: where a frozen encoder of texts embeds them.

    Raises:
        InputError: files that cannot be used, encoders that cannot be had, parameters that do not exist.
    """
    checked = {medium.kind: _checked(medium.kind, params.get(medium.kind, {})) for medium in table.schema.media}
    of_table = {name: value for name, value in params.items() if name not in MEDIA}
    if of_table and not table.schema.columns:
        raise InputError(f"the table has no ordinary columns, so its encoder takes no parameters: {sorted(of_table)}")
    rows, y_train = table.rows_of("train")
    frame = rows.frame()
    _check_files(table)
    readers: dict[str, Any] = {}
    encoders: dict[str, nn.Module] = {}
    described: dict[str, dict[str, Any]] = {}
    on_disk = set()
    for i, medium in enumerate(table.schema.media):
        name = f"{medium.kind}{i}"
        own = dict(checked[medium.kind])
        keep = own.pop("in_memory", None)
        readers[name], encoders[name], described[name] = _of_medium(medium, frame, own)
        if isinstance(readers[name], ImageReader):
            fits = (len(table.y)) * readers[name].bytes_each <= _IN_MEMORY
            if not (fits if keep is None else keep):
                on_disk.add(name)
        if isinstance(getattr(readers[name], "backbone", None), nn.Module):
            readers[name].backbone.to(device)
    preprocessor = None
    x: dict[str, Tensor | OnDisk] = {}
    for name, reader in readers.items():
        if name in on_disk:
            x[name] = OnDisk([str(path) for path in frame[reader.column]], reader.decode)
        else:
            x[name] = values = torch.from_numpy(reader.read(frame))
            if hasattr(encoders[name], "match_inputs"):
                encoders[name].match_inputs(values)  # type: ignore[operator]
    if table.schema.columns:
        features = table.schema.features(frame)
        preprocessor = fit_preprocessor(features)
        x_table = transform_features(preprocessor, features)
        categories = categories_of(preprocessor)
        if encoder == AUTO:
            encoder = encoder_for(len(y_train), x_table.shape[1] - sum(categories))
        if encoder.startswith("tabm"):
            raise InputError(f"encoder {encoder} is for tables alone; beside {', '.join(MEDIA)} use mlp or mlp-ple")
        encoders[TABLE], description = new_encoder(encoder, x_table, categories, of_table)
        described[TABLE] = {"kind": TABLE, **description}
        x[TABLE] = torch.from_numpy(x_table)
    inputs = MediaInputs(readers, preprocessor)
    network = MediaEncoder(encoders)
    batches = MediaBatches(x, torch.from_numpy(y_train).float(), batch_size=batch_size)
    if len(y_train) // len(batches) // world()[1] < 2 and any(isinstance(m, _BatchNorm) for m in network.modules()):
        raise InputError("batch norm needs two rows of each batch in a process; use a larger --batch-size")
    val = table.rows_of("val")[0].select(validation).frame()
    return MediaSetup(
        inputs,
        network,
        {"encoder": "media", "inputs": described},
        batches,
        y_train,
        _Validation(inputs, table.schema, val, on_disk),
    )


def check_kinds(params: Mapping[str, Any], schema: Schema) -> None:
    """Raise if there are parameters for a kind of medium that the table does not have."""
    for kind in MEDIA:
        if kind in params and all(medium.kind != kind for medium in schema.media):
            raise InputError(f"parameters of {kind} encoders are given, but no column is one of {kind}s; use --{kind}")


def _check_files(table: Task) -> None:
    """Raise if files cannot be used, be it those of test rows: that is known before anything is trained."""
    frame = pd.concat([table.rows_of(part)[0].frame() for part in ("train", "val", "test")])
    for medium in table.schema.media:
        if medium.kind == "image":
            check_images(medium.columns[0], frame)
        elif medium.kind == "signal":
            check_signals(medium.columns[0], frame)


class _Validation:
    """Inputs of validation rows: read once, but for files that are decoded anew each time."""

    def __init__(self, inputs: MediaInputs, schema: Schema, frame: pd.DataFrame, on_disk: Collection[str]) -> None:
        here = {name: reader for name, reader in inputs.readers.items() if name not in on_disk}
        self.kept = MediaInputs(here, inputs.preprocessor).inputs(schema, frame) if len(frame) else {}
        self.on_disk, self.frame = {name: inputs.readers[name] for name in on_disk}, frame

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        for start in range(0, len(self.frame), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            read = {name: reader.read(self.frame.iloc[rows]) for name, reader in self.on_disk.items()}
            yield {name: values[rows] for name, values in self.kept.items()} | read


ROWS_AT_ONCE = 512


def _checked(kind: str, params: Any) -> dict[str, Any]:
    if not isinstance(params, Mapping):
        raise InputError(f"parameters of {kind} encoders must be a mapping such as {{'size': 64}}, got {params!r}")
    for name in params:
        if name not in _KNOWN[kind]:
            raise InputError(f"{kind} has no parameter {name!r}{did_you_mean(name, _KNOWN[kind])}")
    if params.get("in_memory") is not None:
        true_or_false(params["in_memory"], "image.in_memory")
    return dict(params)


def _of_medium(medium: Medium, frame: pd.DataFrame, own: dict[str, Any]) -> tuple[Any, nn.Module, dict[str, Any]]:
    """Reader, encoder, and the encoder's description."""
    if medium.kind == "text":
        from tailwise.modalities.text import text_encoder

        reader, encoder, description = text_encoder(str(own.pop("encoder", "bilstm")), medium.columns, frame, **own)
        return reader, encoder, {"kind": "text", **description}
    if medium.kind == "signal":
        from tailwise.modalities.signal import ResNet1d

        signals = SignalReader.fit(medium.columns[0], frame, length=own.pop("length", None))
        shape = {"channels": signals.shape[0], **own}
        return signals, ResNet1d(**shape), {"kind": "signal", **shape}
    from tailwise.modalities.image import image_encoder

    sized = {name: own.pop(name) for name in ("size", "mode") if name in own}
    images = ImageReader.fit(medium.columns[0], frame, **sized)
    name = str(own.pop("encoder", "cnn" if max(images.size) <= _SMALL else "resnet18"))
    own.setdefault("crop", max(images.size) // 16)
    encoder, description = image_encoder(name, images.shape, **own)
    return images, encoder, {"kind": "image", **description}


def _reader(folder: Path, saved: dict[str, Any]) -> Any:
    if saved["kind"] == "image":
        return ImageReader.load(folder, saved)
    if saved["kind"] == "signal":
        return SignalReader.load(folder, saved)
    from tailwise.modalities.text_tokens import TokenReader
    from tailwise.modalities.text_vectors import VectorReader
    from tailwise.modalities.text_words import WordReader

    kinds: dict[str, Any] = {"tokens": TokenReader, "words": WordReader, "vectors": VectorReader}
    return kinds[saved["kind"]].load(folder, saved)
