"""The network: its training on a table, its outputs, and its saved weights."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tailwise._checks import InputError, row_weights
from tailwise.backends.network_rows import ROWS_AT_ONCE, NetworkRows, table_rows
from tailwise.backends.protocol import Backend, Between, Inputs, Outputs, Predictor
from tailwise.data.task import Task
from tailwise.distributed import gather_objects, piece
from tailwise.distributions.pooling import concatenate
from tailwise.heads.attach import attach_head, shape_from_json, shape_to_json
from tailwise.heads.point import Regressor
from tailwise.labels.output_bins import OutputBins
from tailwise.methods.build import Method
from tailwise.methods.catalog import CATALOG
from tailwise.methods.objective import needs_by_output
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.encoders import encoder_from
from tailwise.modalities.media_inputs import MediaInputs
from tailwise.modalities.media_setup import MediaSetup, check_kinds, media_setup
from tailwise.modalities.saved_inputs import load_inputs
from tailwise.modalities.table import EmbeddedMLP, TabM
from tailwise.modalities.table_inputs import TableInputs
from tailwise.training.epoch import Epoch
from tailwise.training.loop import Training, accelerator_for, seed_everything
from tailwise.training.one_thread import one_thread
from tailwise.training.recipe import Recipe
from tailwise.training.streamed_batches import StreamedBatches

NetworkInputs = NDArray[np.float32] | Mapping[str, NDArray[Any]]
MEDIA_AT_ONCE = 256
_WEIGHTS = "model.safetensors"
_SMALL = 1_000_000  # weights of a network that one thread trains


def is_small(encoder: nn.Module, model: nn.Module) -> bool:
    """Return whether a network of a table is so small that several threads gain little."""
    return isinstance(encoder, EmbeddedMLP) and _n_weights(model) < _SMALL


class Network:
    """A network of rows: of a table's numbers, or of several inputs by name.

    Args:
        model: encoder and head.
        encoder: the encoder's description, see :func:`tailwise.modalities.table.new_encoder`.
        unit: ``(K,)`` what the labels of each of many targets were divided by, target units.
    """

    def __init__(self, model: Regressor, encoder: dict[str, Any], unit: NDArray[np.float64] | None = None) -> None:
        self.model, self.encoder, self.unit = model, encoder, unit

    def outputs(self, x: NetworkInputs, *, features: bool = False, predictive: bool = False) -> Outputs:
        """Predictions, standard deviations, features and distributions from one pass."""
        self.model.eval()
        head, pred, std, encoded = self.model.head, [], [], []
        distributions: list[Any] = []
        with torch.inference_mode(), self._threads():
            for chunk in _chunks(x, _device(self.model)):
                z = self.model.encode(chunk)
                outputs = head.outputs(z)
                pred.append(_double(head.point(outputs)))
                spread = head.std(outputs)
                if spread is not None:
                    std.append(_double(spread))
                if features:
                    encoded.append(_double(z))
                distribution = head.predictive(outputs) if predictive else None
                if distribution is not None:
                    distributions.append(distribution)
        unit = 1.0 if self.unit is None else self.unit
        joint: Any = concatenate(distributions) if distributions else None
        return Outputs(
            np.concatenate(pred) * unit,
            np.concatenate(std) * unit if std else None,
            np.concatenate(encoded) if features else None,
            joint if joint is None or self.unit is None else joint.affine(0.0, self.unit),
        )

    def predict(self, x: NetworkInputs) -> NDArray[np.float64]:
        """``(n,)`` predictions, target units; ``(n, K)`` of K targets."""
        self.model.eval()
        with self._threads():
            return predictions(self.model, x) * (1.0 if self.unit is None else self.unit)

    def _threads(self) -> AbstractContextManager[None]:
        """Return a context in which a small network has the one thread of a CPU that it was trained on."""
        small = is_small(self.model.encoder, self.model) and _device(self.model).type == "cpu"
        return one_thread() if small else nullcontext()

    def cpu(self) -> None:
        """Move the weights to the CPU."""
        self.model.cpu()

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights into a folder; return a description of encoder and head."""
        state = {name: value.detach().cpu().contiguous().clone() for name, value in self.model.state_dict().items()}
        unit = {} if self.unit is None else {"unit": self.unit.tolist()}
        save_file(state, folder / _WEIGHTS)  # clones, for weights that are one tensor under two names
        return {"kind": "network", "encoder": self.encoder, **shape_to_json(self.model.head.shape), **unit}

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        encoder: Any = encoder_from(description["encoder"])
        model = Regressor(encoder, encoder.n_features)
        attach_head(model, shape_from_json(description))
        model.load_state_dict(load_file(folder / _WEIGHTS))
        unit = description.get("unit")
        return cls(model, description["encoder"], None if unit is None else np.asarray(unit, dtype=np.float64))


