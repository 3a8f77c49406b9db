"""Models and encoders by name, without importing anything heavy."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailwise.backends.protocol import Backend

BACKENDS: Mapping[str, str] = {
    "network": "tailwise.backends.network:BACKEND",
    "lightgbm": "tailwise.backends.lightgbm:BACKEND",
    "hist-boosting": "tailwise.backends.hist_boosting:BACKEND",
    "forest": "tailwise.backends.forest:BACKEND",
    "linear": "tailwise.backends.linear:BACKEND",
}
MODELS = tuple(BACKENDS)
NETWORK = "network"
ENCODERS: dict[str, str] = {
    "mlp": "two layers of 256",
    "mlp-ple": "piecewise-linear embeddings of numbers, embeddings of categories, two layers of 256",
    "mlp-plr": "periodic embeddings of numbers, embeddings of categories, two layers of 256",
    "tabm": "TabM: an ensemble of perceptrons that share most weights, embeddings of categories",
    "tabm-ple": "TabM with piecewise-linear embeddings of numbers",
}
MEDIA = ("image", "text", "signal")
AUTO = "auto"
_FEWEST_ROWS, _MOST_NUMBERS = 500, 200


def load_backend(name: str) -> "Backend":
    """Import the backend of a model.

    Args:
        name: one of :data:`MODELS`.

    Raises:
        ValueError: a name that is not one of them.
    """
    if name not in BACKENDS:
        raise ValueError(f"there is no model of kind {name!r}")
    module, _, attribute = BACKENDS[name].partition(":")
    backend: Backend = getattr(importlib.import_module(module), attribute)
    return backend


def encoder_for(n_rows: int, n_numbers: int) -> str:
    """Return the encoder that ``"auto"`` means: ``"mlp-ple"``, which was the best of its cost on most of 15 tables.

    Embeddings have too many parameters for few rows, and make the input of a wide table 16 times as wide: then
    ``"mlp"``.

    Args:
        n_rows: training rows.
        n_numbers: inputs that are numbers.
    """
    return "mlp" if n_rows < _FEWEST_ROWS or n_numbers > _MOST_NUMBERS else "mlp-ple"
