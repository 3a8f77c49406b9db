"""Decisions about the distributions of many rows, and the step of a mixture head beside that of a point head."""

import numpy as np
import torch
from harness import Calls

from tailwise.distributions import Mixture
from tailwise.distributions.steps import StepFunction
from tailwise.heads.mixture import MixtureHead
from tailwise.heads.point import PointHead
from tailwise.losses.mixture_likelihood import MixtureLikelihood

LOW, HIGH = 0.0, 100.0


def decisions(n, n_components, n_cells, decision) -> Calls:
    """Decisions at balance 1 for rows with exponential labels."""
    rng = np.random.default_rng(0)
    center = rng.exponential(12.0, n).clip(LOW, HIGH)[:, None]
    means = center + rng.normal(0, 3, (n, n_components))
    rows = Mixture(rng.dirichlet(np.ones(n_components), n), means, rng.uniform(0.5, 3.0, (n, n_components)))
    edges = np.linspace(LOW, HIGH, n_cells + 1)
    weights = StepFunction(edges, np.exp(edges[1:] / 12.0).clip(max=1e3))
    return {"ours": lambda: getattr(rows.tilt(weights), decision)()}


def head_step(batch, width, n_components) -> Calls:
    """A training step of a perceptron of three layers with a mixture head, and with a point head."""
    torch.manual_seed(0)
    x, y = torch.randn(batch, width), torch.randn(batch) * 5 + 20
    likelihood = MixtureLikelihood(5.0, n_components=n_components)

    def stepper(head, loss):
        layers = [layer for _ in range(3) for layer in (torch.nn.Linear(width, width), torch.nn.ReLU())]
        body = torch.nn.Sequential(*layers)
        head.match_scale(y.numpy())
        optimizer = torch.optim.AdamW([*body.parameters(), *head.parameters()], fused=True)

        def step():
            value = loss(head.outputs(body(x)))
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()

        return step

    return {
        "ours": stepper(MixtureHead(width, n_components=n_components), lambda outputs: likelihood(outputs, y)),
        "floor": stepper(PointHead(width), lambda pred: (pred - y).square().mean()),
    }
