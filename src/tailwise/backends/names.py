"""Models by name, without anything heavy imported."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailwise.backends.protocol import Backend

BACKENDS: Mapping[str, str] = {
    "network": "tailwise.backends.network:BACKEND",
    "lightgbm": "tailwise.backends.lightgbm:BACKEND",
    "hist-boosting": "tailwise.backends.hist_boosting:BACKEND",
    "catboost": "tailwise.backends.catboost:BACKEND",
    "forest": "tailwise.backends.forest:BACKEND",
    "linear": "tailwise.backends.linear:BACKEND",
    "stack": "tailwise.backends.stack.backend:BACKEND",
}
MODELS = tuple(BACKENDS)
NETWORK, STACK = "network", "stack"
SINGLE_MODELS = tuple(name for name in MODELS if name != STACK)


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
