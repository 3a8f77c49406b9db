"""The combiner: a conditional density of the label given the predictions of several experts."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import log_softmax, silu

from tailwise.distributions.mixtures import Mixture
from tailwise.labels.censoring import Censoring
from tailwise.training.one_thread import one_thread

Floats = NDArray[np.float64]

_FILE = "combiner.safetensors"
_ROWS_AT_ONCE = 16_384
_LOG_SCALES = (-6.0, 1.5)
_FIRST_LOG_SCALES = (-3.0, 0.5)
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class CombinerRecipe:
    """Settings of the training of a combiner.

    Args:
        components: Gaussians of each member.
        width: units of the two hidden layers.
        shift: how far a component's mean may lie from the convex combination of the experts, standard deviations of
            the label.
        epochs: number of epochs at most.
        patience: epochs without a better likelihood on the fold left out after which training ends.
        lr: learning rate at the start; it falls to 0 along a half cosine.
        batch_size: rows a batch; a twentieth of the rows where that is more.
        weight_decay: of AdamW.
        seed: of initial weights and order of rows.
    """

    components: int = 6
    width: int = 32
    shift: float = 0.3
    epochs: int = 120
    patience: int = 15
    lr: float = 5e-3
    batch_size: int = 256
    weight_decay: float = 1e-3
    seed: int = 0


class Members(nn.Module):
    """Several small networks, evaluated at once: from standardized predictions of experts to a mixture of Gaussians.

    The mean of each component is a convex combination of the experts' points plus a small shift.

    Args:
        n_columns: predictions of the experts for a row: a point of each, then what else they give.
        n_experts: points among them.
        members: networks.
        recipe: components, width, shift.
        generator: of the initial weights.
    """

    def __init__(
        self, n_columns: int, n_experts: int, members: int, recipe: CombinerRecipe, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.n_experts, self.components, self.shift = n_experts, recipe.components, recipe.shift
        sizes = (n_columns + 2, recipe.width, recipe.width, recipe.components * (n_experts + 3))
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in pairwise(sizes):
            bound = inputs**-0.5
            uniform = [torch.rand(members, rows, outputs, generator=generator) for rows in (inputs, 1)]
            weight, bias = (nn.Parameter(bound * (2 * values - 1)) for values in uniform)
            self.weights.append(weight)
            self.biases.append(bias)
        with torch.no_grad():  # at first every component is the mean of the experts, and their scales differ
            self.weights[-1].mul_(0.1)
            self.biases[-1].zero_()
            last = self.biases[-1].view(members, recipe.components, n_experts + 3)
            last[..., -1] = torch.linspace(*_FIRST_LOG_SCALES, recipe.components)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return log weights, means and log scales, each ``(members, n, components)``, of ``(n, n_columns)`` inputs."""
        points = z[:, : self.n_experts]
        spread = points.std(1, keepdim=True, correction=0)
        h = torch.cat([z, points.mean(1, keepdim=True), spread], 1).expand(len(self.weights[0]), -1, -1)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, h, weight)
            h = silu(h) if layer < last else h
        # One array for each expert: a softmax over the last dimension takes ten times as long where it is short.
        *shares, delta, log_weights, log_scales = h.view(*h.shape[:2], self.components, -1).unbind(-1)
        weighted = torch.stack(shares).softmax(0) * points.T[:, None, :, None]
        means = weighted.sum(0) + self.shift * torch.tanh(delta)
        return log_softmax(log_weights, -1), means, log_scales.clamp(*_LOG_SCALES)

    def log_likelihood(self, z: Tensor, y: Tensor, side: Tensor | None = None) -> Tensor:
        """Return ``(members, n)`` log densities of standardized labels ``(n,)``; of censored ones, log masses.

        Args:
            z: ``(n, n_columns)`` standardized predictions of the experts.
            y: ``(n,)`` standardized labels.
            side: ``(n,)`` 1 where the true value lies at the label or above, -1 where at it or below, 0 where it is the
                label; the likelihood of a censored label is the mass on that side (Tobin 1958).
        """
        log_weights, means, log_scales = self(z)
        gap = (y[:, None] - means) * torch.exp(-log_scales)
        log_terms = log_weights - 0.5 * (gap * gap + _LOG_2PI) - log_scales
        if side is not None:
            of_row = side[:, None]
            log_masses = log_weights + torch.special.log_ndtr(-of_row * gap)
            log_terms = torch.where(of_row == 0, log_terms, log_masses)
        return torch.logsumexp(log_terms, -1)


