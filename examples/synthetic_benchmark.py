"""The synthetic benchmark of Balanced MSE: lines, and maps of the plane, learnt from labels crowded in one place.

    python examples/synthetic_benchmark.py --out FOLDER [--seeds 5] [--quick]

After Ren et al., *Balanced MSE for Imbalanced Visual Regression* (CVPR 2022). Truth: y = kx + b + N(0, 1), labels in
0..10; in two dimensions y = Ax + N(0, I). The label is drawn first, then x = A⁻¹(y - b - noise): what x looks like for
a label is the same in training, where labels are skewed, and in the test, where they are uniform. Where labels are
skewed, squared error draws predictions towards the common ones; Balanced MSE should not.

A linear model is fitted with each loss. Plain MSE starts from the labels' mean, every other loss from the plain fit, as
when a head is re-trained. In one dimension a linear mixture head learns the distribution of labels as they come, by
likelihood and without any balancing, and predicts at balance 1, every value equally likely: of those within a tenth of
the training labels' range, as ``predict`` does, or of 0 to 10. Prints a Markdown table, and writes one figure a family
into FOLDER.
"""

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, t
from torch import Tensor, nn

from tailwise import MSE, density_weights
from tailwise.distributions import Dial
from tailwise.heads.mixture import MixtureHead
from tailwise.losses.balanced_mse import BMC, BNI, GAI
from tailwise.losses.mixture_likelihood import mixture_nll
from tailwise.metrics.errors import mean_absolute_error, root_mean_squared_error

Array = NDArray[np.float64]

LOW, HIGH, MIDDLE = 0.0, 10.0, 5.0
SLOPE, INTERCEPT = 1.0, 0.0  # k and b
PLANE = np.array([[1.0, 0.5], [-0.5, 1.0]])  # A
CORRELATION = 0.5
FAMILIES = {"normal": (0.5, 0.75, 1.0), "exponential": (2.0, 1.5, 1.0), "two-dimensional": (0.5, 0.75, 1.0)}
COLORS = {"MSE": "#D55E00", "re-weighted MSE": "#B8860B", "BMC": "#0072B2", "GAI": "#00795B", "BNI": "#A8508A"}
COLORS |= {"mixture": "#404040", "mixture, 0 to 10": "#3B6E8F"}
IN_THE_PLANE = 4  # of the colours, for labels of two dimensions
BATCH, TEST_ROWS, MODEL_LR, SIGMA_LR = 128, 10_000, 0.02, 0.01
DOTS = 80
INK = "#606060"
TRUTH, BEST = "(the truth)", "(best on the test rows)"
TITLES = (
    "Fitted lines (solid, one a seed) and their mean slope; true line (dashed, slope 1); some training rows (dots)",
    "True outputs (dashed mesh) and where the fits put them (solid mesh: seed 0; outlines: other seeds); mean slope",
)


@dataclass(frozen=True)
class Skew:
    """Where training labels pile up: Normal(5, standard deviation), in one dimension or two, or Exponential(rate)."""

    family: str
    parameter: float

    @property
    def name(self) -> str:
        """As the table and the figures write it."""
        law = "Exponential(" if self.family == "exponential" else "Normal(5, "
        return f"{law}{self.parameter:g})" + (" in 2-D" if self.k == 2 else "")

    @property
    def k(self) -> int:
        """Dimensions of the label."""
        return 2 if self.family == "two-dimensional" else 1

    @property
    def truth(self) -> "Map":
        """The map behind the noise."""
        return Map(PLANE, np.zeros(2)) if self.k == 2 else Map(np.array([[SLOPE]]), np.array([INTERCEPT]))

    @property
    def covariance(self) -> Array:
        """Of two-dimensional labels."""
        return self.parameter**2 * np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """``(n, K)`` training labels in 0..10; those outside are drawn again."""
        if self.family == "exponential":
            y = rng.exponential(1 / self.parameter, (2 * n, 1))
        elif self.k == 1:
            y = rng.normal(MIDDLE, self.parameter, (2 * n, 1))
        else:
            y = rng.multivariate_normal(np.full(2, MIDDLE), self.covariance, 2 * n)
        return y[((y >= LOW) & (y <= HIGH)).all(axis=1)][:n]

    def inverse_density(self, y: Array) -> Array:
        """``(n,)`` weights: by the bins of scalar labels, by the known density of two-dimensional ones; mean 1."""
        if self.k == 2:
            weights = 1 / multivariate_normal(np.full(2, MIDDLE), self.covariance).pdf(y)
            return weights / weights.mean()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*weights are extreme")  # they are, and the benchmark shows the effect
            return density_weights(y[:, 0], power=1.0).sample_weight(y[:, 0])


