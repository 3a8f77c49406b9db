"""Networks of ``transformers``: from a configuration, from a local folder, or by their name on the hub."""

import json
import warnings
from pathlib import Path
from typing import Any

from torch import nn

from tailwise._checks import InputError


def require_transformers(what: str, extra: str) -> Any:
    """The package, or an error that says what needs it.

    Raises:
        InputError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(f"{what} needs transformers: pip install 'tailwise[{extra}]'") from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def new_backbone(config: dict[str, Any]) -> nn.Module:
    """A network with new weights from its configuration, ``model_type`` among its values; no code is taken from a file.

    Raises:
        InputError: a configuration that ``transformers`` does not know or cannot build.
    """
    transformers = require_transformers(f"the encoder {config.get('model_type')!r}", "image")
    values = {key: value for key, value in config.items() if key not in ("model_type", "transformers_version")}
    try:
        made = transformers.AutoConfig.for_model(str(config["model_type"]), **values)
        network: nn.Module = transformers.AutoModel.from_config(made)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"transformers cannot build this encoder: {_first_line(error)}") from error
    return network


def pretrained_backbone(name: str, *, extra: str) -> nn.Module:
    """A network with its weights, read as safetensors; no code is taken from the folder or the hub.

    Args:
        name: local folder, or name on the hub.
        extra: the extra of this package that installs what is needed.

    Raises:
        InputError: no such folder or name, the hub out of reach, weights that are not safetensors.
    """
    transformers = require_transformers(f"the encoder {name!r}", extra)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = transformers.AutoModel.from_pretrained(
                name, trust_remote_code=False, use_safetensors=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise cannot_load(name, error) from error
    return network


def cannot_load(name: str, error: Exception) -> InputError:
    """Why an encoder cannot be had, and the way out."""
    what = "folder" if Path(name).exists() else "name: no folder is there, and the hub does not give it"
    return InputError(
        f"encoder {name!r} cannot be loaded by that {what} ({_first_line(error)}); "
        "give the folder of an encoder of transformers that holds config.json and model.safetensors"
    )


def image_scale(name: str) -> dict[str, Any]:
    """Mean and standard deviation of the pixels that a pretrained network was trained on, if its folder says them."""
    path = Path(name) / "preprocessor_config.json"
    if not path.is_file():
        return {}
    saved = json.loads(path.read_text(encoding="utf-8"))
    return {ours: saved[theirs] for ours, theirs in (("mean", "image_mean"), ("std", "image_std")) if theirs in saved}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
