"""Networks of ``transformers``: from a configuration, from a local folder, or by their name on the hub."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tailwise._checks import InputError

# Origin of code, machine of the network, and storage of its weights.
_LEFT_OUT = (
    "model_type",
    "transformers_version",
    "auto_map",
    "quantization_config",
    "_name_or_path",
    "dtype",
    "torch_dtype",
)
_KERNELS = ("attn_implementation", "experts_implementation")  # may name code on the hub


def require_transformers(what: str, extra: str) -> Any:
    """Return the package ``transformers``, silenced.

    Args:
        what: what needs it, for the message.
        extra: the extra of this package that installs it.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"{what} needs transformers: pip install 'tailwise[{extra}]'") from error
    from huggingface_hub.utils import logging

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it warns of each attempt to reach the hub
    return transformers


def new_backbone(config: Mapping[str, Any], *, extra: str = "image") -> nn.Module:
    """Return a network with new weights from its configuration; no code is taken from a file.

    Args:
        config: as :func:`description_of` returns it, with ``model_type``.
        extra: the extra of this package that installs ``transformers``.

    Raises:
        InputError: a configuration that ``transformers`` does not know or cannot build.
    """
    transformers = require_transformers(f"the encoder {config.get('model_type')!r}", extra)
    try:
        built = transformers.AutoConfig.for_model(str(config["model_type"]), **_kept(config))
        network: nn.Module = transformers.AutoModel.from_config(built, trust_remote_code=False, dtype=torch.float32)
    except Exception as error:  # architectures raise errors of any type
        raise InputError(f"transformers cannot build this encoder: {first_line(error)}") from error
    return network


def description_of(network: Any) -> dict[str, Any]:
    """Return the configuration from which :func:`new_backbone` makes another: plain values without its origin."""
    config: dict[str, Any] = network.config.to_dict()
    return {"model_type": config["model_type"], **_kept(config)}


def _kept(config: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in config.items() if k not in _LEFT_OUT and not k.endswith(_KERNELS)}


def pretrained_backbone(name: str, *, extra: str) -> nn.Module:
    """Return a network with its weights, read as safetensors into float32; none of its code is executed.

    Args:
        name: local folder, or name on the hub.
        extra: the extra of this package that installs ``transformers``.

    Raises:
        InputError: no such folder or name, the hub out of reach, weights that are not safetensors, or not those of
            the network.
    """
    transformers = require_transformers(f"the encoder {name!r}", extra)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
            network: nn.Module
            network, info = transformers.AutoModel.from_pretrained(
                name,
                config=type(config)(**_kept(config.to_dict())),
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:  # files, hub, JSON, safetensors and architectures raise errors of any type
        raise cannot_load(name, error) from error
    # A pooler has new weights where the network was trained without one, but then its features are not used.
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if missing:
        raise InputError(
            f"encoder {name!r} lacks {len(missing)} weights of its network, such as {missing[0]!r}; give a folder "
            "whose model.safetensors is whole"
        )
    return network


def tried(network: nn.Module, x: Tensor, what: str) -> Tensor:
    """Return the features of an example input; exclude parameters without a gradient from training.

    Args:
        network: from x to features.
        x: an input.
        what: start of the message if the network does not take the input.

    Raises:
        InputError: a network that does not take it.
    """
    training = network.training
    network.eval()
    try:
        features: Tensor = network(x)
        features.sum().backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # architectures raise errors of any type
        raise InputError(f"{what}: {first_line(error)}") from error
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    network.train(training)
    return features.detach()


def cannot_load(name: str, error: Exception) -> InputError:
    """Return the error of an encoder that cannot be loaded."""
    what = "folder" if Path(name).exists() else "name: no folder is there, and the hub does not give it"
    return InputError(
        f"encoder {name!r} cannot be loaded by that {what} ({first_line(error)}); "
        "give the folder of an encoder of transformers that holds config.json and model.safetensors"
    )


def image_scale(name: str) -> dict[str, Any]:
    """Return mean and standard deviation of the pixels of a network's pre-training, if they are stored beside it.

    Args:
        name: local folder, or name on the hub.

    Raises:
        InputError: a file that cannot be read.
    """
    from transformers.utils import cached_file

    try:
        path = cached_file(
            name,
            "preprocessor_config.json",
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        saved = {} if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise cannot_load(name, error) from error
    return {name: saved[key] for name, key in (("mean", "image_mean"), ("std", "image_std")) if key in saved}


def first_line(error: Exception) -> str:
    """Return the first line of an exception's message, or its type."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