class Map(NamedTuple):
    """y = weight x + offset, in the units of the data."""

    weight: Array
    offset: Array

    def __call__(self, x: Array) -> Array:
        """``(n, K)`` outputs for ``(n, K)`` inputs."""
        return x @ self.weight.T + self.offset

    def inverse(self, y: Array) -> Array:
        """The inputs of outputs."""
        return np.linalg.solve(self.weight, (y - self.offset).T).T

    def slope(self, truth: Self) -> float:
        """How much the output moves, over the dimensions on average, when the true one moves by 1."""
        return float(np.trace(self.weight @ np.linalg.inv(truth.weight)) / len(self.offset))


class Dialed(NamedTuple):
    """Means of a mixture network's distributions at balance 1, in the units of the data."""

    head: MixtureHead
    shift: Array
    scale: Array
    dial: Dial

    def __call__(self, x: Array) -> Array:
        """``(n, 1)`` outputs for ``(n, 1)`` inputs."""
        with torch.inference_mode():
            outputs = self.head.outputs(torch.from_numpy((x - self.shift) / self.scale).float())
        return self.dial.decide(self.head.predictive(outputs), balance=1.0, loss="squared")[:, None]

    def slope(self, truth: Map) -> float:
        """Slope of the line through the outputs of labels 0 to 10 without noise."""
        labels = np.linspace(LOW, HIGH, 101)[:, None]
        return float(np.polyfit(labels[:, 0], self(truth.inverse(labels))[:, 0], 1)[0])


class Fit(NamedTuple):
    """A fitted map, and its slope, MSE and MAE on the test rows."""

    map: Map | Dialed
    slope: float
    mse: float
    mae: float


def make_loss(name: str, y_train: Array) -> nn.Module:
    """The loss of a name; σ starts at half the labels' standard deviation, which is not that of the noise."""
    sigma = float(y_train.std(axis=0).mean()) / 2
    labels = y_train[:, 0] if y_train.shape[1] == 1 else y_train
    if name == "BMC":
        return BMC(sigma=sigma)
    if name == "GAI":
        return GAI(labels, sigma=sigma)
    return BNI(labels, sigma=sigma) if name == "BNI" else MSE()


def train(model: nn.Linear, loss: nn.Module, x: Tensor, y: Tensor, weight: Tensor, *, steps: int) -> None:
    """The loop: the loss's own parameter σ is the optimiser's too, and its learning rate stays as it is."""
    sigma = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam([{"params": model.parameters()}, {"params": sigma, "lr": SIGMA_LR}])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = MODEL_LR * (1 - step / steps)
        rows = torch.randint(len(x), (BATCH,))
        optimizer.zero_grad()
        pred = model(x[rows]).view_as(y[rows])
        loss(pred, y[rows], weight[rows]).backward()
        optimizer.step()


def training_rows(skew: Skew, seed: int, n: int) -> tuple[Array, Array]:
    """``(n, K)`` inputs and their skewed labels."""
    rng = np.random.default_rng([seed, 0])
    y = skew.draw(rng, n)
    return skew.truth.inverse(y - rng.normal(size=y.shape)), y


