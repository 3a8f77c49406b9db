"""The sweep of a comparison: weights of rising power on one model, the backbone of its trade-off chart."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tailwise.experiment.spec import Experiment

_METHOD, _PART = "reweight+lds", "reweight"
_NAMED = {"vanilla": 0.0, "sqinv+lds": 0.5, "inv+lds": 1.0}  # powers that have a name of their own
_POWERS = (0.25, 0.5, 0.75, 1.0)


def swept_entries(first: Experiment) -> list[Experiment]:
    """Return the sweep on the model of an entry: vanilla, which is power 0, and weights of rising power.

    Example:
        >>> [entry.name for entry in swept_entries(Experiment("sqinv", encoder="mlp"))][:3]
        ['mlp vanilla', 'mlp reweight+lds (reweight.power=0.25)', 'mlp sqinv+lds']
    """
    names = {power: name for name, power in _NAMED.items()}
    return [
        replace(first, method=names[power], method_params={})
        if power in names
        else replace(first, method=_METHOD, method_params={_PART: {"power": power}})
        for power in (0.0, *_POWERS)
    ]


def sweep_of(entries: Iterable[Experiment]) -> tuple[str, ...]:
    """Return the names of the swept entries by power, of one model; none without a sweep."""
    entries = tuple(entries)
    swept = [entry for entry in entries if entry.method == _METHOD and _PART in entry.method_params]
    if not swept:
        return ()
    model = swept[0].model, swept[0].encoder
    powers = {entry.name: _power(entry) for entry in entries if (entry.model, entry.encoder) == model}
    return tuple(sorted((name for name, power in powers.items() if power is not None), key=lambda n: powers[n] or 0.0))


def _power(entry: Experiment) -> float | None:
    """Return the power of an entry's weights; ``None`` of another method."""
    if entry.method == _METHOD and _PART in entry.method_params:
        return float(entry.method_params[_PART].get("power", np.nan))
    return None if entry.method_params else _NAMED.get(entry.method)
