"""Draw what each part does to weights, gradients, features, rows or predictions, on toy data; the same each time."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray
from toy import BINS, FRAME, PARTS_WITH_HEAD, Y, after_training, features_of, predictions, training_step

from tailwise._part import Part
from tailwise.calibration.corrections import Fitting
from tailwise.methods.catalog import PARTS

BLUE, RED, GREY = "#2f6fb0", "#c8435a", "#8a8f98"
STYLE = {"svg.hashsalt": "tailwise", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
Drawing = tuple[tuple[Axes, Axes], str]


def draw(name: str, path: Path) -> str:
    """Draw the picture of a part into an SVG file; return what it shows, in words."""
    part = PARTS[name]
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  what libraries draw without a generator of their own
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extreme weights, of toy sizes
        figure, axes = plt.subplots(1, 2, figsize=(7, 2.6))
        figure.subplots_adjust(left=0.08, right=0.98, bottom=0.18, top=0.88, wspace=0.25)
        text = picture_of(part)(part, axes)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
    return text


def picture_of(part: Part) -> Callable[[Part, NDArray[Any]], str]:
    """The function that draws a part of its slot."""
    if part.slot in ("loss", "objective"):
        return _predictions if part.name in PARTS_WITH_HEAD else _gradients
    pictures = {
        "augment": _augmented,
        "weights": _weights,
        "density": _weights,
        "smoother": _statistics,
        "regularizer": _features,
        "optimizer": _predictions,
        "stage": _predictions,
        "resample": _rows,
        "correction": _corrected,
    }
    return pictures[part.slot]


def _weights(part: Part, axes: NDArray[Any]) -> str:
    weights = training_step(part.name).weights
    labels = np.linspace(Y.min(), Y.max(), 400)
    _histogram(axes[0], Y, "training rows")
    axes[1].plot(labels, weights(torch.as_tensor(labels, dtype=torch.float32)).numpy(), color=RED)
    axes[1].axhline(1, color=GREY, linewidth=0.8)
    axes[1].set(xlabel="target", ylabel="weight of a row", title="weights")
    used = " of `sqinv`, whose density it is" if part.slot == "density" else ""
    return f"Left: the training labels of a toy table. Right: the weights{used} that a row gets by its label."


def _gradients(part: Part, axes: NDArray[Any]) -> str:
    y = torch.as_tensor(np.sort(Y)[::3], dtype=torch.float32)
    shrunk = y.mean() + 0.6 * (y - y.mean()) + 2 * torch.randn(len(y))
    for name, color in (("mse", GREY), (part.name, RED)):
        pred = shrunk.clone().requires_grad_()
        loss = training_step(name).loss(pred, y, torch.ones_like(y))
        loss.backward()
        push = -pred.grad
        axes[1].scatter(y, push / push.abs().max(), s=6, color=color, label=name)
        if part.name == "mse":
            break
    axes[0].scatter(y, shrunk, s=6, color=BLUE)
    axes[0].plot([0, y.max()], [0, y.max()], color=GREY, linewidth=0.8)
    axes[0].set(xlabel="target", ylabel="prediction", title="predictions, pulled to the middle")
    axes[1].set(xlabel="target", ylabel="push on the prediction", title="push, largest = 1")
    axes[1].legend()
    return (
        "Left: predictions that are pulled to the middle, as those of a plain network. Right: how strongly the loss "
        "pushes each of them (minus its gradient, over the largest), in red, beside squared error in grey."
    )


def _predictions(part: Part, axes: NDArray[Any]) -> str:
    where, plain, ours = predictions("vanilla"), predictions("vanilla"), predictions(part.name)
    _histogram(axes[0], Y, "training rows")
    axes[1].scatter(FRAME["x"], Y, s=3, color=GREY, alpha=0.4)
    axes[1].plot(where.x, plain.middle, color=BLUE, label="vanilla")
    axes[1].plot(where.x, ours.middle, color=RED, label=part.name)
    axes[1].fill_between(where.x, ours.low, ours.high, color=RED, alpha=0.15, linewidth=0)
    axes[1].set(xlabel="x", ylabel="target", title="predictions after a short training")
    axes[1].legend()
    return (
        "Left: the training labels of a toy table. Right: what a small network predicts after a short training with "
        "the part, in red, with the range of 80 % of its distribution, beside the plain network in blue."
    )


def _features(part: Part, axes: NDArray[Any]) -> str:
    for axis, trained, title in zip(axes, (False, True), ("before", "after"), strict=True):
        z = features_of(part.name, trained=trained)
        shown = axis.scatter(z[:, 0], z[:, 1], c=np.sort(Y)[::3], s=8, cmap="viridis")
        axis.set(title=f"features {title}", xticks=[], yticks=[], aspect="equal")
        if np.allclose(np.hypot(*z.T), 1):
            axis.set(xlim=(-1.2, 1.2), ylim=(-1.2, 1.2))
    axes[1].figure.colorbar(shown, ax=axes, label="target")
    return (
        "Two features of a small network, each point a row, coloured by its label: drawn at random on the left, after "
        "training by this term alone on the right. Features of length 1 lie on a circle."
    )


def _statistics(part: Part, axes: NDArray[Any]) -> str:
    fds = after_training(part.name)
    known = (fds.mean_weight > 0).flatten()
    raw, smooth = fds.running_mean[:, 0], fds.smoothed_statistics()[0][:, 0]
    _histogram(axes[0], Y, "training rows")
    axes[1].plot(BINS.centers[known], raw[known], ".", color=GREY, label="of each bin")
    axes[1].plot(BINS.centers, smooth, color=RED, label="smoothed")
    axes[1].set(xlabel="target", ylabel="mean of a feature", title="statistics of a feature by bin")
    axes[1].legend()
    return (
        "Left: the training labels. Right: the mean of one feature in each bin of the target, and smoothed over bins."
    )


def _augmented(part: Part, axes: NDArray[Any]) -> str:
    x, y = torch.as_tensor(FRAME.to_numpy(), dtype=torch.float32), torch.as_tensor(Y, dtype=torch.float32)
    step = training_step(part.name).augment.train()
    more_x, more_y = step.inputs(x, y)
    axes[0].scatter(x[:, 0], y, s=5, color=BLUE)
    axes[1].scatter(more_x[:, 0], more_y, s=5, color=RED)
    axes[0].set(xlabel="x", ylabel="target", title="a batch")
    axes[1].set(xlabel="x", ylabel="target", title="the batch that is trained on")
    return "A batch before and after the augmentation."


def _rows(part: Part, axes: NDArray[Any]) -> str:
    with_noise = np.column_stack([FRAME.to_numpy(), np.random.default_rng(0).normal(size=len(Y))])
    more_x, more_y = part.make(random_state=0).fit_resample(with_noise, Y)
    edges = np.linspace(Y.min(), Y.max(), 40)
    for rows, color, label in ((Y, GREY, "before"), (more_y, RED, "after")):
        axes[0].hist(rows, edges, histtype="step", color=color, label=label)
    axes[0].set(xlabel="target", ylabel="rows", title="training rows", yscale="log")
    axes[0].legend()
    axes[1].scatter(more_x[:, 0], more_y, s=4, color=RED)
    axes[1].scatter(with_noise[:, 0], Y, s=4, color=GREY)
    axes[1].set(xlabel="x", ylabel="target", title="rows: given (grey) and other (red)")
    return "Left: rows by target, before and after, on a logarithmic scale. Right: the rows themselves."


def _corrected(part: Part, axes: NDArray[Any]) -> str:
    rng = np.random.default_rng(0)
    pred = Y.mean() + 0.6 * (Y - Y.mean()) + rng.normal(0, 2, len(Y))
    corrected = part.make().fit(Fitting(Y, BINS, Y, pred))(pred)
    for axis, shown, title in zip(axes, (pred, corrected), ("as predicted", "corrected"), strict=True):
        axis.scatter(Y, shown, s=5, color=GREY if axis is axes[0] else RED)
        axis.plot([0, Y.max()], [0, Y.max()], color=GREY, linewidth=0.8)
        axis.set(xlabel="target", ylabel="prediction", title=title, ylim=(-5, Y.max() + 5))
    return "Predictions that are pulled to the middle, before and after the correction."


def _histogram(axis: Axes, labels: NDArray[np.float64], title: str) -> None:
    axis.hist(labels, 40, color=BLUE)
    axis.set(xlabel="target", ylabel="rows", title=title)