def train_mixture(head: MixtureHead, x: Tensor, y: Tensor, *, steps: int) -> None:
    """The loop of :func:`train` with the likelihood of all outputs."""
    optimizer = torch.optim.Adam(head.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = MODEL_LR * (1 - step / steps)
        rows = torch.randint(len(x), (BATCH,))
        optimizer.zero_grad()
        mixture_nll(head.outputs(x[rows]), y[rows]).mean().backward()
        optimizer.step()


def fit_all(skew: Skew, seed: int, *, rows: int, steps: int) -> dict[str, Map | Dialed]:
    """The map that each loss learns from one training set."""
    x, y = training_rows(skew, seed, rows)
    torch.manual_seed(seed)
    shift, scale = x.mean(axis=0), x.std(axis=0)
    inputs = torch.from_numpy((x - shift) / scale).float()
    targets = torch.from_numpy(y[:, 0] if skew.k == 1 else y).float()
    ones, inverse = torch.ones(rows), torch.from_numpy(skew.inverse_density(y)).float()
    plain = nn.Linear(skew.k, skew.k)
    nn.init.zeros_(plain.weight)
    plain.bias.data.copy_(torch.from_numpy(y.mean(axis=0)))
    fitted: dict[str, Map | Dialed] = {}
    for name in list(COLORS)[: -2 if skew.k == 1 else IN_THE_PLANE]:
        model = nn.Linear(skew.k, skew.k)
        model.load_state_dict(plain.state_dict())
        weight = inverse if name == "re-weighted MSE" else ones
        train(model, make_loss(name, y), inputs, targets, weight, steps=steps)
        if name == "MSE":
            plain = model
        matrix = model.weight.detach().double().numpy() / scale
        fitted[name] = Map(matrix, model.bias.detach().double().numpy() - matrix @ shift)
    if skew.k == 1:
        head = MixtureHead(1).match_scale(y[:, 0])
        train_mixture(head, inputs, targets, steps=steps)
        low, high = y.min(), y.max()
        wide = max(low - LOW, HIGH - high) / (high - low)
        fitted["mixture"] = Dialed(head, shift, scale, Dial.from_labels(y[:, 0]))
        fitted["mixture, 0 to 10"] = Dialed(head, shift, scale, Dial.from_labels(y[:, 0], reach=wide))
    return fitted


def benchmark(skew: Skew, seed: int, *, rows: int, steps: int) -> dict[str, Fit]:
    """One seed: every loss's fit, the truth's and the best map's, judged on labels uniform on 0..10."""
    rng = np.random.default_rng([seed, 1])
    y = rng.uniform(LOW, HIGH, (TEST_ROWS, skew.k))
    x = skew.truth.inverse(y - rng.normal(size=y.shape))
    best = np.linalg.lstsq(np.column_stack([x, np.ones(TEST_ROWS)]), y)[0].T
    maps = {TRUTH: skew.truth, BEST: Map(best[:, :-1], best[:, -1]), **fit_all(skew, seed, rows=rows, steps=steps)}
    pairs = {name: (y.ravel(), fitted(x).ravel()) for name, fitted in maps.items()}
    return {
        name: Fit(
            maps[name],
            maps[name].slope(skew.truth),
            root_mean_squared_error(*pair) ** 2,
            mean_absolute_error(*pair),
        )
        for name, pair in pairs.items()
    }


def spread(values: Sequence[float]) -> str:
    """Mean and half the 95 % t interval over the seeds."""
    mean, n = np.mean(values), len(values)
    if n == 1:
        return f"{mean:.3f}"
    return f"{mean:.3f} ± {t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n):.3f}"


def table(results: dict[Skew, list[dict[str, Fit]]]) -> str:
    """Markdown: a row for each kind of skew and loss."""
    lines = ["| training labels | fit | slope (truth: 1) | test MSE | test MAE |", "|---|---|---|---|---|"]
    for skew, runs in results.items():
        for name in runs[0]:
            cells = [spread([getattr(run[name], column) for run in runs]) for column in ("slope", "mse", "mae")]
            lines.append(f"| {skew.name} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw_row(axes: Sequence[Any], skew: Skew, runs: list[dict[str, Fit]], rows: int) -> None:
    """Training labels, then a panel for each loss: the truth in black, the fit of every seed in colour."""
    x, y = training_rows(skew, 0, rows)
    first, panels = axes[0], axes[1:]
    margin = 1 if skew.k == 1 else 2
    limits = (LOW - margin, HIGH + margin)
    first.set_ylabel(f"{skew.name}\n{'rows' if skew.k == 1 else 'label 2'}")
    if skew.k == 1:
        first.hist(y[:, 0], bins=np.linspace(LOW, HIGH, 41), color=INK)
    else:
        first.plot(*y[: 3 * DOTS].T, ".", color=INK, markersize=2.5, alpha=0.6)
        first.set(xlim=limits, ylim=limits, aspect="equal")
    for axis, (name, color) in zip(panels, COLORS.items(), strict=False):
        fits = [run[name] for run in runs]
        if skew.k == 1:
            draw_lines(axis, skew, fits, color, x[:DOTS], y[:DOTS])
        else:
            draw_meshes(axis, skew, fits, color)
        axis.set_title(f"{name}: {np.mean([fit.slope for fit in fits]):.2f}", fontsize=9, color=color, weight="bold")
        axis.set(xlim=limits, ylim=limits)


def draw_lines(axis: Any, skew: Skew, fits: list[Fit], color: str, x: Array, y: Array) -> None:
    """Training rows, the true line, and every seed's."""
    axis.plot(x[:, 0], y[:, 0], ".", color="#B0B0B0", markersize=2.5)
    ends = skew.truth.inverse(np.array([[LOW], [HIGH]]))
    between = skew.truth.inverse(np.linspace(LOW, HIGH, 41)[:, None])
    for fit in fits:
        at = between if isinstance(fit.map, Dialed) else ends
        axis.plot(at[:, 0], fit.map(at)[:, 0], color=color, linewidth=1.6, alpha=0.6)
    axis.plot(ends[:, 0], [LOW, HIGH], color="black", linewidth=1.1, linestyle=(0, (4, 3)))


def draw_meshes(axis: Any, skew: Skew, fits: list[Fit], color: str) -> None:
    """A mesh of true outputs without noise, where seed 0's map puts it, and where the others put its outline."""
    ticks, ends = np.linspace(LOW, HIGH, 6), np.array([LOW, HIGH])
    mesh = [np.column_stack([np.full(2, tick), ends]) for tick in ticks]
    mesh += [line[:, ::-1] for line in mesh]
    axis.add_collection(LineCollection(mesh, colors="black", linewidths=0.7, linestyles=[(0, (4, 3))]))
    outline = np.array([[LOW, LOW], [HIGH, LOW], [HIGH, HIGH], [LOW, HIGH], [LOW, LOW]])
    for fit in fits[1:]:
        axis.plot(*fit.map(skew.truth.inverse(outline)).T, color=color, linewidth=0.8, alpha=0.6)
    moved = [fits[0].map(skew.truth.inverse(line)) for line in mesh]
    axis.add_collection(LineCollection(moved, colors=color, linewidths=1.4))
    axis.set_aspect("equal")


def draw(family: str, results: dict[Skew, list[dict[str, Fit]]], rows: int) -> Figure:
    """A figure of a family: a row for each of its parameters."""
    plane = family == "two-dimensional"
    losses = IN_THE_PLANE if plane else len(COLORS)
    figure = Figure(figsize=(2.05 * (losses + 1), 2.2 * len(results) + 0.5), layout="constrained")
    grid = figure.subplots(len(results), losses + 1, squeeze=False)
    for axes, (skew, runs) in zip(grid, results.items(), strict=True):
        draw_row(axes, skew, runs, rows)
    for axis in grid.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=INK, labelsize=8)
        axis.set_xticks(np.linspace(LOW, HIGH, 3))
        if plane or axis not in grid[:, 0]:
            axis.set_yticks(np.linspace(LOW, HIGH, 3))
    grid[0, 0].set_title("training labels", fontsize=9)
    for axis in grid[-1]:
        axis.set_xlabel("output 1" if plane else "x", color=INK)
    for axis in grid[:, 1]:
        axis.set_ylabel("output 2" if plane else "y", color=INK)
    grid[-1, 0].set_xlabel("label 1" if plane else "label y", color=INK)
    figure.suptitle(TITLES[plane], fontsize=10)
    return figure


def save(family: str, results: dict[Skew, list[dict[str, Fit]]], rows: int, path: Path) -> None:
    """Write a family's figure, the same bytes for the same fits."""
    with mpl.rc_context({"svg.hashsalt": "tailwise", "font.family": "DejaVu Sans", "font.size": 9}):
        draw(family, results, rows).savefig(path, metadata={"Date": None, "Creator": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--seeds", type=int, default=5, help="runs from seed 0 on")
    parser.add_argument("--quick", action="store_true", help="strongest skew of each family only, less training")
    given = parser.parse_args(arguments)
    if given.seeds < 1:
        parser.error("--seeds must be at least 1")
    torch.set_num_threads(1)
    rows, steps = (2000, 300) if given.quick else (4000, 1500)
    given.out.mkdir(parents=True, exist_ok=True)
    everything = {}
    for family, parameters in FAMILIES.items():
        skews = [Skew(family, parameter) for parameter in parameters[: 1 if given.quick else None]]
        results = {
            skew: [benchmark(skew, seed, rows=rows, steps=steps) for seed in range(given.seeds)] for skew in skews
        }
        everything |= results
        save(family, results, rows, given.out / f"synthetic_{family.replace('-', '_')}.svg")
    print(table(everything))


if __name__ == "__main__":
    main()
