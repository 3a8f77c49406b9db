"""Contracts of the parameters of every part: each one arrives, and each is checked by its name."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tailwise import MLP, Bins, InputError, Regressor, compose
from tailwise.calibration.corrections import Fitting
from tailwise.methods.catalog import PARTS

Y = np.random.default_rng(0).gamma(2.0, 10.0, 200).round(1)
X = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
BINS = Bins.auto(Y)
ROWS = pd.DataFrame({"a": np.random.default_rng(1).normal(size=Y.size), "b": ["x", "y"] * (Y.size // 2)})
K_DIMENSIONAL = np.stack([Y, Y[::-1]], axis=1)

# Legal values where none follows from the default, and what a parameter needs beside it to mean anything.
OTHER = {
    "bandwidth": 3.0,
    "beta": 0.7,
    "clip": (1.0, 50.0),
    "components": 3,
    "decoder": nn.Linear(8, 3),
    "epochs": 7,
    "head_epochs": 7,
    "head_lr": 0.5,
    "levels": (0.1, 0.5, 0.9),
    "lr": 0.5,
    "momentum": 0.4,
    "padding": "reflect",
    "points": ((0, 1), (30, 0), (60, 1)),
    "references": 100,
    "relevance": ((0, 0), (60, 1)),
    "strategy": "extreme",
    "ramp": 7,
    "sigma": 3.0,
    "step": 0.4,
    "target": (0.0, 30.0),
    "window": 7,
}
OTHER_OF_PART = {("tweedie", "power"): 1.2}  # allowed from 1 to 2
BESIDE = {("lds", "padding"): {"window": 3}}
# Nothing is asked of numbers so large or small, but that they are refused by name or work.
EXTREME = [math.nan, math.inf, 1e300, 1e-300, 1e18, 1e-18, 1e6, -1, 0]
WRONG = ["abc", (1, 2), (), {}, None, True, 1.7]

PARAMETERS = [(name, parameter) for name, part in PARTS.items() for parameter in part.parameters()]


def built(name, params, y=Y):
    """All that training with a part uses: the method, for what acts before and after, and a state for each stage."""
    method = compose(name, **{name: params})
    found = [method]
    for i, stage in enumerate(method.stages):
        torch.manual_seed(0)
        model = Regressor(MLP(3, widths=(8,)), n_features=8, n_outputs=y.shape[1] if y.ndim == 2 else None)
        objective = replace(method, resampler=None).build(model, y, BINS if y is Y else None, stage=i).train()
        optimizer = stage.wrap(torch.optim.SGD(model.parameters(), lr=1e-6))
        found.append((stage.epochs, stage.lr, getattr(optimizer, "rho", None), objective))
    return found


def facts(thing):
    """What an object holds, to be compared."""
    if isinstance(thing, torch.Tensor):
        return repr((thing.requires_grad, thing.tolist()))
    if isinstance(thing, np.ndarray):
        return repr(thing.tolist())
    if isinstance(thing, dict):
        return {str(key): facts(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple | set):
        return [facts(value) for value in thing]
    if hasattr(thing, "__dict__") and not callable(getattr(thing, "__get__", None)):
        return type(thing).__name__, facts(vars(thing))
    return getattr(thing, "__qualname__", repr(thing))


def used(name, params):
    """Resample, train for two steps of each stage, correct some predictions; what came out must be finite."""
    method, *stages = built(name, params)
    rows, labels, _ = method.resample(ROWS, Y, seed=0)
    values = [*rows["a"], *labels]
    for *_, objective in stages:
        for _ in range(2):
            loss = sum(objective(X, torch.from_numpy(Y[:16]).float()).values())
            values.append(float(loss.detach()))
            loss.backward()
        objective.end_epoch()
    if method.correction is not None:
        values += method.correction.fit(Fitting(Y, BINS, Y[:50], Y[:50] + 1))(Y[:20]).tolist()
    return np.array(values)


def other_value(name, parameter):
    default = PARTS[name].parameters()[parameter]
    choices = [choice for choice in PARTS[name].choices().get(parameter, ()) if choice != default]
    if isinstance(default, bool):
        return not default
    if (name, parameter) in OTHER_OF_PART:
        return OTHER_OF_PART[name, parameter]
    if parameter in OTHER and name != "srl" and (name, parameter) != ("quantile", "levels"):
        return OTHER[parameter]
    if choices:
        return choices[0]
    if isinstance(default, int):
        return default + 1
    return 2.5 if isinstance(default, str) else default / 2 or 0.5


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_every_parameter_arrives(name, parameter):
    beside = BESIDE.get((name, parameter), {})
    value = {parameter: other_value(name, parameter)}
    y = K_DIMENSIONAL if (name, parameter) == ("kde", "references") else Y
    plain, again, changed = (facts(built(name, {**beside, **given}, y)) for given in ({}, {}, value))
    assert plain == again
    assert changed != plain


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("value", [*WRONG, *EXTREME], ids=repr)
@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_every_parameter_works_or_is_refused_by_name(name, parameter, value):
    try:
        values = used(name, {parameter: value})
    except InputError as error:
        message = str(error)
        assert name in message
        assert parameter in message
        assert "do not work" not in message
    else:
        assert np.isfinite(values).all()
        assert not isinstance(value, str)
