"""Checkpoints: tensors in safetensors, everything else in JSON, replaced as a whole."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tailwise._checks import InputError
from tailwise._files import naming


def save_checkpoint(folder: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Write a checkpoint beside the old one, then put it in its place.

    Raises:
        OSError: a checkpoint that cannot be written; the one before is as it was.
    """
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():  # a process ended between the two renames
        old.rename(folder)
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        with naming(fresh):
            fresh.mkdir(parents=True)
            save_file(
                {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()},
                fresh / "state.safetensors",
            )
            (fresh / "state.json").write_text(json.dumps(numbers), encoding="utf-8")
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint, be it the one before an interrupted replacement."""
    return folder.exists() or folder.with_name(folder.name + ".old").exists()


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        InputError: no complete checkpoint there.
    """
    if not folder.exists() and folder.with_name(folder.name + ".old").exists():
        folder = folder.with_name(folder.name + ".old")
    try:
        return load_file(folder / "state.safetensors"), json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(f"no checkpoint to resume from in {str(folder)!r}; start without `resume`") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as flat names: ``0.exp_avg`` is the first moment of parameter 0."""
    return {
        f"{index}.{name}": value
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser the state that :func:`optimizer_tensors` took."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        # A fused step walks through memory: moments must lie there as their parameter does, which may be channels last.
        like = torch.empty_like(parameter, dtype=value.dtype) if value.shape == parameter.shape else None
        state.setdefault(int(index), {})[key] = value if like is None else like.copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