@dataclass(frozen=True, eq=False)
class Combiner:
    """A fitted conditional density: one member for each fold, which was not fitted to the rows of that fold.

    Args:
        members: the networks.
        center: mean of the labels, target units.
        scale: standard deviation of the labels, target units.
        low: predictions below are raised to it, target units.
        high: predictions above are lowered to it.
        recipe: how it was fitted.
    """

    members: Members
    center: float
    scale: float
    low: float
    high: float
    recipe: CombinerRecipe

    @classmethod
    def fit(
        cls,
        columns: Floats,
        y: Floats,
        fold: NDArray[np.int64],
        *,
        n_experts: int,
        reach: tuple[float, float],
        recipe: CombinerRecipe,
        seconds: float | None = None,
        weight: Floats | None = None,
        forward: bool = False,
        censoring: Censoring | None = None,
    ) -> Self:
        """Fit by maximum likelihood; each member stops early on the fold that it leaves out.

        Args:
            columns: ``(n, c)`` out-of-fold predictions, the points of the experts first.
            y: ``(n,)`` labels, target units.
            fold: ``(n,)`` fold of each row, from 0.
            n_experts: number of points among the columns.
            reach: lowest and highest prediction that is believed, target units.
            recipe: settings.
            seconds: after which no epoch begins; at least one is trained.
            weight: ``(n,)`` how much each row counts in the likelihood.
            forward: whether folds are in the order of time, and a member is fitted to earlier folds alone; that of the
                first fold, which has none, to this fold.
            censoring: limits at which labels are censored, in their units.
        """
        with one_thread():
            generator = torch.Generator().manual_seed(recipe.seed)
            folds = int(fold.max()) + 1
            members = Members(columns.shape[1], n_experts, folds, recipe, generator)
            combiner = cls(members, float(y.mean()), float(y.std()) or 1.0, *reach, recipe)
            label = torch.from_numpy((y - combiner.center) / combiner.scale).float()
            side = None if censoring is None else torch.from_numpy(censoring.side(y)).float()
            number = np.arange(folds)[:, None]
            held = torch.from_numpy(fold[None, :] == number).float()
            used = torch.from_numpy(fold[None, :] < np.maximum(number, 1)).float() if forward else 1 - held
            z, counts = combiner._standardized(columns), torch.ones(len(label))
            if weight is not None:
                counts = torch.from_numpy(weight / weight.mean()).float()
            _train(members, z, (label, side), (used, held, counts), recipe, generator, seconds)
        return combiner

    def predictive(self, columns: Floats) -> Mixture:
        """Return the distributions of rows, the mean of all members, from predictions ``(n, c)``."""
        parts = [[values.transpose(0, 1).flatten(1) for values in piece] for piece in self._pieces(columns)]
        weights, means, scales = self._in_target_units(parts)
        return Mixture(weights, means, scales)

    def out_of_fold(self, columns: Floats, fold: NDArray[np.int64]) -> Mixture:
        """Return the distribution of each row by the member that was not fitted to it."""
        rows, parts, start = torch.from_numpy(fold), [], 0
        for piece in self._pieces(columns):
            n = piece[0].shape[1]
            member = rows[start : start + n]
            parts.append([values[member, torch.arange(n)] for values in piece])
            start += n
        return Mixture(*self._in_target_units(parts))

    def _pieces(self, columns: Floats) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        with torch.inference_mode():
            for z in torch.split(self._standardized(columns), _ROWS_AT_ONCE):
                yield self.members(z)

    def _standardized(self, columns: Floats) -> Tensor:
        believed = np.clip(columns, self.low, self.high)
        return torch.from_numpy((believed - self.center) / self.scale).float()

    def _in_target_units(self, parts: list[list[Tensor]]) -> tuple[Floats, Floats, Floats]:
        log_weights, means, log_scales = (torch.cat(arrays).double().numpy() for arrays in zip(*parts, strict=True))
        return np.exp(log_weights), means * self.scale + self.center, np.exp(log_scales) * self.scale

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the weights into a folder; return the description for JSON."""
        save_file({name: value.contiguous() for name, value in self.members.state_dict().items()}, folder / _FILE)
        first = self.members.weights[0]
        return {
            "n_columns": int(first.shape[1]) - 2,
            "n_experts": self.members.n_experts,
            "members": int(first.shape[0]),
            **{name: getattr(self, name) for name in ("center", "scale", "low", "high")},
            "recipe": asdict(self.recipe),
        }

    @classmethod
    def load(cls, folder: Path, description: Mapping[str, Any]) -> Self:
        """Read what :meth:`save` wrote."""
        recipe = CombinerRecipe(**description["recipe"])
        n_columns, n_experts, count = (int(description[name]) for name in ("n_columns", "n_experts", "members"))
        members = Members(n_columns, n_experts, count, recipe, torch.Generator())
        members.load_state_dict(load_file(folder / _FILE))
        center, scale, low, high = (float(description[name]) for name in ("center", "scale", "low", "high"))
        return cls(members, center, scale, low, high, recipe)


def _train(
    members: Members,
    z: Tensor,
    labels: tuple[Tensor, Tensor | None],
    roles: tuple[Tensor, Tensor, Tensor],
    recipe: CombinerRecipe,
    generator: torch.Generator,
    seconds: float | None,
) -> None:
    """Train all members at once and keep the best epoch of each.

    Labels are standardized, beside the sides of censored ones, see :meth:`Members.log_likelihood`. Roles are what is 1
    on the rows that a member is fitted to, and on those by which it stops early, ``(members, n)``, and the weights of
    the rows, of mean 1.
    """
    (y, side), (fitted, held, weight) = labels, roles
    optimizer = torch.optim.AdamW(members.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    n = len(y)
    size = min(max(recipe.batch_size, n // 20), n)
    steps = n // size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * steps)
    best = torch.full((len(held),), torch.inf)
    started = time.perf_counter()
    kept = [parameter.detach().clone() for parameter in members.parameters()]
    waited = 0
    for _ in range(recipe.epochs):
        for rows in torch.randperm(n, generator=generator)[: steps * size].view(steps, size):
            used = fitted[:, rows] * weight[rows]
            of_rows = None if side is None else side[rows]
            loss = -(members.log_likelihood(z[rows], y[rows], of_rows) * used).sum(1) / used.sum(1).clamp(min=1)
            optimizer.zero_grad()
            loss.sum().backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(members.parameters(), 5.0)
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            judged = held * weight
            score = -(members.log_likelihood(z, y, side) * judged).sum(1) / judged.sum(1)
            better = score < best - 1e-4
            for copy, parameter in zip(kept, members.parameters(), strict=True):
                copy[better] = parameter[better]
            best = torch.where(better, score, best)
        waited = 0 if better.any() else waited + 1
        late = seconds is not None and time.perf_counter() - started >= seconds
        if waited >= recipe.patience or late:
            break
    with torch.no_grad():
        for copy, parameter in zip(kept, members.parameters(), strict=True):
            parameter.copy_(copy)
