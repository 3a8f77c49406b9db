"""The folder of a fitted model: written, and read without running anything in it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailwise._checks import InputError
from tailwise._stored import check_stored, read_stored
from tailwise.backends.names import BACKENDS, load_backend
from tailwise.backends.transformed import TransformedPredictor, WayBack
from tailwise.calibration.corrections import Correction
from tailwise.calibration.intervals import RegionIntervals
from tailwise.data.columns import Schema
from tailwise.data.damaged import DAMAGED
from tailwise.data.preprocessing import levels_of
from tailwise.data.seen import Seen
from tailwise.distributions.atoms import atoms_from_json
from tailwise.distributions.conditional import ConditionalDensity
from tailwise.distributions.decisions import Dial
from tailwise.distributions.outputs_dial import AnyDial, OutputsDial
from tailwise.distributions.vector_dial import VectorDial
from tailwise.experiment.held_out import HeldOut
from tailwise.experiment.leaderboard import Leaderboard
from tailwise.experiment.model_shape import FORMAT_ONLY, MODEL
from tailwise.labels.censoring import Censoring
from tailwise.labels.relevance import Relevance
from tailwise.labels.shots import Shots

if TYPE_CHECKING:
    from tailwise.experiment.model import FittedModel

_FORMAT = 2
_DESCRIPTION = "model.json"


def save_model(model: "FittedModel", folder: Path) -> None:
    """Write a model into a folder that exists."""
    description = {
        "format": _FORMAT,
        "inputs": model.inputs.save(folder),
        "model": model.model.save(folder),
        **({} if model.back is None else {"back": model.back.to_json()}),
        **({} if model.censoring is None else {"censored": model.censoring.to_json()}),
        "target": model.schema.to_json()["target"],
        "schema": model.schema.to_json(),
        "shots": model.shots.to_json(),
        "relevance": None if model.relevance is None else model.relevance.to_json(),
        "correction": None if model.correction is None else model.correction.to_json(),
        "intervals": None if model.intervals is None else model.intervals.to_json(),
        "dial": None if model.dial is None else model.dial.to_json(),
        "conditional": None if model.conditional is None else model.conditional.to_json(),
        "balance": model.balance,
        "reweighted": model.reweighted,
        "leaderboard": None if model.leaderboard is None else model.leaderboard.to_json(),
        "atoms": None if model.atoms is None else model.atoms.to_json(),
        "held_out": None if model.held_out is None else model.held_out.save(folder),
    }
    (folder / _DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")


def fields_of(folder: Path) -> dict[str, Any]:
    """Return the fields of the model in a folder; nothing in it is executed.

    Raises:
        InputError: files that are missing or cannot be read.
    """
    description = read_stored(folder / _DESCRIPTION, FORMAT_ONLY)
    if str(description["format"]).startswith("tailwise-maps"):
        raise InputError(f"{str(folder)!r} holds a model of maps, which only predict and evaluate take")
    if description["format"] != _FORMAT:
        raise InputError(
            f"{str(folder)!r} has model format {description['format']}, this version reads {_FORMAT}; "
            "use the version that wrote it"
        )
    check_stored(description, MODEL, folder / _DESCRIPTION)
    kind = description["model"]["kind"]
    if kind not in BACKENDS:
        raise InputError(f"{str(folder)!r} holds a model of kind {kind!r}, which this version does not have")
    backend = load_backend(kind)
    backend.check_installed()
    try:
        model = backend.load(folder, description["model"])
        inputs = backend.load_inputs(folder, description.get("inputs"), model)
        back = None if description.get("back") is None else WayBack.from_json(description["back"])
        transform = None if back is None else back.transform
        relevance, correction, intervals = (description[k] for k in ("relevance", "correction", "intervals"))
        optional = ("dial", "conditional", "atoms", "held_out")  # none in models before these
        dial, conditional, saved_atoms, held_out = (description.get(name) for name in optional)
        leaderboard, censored = description.get("leaderboard"), description.get("censored")
        atoms = None if saved_atoms is None else atoms_from_json(saved_atoms)
        schema = Schema.from_json(description["schema"])
        return {
            "schema": schema if schema.seen else replace(schema, seen=_levels(inputs)),
            "inputs": inputs,
            "model": model if back is None else TransformedPredictor(model, back),
            "shots": Shots.from_json(description["shots"]),
            "relevance": None if relevance is None else Relevance.from_json(relevance),
            "correction": None if correction is None else Correction.from_json(correction),
            "intervals": None if intervals is None else RegionIntervals.from_json(intervals),
            "dial": None if dial is None else _load_dial(dial),
            "conditional": None if conditional is None else ConditionalDensity.from_json(conditional),
            "balance": float(description.get("balance", 0.0)),
            "reweighted": bool(description.get("reweighted", False)),
            "leaderboard": None if leaderboard is None else Leaderboard.from_json(leaderboard),
            "atoms": atoms,
            "held_out": None if held_out is None else HeldOut.load(folder, held_out, atoms, transform),
            "censoring": None if censored is None else Censoring.from_json(censored),
        }
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{str(folder)!r} is not a complete model folder: {reason}") from error


def _load_dial(saved: dict[str, Any]) -> AnyDial:
    """Return a saved dial; that of many targets has several densities, that of a few a lowest label for each."""
    if "densities" in saved:
        return OutputsDial.from_json(saved)
    return VectorDial.from_json(saved) if isinstance(saved["density"]["low"], list) else Dial.from_json(saved)


def _levels(inputs: Any) -> dict[str, Seen]:
    """Return the categories that the inputs of a model of an earlier version know, by column."""
    seen: dict[str, Seen] = {}
    for part in getattr(inputs, "parts", (inputs,)):
        preprocessor = getattr(part, "preprocessor", None)
        for name, levels in ({} if preprocessor is None else levels_of(preprocessor)).items():
            before = seen[name].levels if name in seen else ()
            seen[name] = Seen(levels=tuple(sorted({*(before or ()), *(levels.levels or ())})))
    return seen
