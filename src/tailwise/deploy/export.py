"""Export of a network with its preprocessing, as an ONNX file or a ``torch.export`` program; checked before written."""

import copy
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise._files import write_bytes
from tailwise.backends.network import Network
from tailwise.data.columns import Schema
from tailwise.data.preprocessing import CATEGORIES, NO_CATEGORY, NUMBERS
from tailwise.deploy.graph import Codes, Graph, Numbers
from tailwise.experiment.model import FittedModel
from tailwise.modalities.table_inputs import TableInputs

DESCRIPTION = "tailwise.json"  # name of the description in the file
SUFFIXES = (".onnx", ".pt2")
_ROWS, _TOLERANCE = 256, 1e-4
_FORMAT = "tailwise-export-1"
_WAY_OUT = "serve it with `tailwise serve-model`, or train one network, e.g. `method='mixture'`"


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Args:
        path: the file.
        rows: number of rows that it was compared on.
        difference: largest difference between its predictions and those of the model, target units.
    """

    path: Path
    rows: int
    difference: float


def export(model: FittedModel, path: str | Path, *, rows: pd.DataFrame | None = None) -> Exported:
    """Write the network of a model, with the preprocessing of its numbers and categories, as one file.

    Inputs are ``numbers``, ``(B, p)`` float64 with NaN where one is missing, and ``codes``, ``(B, c)`` int64; outputs
    ``prediction`` and, of heads with one, ``std``, float64. :func:`inputs_of` makes the inputs of a table. The file
    holds a description of them in JSON: a metadata property of ONNX, an extra file of ``torch.export``.

    Args:
        model: a network on numbers, dates and categories, without a correction and a balance.
        path: ends in ``.onnx`` or ``.pt2``.
        rows: to compare its predictions with those of the model on; by default rows drawn from the ranges and levels
            of the training rows, and beyond them.

    Raises:
        InputError: a model that is no such network, a missing package, predictions that differ; nothing is written.
    """
    out = Path(path)
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"a network is exported to a file that ends in .onnx or .pt2, got {str(path)!r}")
    _check(model)
    drawn = drawn_rows(model.schema)
    frame = drawn if rows is None else rows
    if not len(frame):
        raise InputError("there is no row to compare predictions on; give `rows` some, or leave it out")
    traced, inputs, graph = inputs_of(model, drawn), inputs_of(model, frame), graph_of(model)
    program = torch.export.export(graph, (), _tensors(traced), dynamic_shapes=_shapes(traced), strict=False)
    is_onnx = out.suffix.lower() == ".onnx"
    content = (_onnx if is_onnx else _program)(program, describe(model))
    outputs = (_run_onnx if is_onnx else _run_program)(content, inputs)
    known = model.predictions(frame, ignore_extra=True, quiet=True)
    expected = [known.pred] + ([known.std] if graph.with_std and known.std is not None else [])
    difference = max(float(np.abs(one - other).max()) for one, other in zip(outputs, expected, strict=True))
    if not difference <= _TOLERANCE * max(float(np.ptp(known.pred)), float(np.abs(known.pred).mean())):
        raise InputError(
            f"predictions of the exported network differ by {difference:.3g} from those of the model on {len(frame)} "
            "rows; it is not written"
        )
    write_bytes(out, content)
    return Exported(out, len(frame), difference)


def describe(model: FittedModel) -> dict[str, Any]:
    """Return the description of inputs and outputs that the file holds."""
    preprocessor = _preprocessor(model)
    categories = Codes(preprocessor).categories if CATEGORIES in preprocessor.named_transformers_ else []
    return {
        "format": _FORMAT,
        "targets": list(model.schema.targets),
        "numbers": _names(model, NUMBERS),
        "codes": dict(zip(_names(model, CATEGORIES), categories, strict=True)),
        "missing_category": NO_CATEGORY,
    }


def inputs_of(model: FittedModel, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return the inputs of an exported network for the rows of a table: ``numbers`` and ``codes``, where it has them.

    Raises:
        InputError: columns that are missing or of another type.
    """
    frame = frame.rename(columns=str)
    model.schema.check([str(name) for name in frame.columns], ignore_extra=True)
    features, described = model.schema.features(frame), describe(model)
    inputs: dict[str, NDArray[Any]] = {}
    if described["numbers"]:
        inputs["numbers"] = features[described["numbers"]].to_numpy(dtype=np.float64, copy=True)
    if described["codes"]:
        codes = [
            pd.Index(levels).get_indexer(features[name].astype(object).fillna(NO_CATEGORY).astype(str))
            for name, levels in described["codes"].items()
        ]
        inputs["codes"] = np.stack(codes, axis=1).astype(np.int64)
    return inputs


