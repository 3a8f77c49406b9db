"""Rules of composition beyond the grammar: a caller's own pieces, parameters, and corrections made twice."""

import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from torch import nn

from tailwise._checks import InputError, did_you_mean
from tailwise._part import Part
from tailwise.losses.loss import as_loss
from tailwise.methods.catalog import CATALOG
from tailwise.methods.filling import Filling
from tailwise.methods.slots import Smoother


def check_objects(objects: Mapping[str, Any], names: Sequence[str]) -> None:
    """Check that a caller's own pieces are modules, under names of their own.

    Args:
        objects: pieces by slot.
        names: parts of the method.

    Raises:
        InputError: a piece that breaks one of these rules.
    """
    regularizers = objects.get("regularizers", {})
    pieces = {slot: piece for slot, piece in objects.items() if slot not in ("regularizers", "coefs")}
    density = next((name for name in names if CATALOG[name].slot == "density"), None)
    if "weights" in objects and density:
        raise InputError(f"weights= is given, so {density!r} would give a density that nothing uses; leave one out")
    if "smoother" in objects and not isinstance(objects["smoother"], Smoother):
        raise InputError(f"smoother needs end_epoch(), called once an epoch, got {objects['smoother']!r}")
    for slot, piece in {**pieces, **regularizers}.items():
        if not isinstance(piece, nn.Module):
            hint = "; make an object of it, e.g. L1()" if isinstance(piece, type) else ""
            raise InputError(f"{slot} must be a torch module, got {piece!r}{hint}")
    for name in regularizers:
        if name in names:
            raise InputError(f"regularizers names {name!r}, which is a part of the method; choose another name")
    for name in objects.get("coefs", {}):
        if name not in regularizers:
            raise InputError(f"coefs names {name!r}, which is not one of the regularizers given; for a part use coef")


def checked_params(part: Part, params: Any) -> dict[str, Any]:
    """Return the parameters of a part if each of them exists.

    Raises:
        InputError: an unknown parameter, one that the part's name stands for, one that is too large.
    """
    if not isinstance(params, Mapping):
        raise InputError(f"parameters of {part.name!r} must be a mapping such as {{'window': 2.0}}, got {params!r}")
    known = part.parameters()
    for key, value in params.items():
        if key not in known:
            if key in part.fixed:
                raise InputError(f"{part.name!r} stands for {key}={part.fixed[key]}; use 'reweight' to choose it")
            hint = did_you_mean(key, known) if known else f"; {part.name} takes none"
            raise InputError(f"{part.name!r} has no parameter {key!r}{hint}")
        most = part.most.get(key)
        if most is not None and isinstance(value, Real) and params[key] > most:
            raise InputError(f"{part.name}: {key} must be at most {most:g}, got {value!r}")
    return dict(params)


def has_balanced_loss(objects: Mapping[str, Any]) -> bool:
    """Whether a caller's own loss corrects for the label distribution itself."""
    return "loss" in objects and as_loss(objects["loss"]).balances


def warn_of_two_corrections(fillings: Sequence[Filling], objects: Mapping[str, Any], names: Sequence[str]) -> None:
    """Warn of several corrections for the label distribution, by the names in the method string.

    Args:
        fillings: parts of the method, with implied ones.
        objects: a caller's own pieces by slot.
        names: parts in the method string.

    Warns:
        UserWarning: more than one correction.
    """
    corrections = ["weights="] if "weights" in objects else []
    for filling in fillings:
        if filling.part.corrects:
            # Implicit weights are named by the part that implies them: a density, or one that re-weights the loss.
            implying = (name for name in names if CATALOG[name].slot in ("density", "optimizer", "stage"))
            corrections.append(repr(filling.name if filling.name in names else next(implying)))
    if has_balanced_loss(objects):
        corrections.append("loss=")
    if len(corrections) > 1:
        *others, last = corrections
        times, out = f"{len(corrections)} times", "all but one"
        if len(corrections) == 2:
            times, out = "twice", " or ".join(corrections)
        warnings.warn(
            f"{', '.join(others)} and {last} each correct for the label distribution, so together they "
            f"correct {times}; leave out {out}",
            UserWarning,
            stacklevel=3,
        )
