"""A toy table with a skewed target, and small trainings on it, for the pictures of the parts."""

import functools
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from tailwise import Bins, Experiment, Recipe, Regressor, compose, fit, prepare

RNG = np.random.default_rng(0)
N = 400
FRAME = pd.DataFrame({"x": RNG.exponential(1.0, N).clip(max=5)})
Y = np.asarray(5 + 8 * FRAME["x"] + RNG.normal(0, 3, N)).clip(min=0)
BINS = Bins.width(Y, 1.0)
PARTS_WITH_HEAD = ("mixture", "histogram", "pinball", "hurdle", "poisson", "tweedie", "uvote", "vir")


class Predictions(NamedTuple):
    """What a trained network predicts along x: the middle and the ends of 80 % of its distribution."""

    x: NDArray[np.float64]
    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def training_step(name: str) -> Any:
    """The training step of a part alone, for a small network."""
    return compose(name).build(Regressor(nn.Sequential(nn.Linear(1, 16), nn.ReLU()), 16), Y, BINS)


@functools.cache
def predictions(name: str) -> Predictions:
    """Train a small network by a method and predict along x."""
    task = prepare(FRAME.assign(y=Y), "y", bin_width=1.0, split="random")
    recipe = Recipe(epochs=12, batch_size=64, lr=5e-3)
    experiment = Experiment(name, encoder="mlp", params={"widths": [32]}, recipe=recipe)
    model = fit(task, experiment)
    x = np.linspace(0, 5, 60)
    rows = pd.DataFrame({"x": x})
    low, high = model.predictive(rows).quantile([0.1, 0.9]).T
    return Predictions(x, model.predict(rows), low, high)


def features_of(name: str, *, trained: bool) -> NDArray[np.float64]:
    """Two features of each third row, from a network as it is drawn, or after training by one term alone."""
    torch.manual_seed(0)
    y = torch.as_tensor(np.sort(Y)[::3], dtype=torch.float32)
    x = torch.stack([y / y.std(), torch.randn(len(y)), torch.randn(len(y))], 1)
    encoder = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 2))
    model = Regressor(encoder, 2)
    step = compose(name).build(model, Y, BINS)
    term = step.regularizers[name]
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
    pred = y.mean() + 0.6 * (y - y.mean())
    for epoch in range(120 if trained else 0):
        loss = term(encoder(x), y, pred, torch.ones_like(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if epoch % 20 == 19 and hasattr(term, "end_epoch"):
            term.end_epoch()
    z = encoder(x).detach()
    if name not in ("rnc",):  # all others see directions alone
        z = nn.functional.normalize(z)
    return np.asarray(z, dtype=np.float64)


def after_training(name: str) -> Any:
    """The smoother of a step after two epochs on the toy rows."""
    step = training_step(name)
    x, y = torch.as_tensor(FRAME.to_numpy(), dtype=torch.float32), torch.as_tensor(Y, dtype=torch.float32)
    for _ in range(2):
        step(x + 0.3 * torch.randn_like(x), y)
        step.end_epoch()
    return step.smoother