@dataclass(frozen=True)
class NetworkFitting:
    """A training of a network in progress."""

    training: Training
    predictor: Network
    inputs: TableInputs | MediaInputs
    recipe: Recipe
    resumable: bool = True
    out_of_fold: None = None

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return str(self.predictor.encoder["encoder"])

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch."""
        return self.training.epochs()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything needed to go on after the last epoch: tensors, and numbers."""
        return self.training.state()

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave, bit for bit.

        Raises:
            InputError: the state of another method or model.
        """
        self.training.restore(tensors, numbers)


class NetworkBackend:
    """A network on tables and media, trained by any method."""

    name = "network"
    losses = tuple(name for name, entry in CATALOG.items() if entry.slot == "loss")
    dtype = np.float32
    varied: Mapping[str, Between] = {"dropout": Between(0.0, 0.5)}

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of the encoder; it checks them when it is made."""
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
    ) -> NetworkFitting:
        """Set up a training; rows with a ``sample_weight`` are drawn in proportion to it."""
        accelerator = accelerator_for(recipe)  # from here on processes know of each other
        params = self.parameters(params)
        check_kinds(params, task.schema)
        _check_targets(method, len(task.schema.targets))
        if getattr(task.shots.bins, "weights", None) is not None:
            _check_weighted(method)
        n_train, n_val = (int((task.part == part).sum()) for part in ("train", "val"))
        of_process = np.arange(n_val)[piece(n_val)]
        rows: NetworkRows | MediaSetup
        if task.schema.media:
            if method.resampler is not None:
                raise InputError("resampling is for tables alone")
            seed_everything(recipe.seed, 0, -2)
            size = recipe.batch_size_for(n_train)
            rows = media_setup(
                task,
                of_process,
                encoder=encoder,
                params=params,
                batch_size=size,
                device=accelerator.device,
                sample_weight=row_weights(sample_weight, n_train),
            )
        else:
            rows = table_rows(
                task, method, recipe, of_process, encoder=encoder, params=params, sample_weight=sample_weight
            )
            method = replace(method, resampler=None)
        return _fitting(task, method, recipe, rows)

    def load(self, folder: Path, description: Mapping[str, Any]) -> Network:
        """Read a saved network."""
        return Network.load(folder, description)

    def load_inputs(self, folder: Path, saved: Mapping[str, Any] | None, model: Predictor) -> Inputs:  # noqa: ARG002
        """Read saved inputs."""
        return load_inputs(folder, saved, self.dtype)

    def check_installed(self) -> None:
        """Nothing to check: torch is no extra."""

    def silence(self) -> None:
        """Nothing to silence."""


BACKEND: Backend = NetworkBackend()


def _fitting(task: Task, method: Method, recipe: Recipe, rows: NetworkRows | MediaSetup) -> NetworkFitting:
    (_, y_val), weight_val = task.rows_of("val"), task.weight_of("val")
    bins = task.shots.bins
    unit = bins.spread if isinstance(bins, OutputBins) else None
    y_train = rows.y_train if unit is None else rows.y_train / unit
    if unit is not None and isinstance(rows.batches, StreamedBatches):
        rows.batches.y = rows.batches.y / unit
    elif unit is not None:
        rows.batches.y = rows.batches.y / torch.from_numpy(unit).float()
    model = network_of(rows.network, y_val.shape[1] if y_val.ndim > 1 else None)
    x_val: Iterable[NetworkInputs] = rows.validation

    def validate(current: nn.Module) -> Mapping[str, float]:
        pred = np.concatenate([y_val[:0], *(predictions(current, x) for x in x_val)])
        pred = np.concatenate(gather_objects(pred)) * (1.0 if unit is None else unit)
        if not np.isfinite(pred).all():
            raise InputError("predictions are not finite; use a smaller `lr`")
        return task.errors(y_val, pred, weight_val)

    training = Training(
        method,
        model,
        rows.batches,
        y_train,
        bins=bins.scaled() if isinstance(bins, OutputBins) else bins,
        validate=validate,
        recipe=recipe,
        is_small=is_small(rows.network, model),
    )
    return NetworkFitting(training, Network(model, rows.description, unit), rows.inputs, recipe)


def _n_weights(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _check_targets(method: Method, k: int) -> None:
    """Raise if the method resamples rows or corrects predictions, and there are several targets."""
    for part, does in ((method.resampler, "resamples rows"), (method.correction, "corrects predictions")):
        if part is not None and k > 1:
            name = type(part).__name__
            raise InputError(f"{method.name!r} {does} by one target, and there are {k}; leave {name} out")


def _check_weighted(method: Method) -> None:
    """Raise if any stage has a loss that is no mean over the targets: a later one before the first is trained."""
    for filling in (filling for stage in method.stages for filling in stage.fillings):
        if filling.part.slot in ("loss", "objective") and not getattr(filling.part.make, "by_output", False):
            raise InputError(needs_by_output("weights by `target_weight`", repr(filling.name)))


def network_of(encoder: Any, n_outputs: int | None = None) -> Regressor:
    """Return a regressor with the head that its encoder needs, of one target or of ``n_outputs``.

    Raises:
        InputError: several targets with an encoder of an ensemble.
    """
    model = Regressor(encoder, encoder.n_features, n_outputs)
    if isinstance(encoder, TabM):
        if n_outputs is not None:
            raise InputError(f"TabM predicts one target, and there are {n_outputs}; use the encoder mlp or mlp-ple")
        attach_head(model, {"kind": "ensemble", "members": encoder.members})
    return model


def predictions(model: nn.Module, x: NetworkInputs) -> NDArray[np.float64]:
    """Predictions of a model in evaluation mode, many rows at once, target units."""
    with torch.inference_mode():
        return np.concatenate([_double(model(chunk)) for chunk in _chunks(x, _device(model))])


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _double(values: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.double().cpu().numpy()
    return array


def _chunks(x: NetworkInputs, device: torch.device) -> Iterator[Any]:
    if not isinstance(x, Mapping):
        yield from (chunk.to(device) for chunk in torch.split(torch.from_numpy(x), ROWS_AT_ONCE))
        return
    n = len(next(iter(x.values())))
    for start in range(0, max(n, 1), MEDIA_AT_ONCE):
        yield {k: torch.from_numpy(values[start : start + MEDIA_AT_ONCE]).to(device) for k, values in x.items()}
