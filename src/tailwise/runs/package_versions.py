"""Versions that a result depends on."""

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "tailwise",
    "torch",
    "numpy",
    "pandas",
    "scikit-learn",
    "accelerate",
    "safetensors",
    "skops",
    "lightgbm",
    "tabm",
)
_EXTRAS = ("catboost",)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a result depends on, extras where they are installed."""
    known = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
    for name in _EXTRAS:
        with suppress(PackageNotFoundError):
            known[name] = version(name)
    return known