def graph_of(model: FittedModel) -> Graph:
    """Return a model's preprocessing and network as one module, on the CPU and in evaluation mode."""
    preprocessor, network, inputs = _preprocessor(model), model.model, model.inputs
    reach = inputs.reach if isinstance(inputs, TableInputs) else None
    numbers = _names(model, NUMBERS)
    regressor = copy.deepcopy(network.model).cpu() if isinstance(network, Network) else None
    shown_std = model.atoms is None  # with atoms the standard deviation is that of another distribution
    graph = Graph(
        Numbers(preprocessor, numbers, reach) if numbers else None,
        Codes(preprocessor) if _names(model, CATEGORIES) else None,
        regressor,
        model.limits,
        with_std=shown_std,
    ).eval()
    for module in graph.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            if not buffer.numel():  # it is not used, and torch.export cannot save it
                setattr(module, name, None)
    return graph


def drawn_rows(schema: Schema, n: int = _ROWS) -> pd.DataFrame:
    """Return rows with values in the ranges and levels of the training rows, beyond them, and missing ones.

    Raises:
        InputError: a schema of an earlier version, without ranges.
    """
    rng, columns = np.random.default_rng(0), dict[str, Any]()
    for column in schema.columns:
        seen = schema.seen.get(f"{column.name} (days)" if column.kind == "date" else column.name)
        if seen is None:
            raise InputError("the run does not know the ranges of its columns; give `rows`, a table to compare on")
        if column.kind == "boolean":
            columns[column.name] = rng.choice(np.array([True, False, None], dtype=object), n)
        elif column.kind == "nominal":
            columns[column.name] = rng.choice(np.array([*(seen.levels or ()), "a new level", None], dtype=object), n)
        else:
            low, high = seen.low or 0.0, seen.high or 0.0
            values = rng.uniform(low - 2 * (high - low), high + 2 * (high - low), n)
            inside = rng.random(n) < 0.8
            values[inside] = rng.uniform(low, high, int(inside.sum()))
            values[rng.random(n) < 0.1] = np.nan
            day = pd.to_timedelta(pd.Series(values).round(), unit="D")
            columns[column.name] = pd.Timestamp(0) + day if column.kind == "date" else values
    return pd.DataFrame(columns)


def _check(model: FittedModel) -> None:
    if not isinstance(model.model, Network):
        kind = type(model.model).__name__
        what = "a stack of several models" if kind == "StackedModel" else f"no network but a {kind}"
        raise InputError(f"this run is {what}, which cannot be exported; {_WAY_OUT}")
    if not isinstance(model.inputs, TableInputs):
        raise InputError(f"this run reads texts, images or signals, which cannot be exported; {_WAY_OUT}")
    if model.correction is not None:
        raise InputError("this run corrects its predictions after the network; train without the correction to export")
    if model.balance > 0:
        raise InputError(
            f"this run predicts at balance {model.balance:g}, from distributions that are computed after the network; "
            "train with `balance=0` to export"
        )


def _preprocessor(model: FittedModel) -> Any:
    return getattr(model.inputs, "preprocessor", None)


def _names(model: FittedModel, part: str) -> list[str]:
    """Return the features that a part of the preprocessor takes, in order."""
    return [str(n) for name, _, columns in _preprocessor(model).transformers_ if name == part for n in columns]


def _tensors(inputs: Mapping[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in inputs.items()}


def _shapes(inputs: Mapping[str, Any]) -> dict[str, Any]:
    rows = torch.export.Dim("rows")
    return {name: {0: rows} for name in inputs}


def _program(program: Any, described: Mapping[str, Any]) -> bytes:
    file = BytesIO()
    torch.export.save(program, file, extra_files={DESCRIPTION: json.dumps(described)})
    return file.getvalue()


def _run_program(content: bytes, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float64]]:
    loaded = torch.export.load(BytesIO(content)).module()
    with torch.inference_mode():
        return [output.numpy() for output in loaded(**_tensors(inputs))]


def _onnx(program: Any, described: Mapping[str, Any]) -> bytes:
    try:
        import onnx
        import onnxruntime  # noqa: F401  the check needs it
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise InputError(
            "an ONNX file needs onnx, onnxscript and onnxruntime: pip install 'tailwise[export]'"
        ) from error
    names = ["prediction", "std"][: len(program.graph_signature.user_outputs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        exported: Any = torch.onnx.export(program, dynamo=True, output_names=names, verbose=False)
    proto = exported.model_proto
    onnx.helper.set_model_props(proto, {DESCRIPTION: json.dumps(described)})
    content: bytes = proto.SerializeToString()
    return content


def _run_onnx(content: bytes, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float64]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[np.float64]] = session.run(None, dict(inputs))
    return outputs
