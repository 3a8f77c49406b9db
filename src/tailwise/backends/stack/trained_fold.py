"""One expert, trained without one fold: its out-of-fold predictions, and its model as the bytes of a model folder."""

import json
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tailwise._files import packing_folder, temporary_folder
from tailwise.backends.names import load_backend
from tailwise.backends.protocol import Fitting, Inputs, Predictor
from tailwise.backends.stack.encoded_rows import FeatureInputs
from tailwise.backends.stack.experts import Expert
from tailwise.backends.stack.hurdle_experts import seen_by
from tailwise.data.task import Task
from tailwise.methods.build import compose
from tailwise.training.one_thread import one_thread
from tailwise.training.recipe import Recipe

_DESCRIPTION = "expert.json"


@dataclass(frozen=True, eq=False)
class TrainedFold:
    """An expert trained without one fold.

    Args:
        expert: name of the expert.
        fold: the fold that was left out.
        columns: ``(m, c)`` its predictions of the rows of the fold, see :meth:`Expert.columns`.
        files: the files of its model folder by their path in it, with a description.
        seconds: duration of the training.
    """

    expert: str
    fold: int
    columns: NDArray[np.float64]
    files: dict[str, bytes]
    seconds: float

    def load(self) -> tuple[Inputs, Predictor]:
        """Return the inputs and the model; nothing in the files is executed."""
        with temporary_folder(packing_folder()) as folder:
            self.write(Path(folder))
            return load_expert(Path(folder))

    def write(self, folder: Path) -> None:
        """Write the files into a folder that exists."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    def to_tensors(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and plain values that :meth:`from_tensors` reads back exactly."""
        tensors = {
            name: torch.frombuffer(bytearray(content), dtype=torch.uint8) for name, content in self.files.items()
        }
        plain = {"expert": self.expert, "fold": self.fold, "seconds": self.seconds}
        return {"columns": torch.from_numpy(self.columns), **tensors}, plain

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor], plain: dict[str, Any]) -> Self:
        """Read the output of :meth:`to_tensors`."""
        files = {name: values.numpy().tobytes() for name, values in tensors.items() if name != "columns"}
        columns = tensors["columns"].numpy()
        return cls(str(plain["expert"]), int(plain["fold"]), columns, files, float(plain["seconds"]))


def load_expert(folder: Path) -> tuple[Inputs, Predictor]:
    """Return the inputs and the model of an expert from the folder that holds its files."""
    description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    backend = load_backend(description["model"]["kind"])
    model = backend.load(folder, description["model"])
    inputs = backend.load_inputs(folder, description["inputs"], model)
    return FeatureInputs(inputs) if description.get("on_features") else inputs, model


def train_fold(
    task: Task,
    fold: NDArray[np.int64],
    number: int,
    expert: Expert,
    recipe: Recipe,
    seconds: float | None = None,
    packing: Path | None = None,
) -> TrainedFold:
    """Train an expert on the rows of all other folds, stopping early on the fold left out, and predict that fold.

    Args:
        task: a task.
        fold: ``(n,)`` fold of each row of the task, -1 for rows that take no part.
        number: the fold to leave out.
        expert: the expert.
        recipe: of the stack.
        seconds: of training at most.
        packing: folder to pack the files of the model in; by default the system's temporary folder.
    """
    started = time.perf_counter()
    inner = without_fold(*seen_by(expert, task, fold), number)
    with one_thread():
        fitting = train_on(inner, expert, replace(expert.recipe_for(recipe, inner.count("train")), seconds=seconds))
        columns = held_out_columns(fitting, without_fold(task, fold, number), expert)
    return packed(expert.name, number, columns, fitting, started, packing)


def without_fold(task: Task, fold: NDArray[np.int64], number: int) -> Task:
    """Return the task whose validation rows are one fold, and whose training rows are all other folds.

    Where rows have a time, training rows are those before the fold alone.
    """
    is_train = fold >= 0
    if task.time is not None:
        is_train = np.isin(task.part, ["train", "val"]) & (task.time < task.time[fold == number].min())
    part = np.where(fold == number, "val", np.where(is_train, "train", "masked"))
    return replace(task, part=part, notes=[])


def train_on(inner: Task, expert: Expert, recipe: Recipe) -> Fitting:
    """Train an expert on the training rows of a task to the end, with a recipe of its own.

    Where labels are censored a mixture network has their likelihood; other experts take them for true values.
    """
    backend, method = load_backend(expert.model), compose(expert.method)
    backend.silence()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about settings of experts, which are not the user's
        fitting = backend.start(
            inner,
            method if inner.censoring is None else method.censored(inner.censoring),
            recipe,
            params=expert.params,
            encoder=expert.encoder,
            sample_weight=inner.weight_of("train"),
        )
        for _ in fitting.epochs():
            pass
    return fitting


def held_out_columns(fitting: Fitting, inner: Task, expert: Expert) -> NDArray[np.float64]:
    """Return the predictions ``(m, c)`` of the validation rows, see :meth:`Expert.columns`."""
    predictive = bool(expert.levels)
    pieces = fitting.inputs.pieces(inner.schema, inner.rows_of("val")[0])
    return np.concatenate([expert.columns(fitting.predictor.outputs(x, predictive=predictive)) for x in pieces])


def packed(
    expert: str,
    number: int,
    columns: NDArray[np.float64],
    fitting: Fitting,
    started: float,
    packing: Path | None,
    *,
    on_features: bool = False,
) -> TrainedFold:
    """Return a trained expert with its model as the bytes of a folder.

    Args:
        expert: name of the expert.
        number: the fold that was left out.
        columns: predictions of its rows.
        fitting: the training, at its end.
        started: time at which the training began.
        packing: folder to pack the files in.
        on_features: whether the model's inputs are features that the network of the fold gives.
    """
    model = fitting.predictor
    with temporary_folder(packing) as name:
        folder = Path(name)
        model.cpu()
        model_saved, inputs_saved = model.save(folder), fitting.inputs.save(folder)
        description = {"model": model_saved, "inputs": inputs_saved, "on_features": on_features}
        (folder / _DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
        files = files_below(folder)
    return TrainedFold(expert, number, columns, files, time.perf_counter() - started)


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the contents of the files in a folder and its subfolders, by their path in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
