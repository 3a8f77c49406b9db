"""The sweep of a comparison: weights of rising power on one model, the backbone of its trade-off chart."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tailwise.experiment.spec import Experiment

_METHOD, _PART = "reweight+lds", "reweight"
_POWERS = (0.25, 0.5, 0.75, 1.0)


def swept_entries(first: Experiment) -> list[Experiment]:
    """Return the sweep on the model of an entry: vanilla, which is power 0, and weights of rising power.

    Example:
        >>> [entry.name for entry in swept_entries(Experiment("sqinv", encoder="mlp"))][:2]
        ['mlp vanilla', 'mlp reweight+lds (reweight.power=0.25)']
    """
    parameters = [("vanilla", {}), *((_METHOD, {_PART: {"power": power}}) for power in _POWERS)]
    return [replace(first, method=method, method_params=params) for method, params in parameters]


def sweep_of(entries: Iterable[Experiment]) -> tuple[str, ...]:
    """Return the names of the swept entries by power, after vanilla on the same model; none without a sweep."""
    entries = tuple(entries)
    swept = [entry for entry in entries if entry.method == _METHOD and _PART in entry.method_params]
    powers = {entry.name: float(entry.method_params[_PART].get("power", np.nan)) for entry in swept}
    if not powers:
        return ()
    model = swept[0].model, swept[0].encoder
    vanilla = [entry.name for entry in entries if entry.method == "vanilla" and (entry.model, entry.encoder) == model]
    return (*dict.fromkeys(vanilla), *sorted(powers, key=lambda name: powers[name]))
