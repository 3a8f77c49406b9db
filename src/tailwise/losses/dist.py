"""Dist Loss: compare the sorted predictions of a batch with labels expected under the training distribution."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from numpy.typing import ArrayLike, NDArray
from scipy.stats import gaussian_kde
from torch import Tensor

from tailwise._checks import InputError, label_array, not_a_column, not_negative, one_of, positive, same_shape
from tailwise._part import Part
from tailwise.labels.kde import binned_density
from tailwise.labels.kernels import COMPATS, Compat
from tailwise.labels.tensors import step_labels
from tailwise.losses.focal import focal_factor
from tailwise.losses.loss import Loss
from tailwise.losses.reduce import weighted_mean

DistError = Literal["l1", "mse", "huber", "focal_l1"]
Sort = Literal["exact", "soft"]
ERRORS, SORTS = ("l1", "mse", "huber", "focal_l1"), ("exact", "soft")

_LEVELS = 4097
_MOST_BANDWIDTH = 100.0  # the density is flat beyond
_MOST_NODES = 100_000
_REACH = 4.0  # bandwidths, and standard deviations of the labels, beyond which the kernel is cut off


def dist_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    pseudo_labels: Tensor,
    dist_weight: float = 1.0,
    error: DistError = "l1",
    beta: float = 1.0,
    sort: Sort = "exact",
    strength: float = 0.1,
    spread: float = 1.0,
    compat: Compat = "paper",
) -> Tensor:
    """Error of the predictions, plus the error of the sorted predictions against expected sorted labels.

    Nie, Tang and Hong, *Dist Loss* (ICLR 2025): mean_i ℓ(ŷ_i, y_i) + λ mean_i ℓ(ŷ_(i), s_i) with ŷ_(i) the predictions
    and s_i the expected labels of a batch, both in ascending order. For the absolute error the second term is the
    Wasserstein-1 distance between the two.

    Args:
        pred: ``(B,)``, or dense ``(B, H, W)``.
        target: same shape; NaN pixels are left out.
        weight: same shape; for the first term.
        pseudo_labels: s, ``(N,)`` ascending, one for each known label.
        dist_weight: λ.
        error: ℓ: ``"l1"``, ``"mse"``, ``"huber"`` or ``"focal_l1"``.
        beta: β of Huber (target units) and Focal-L1 (per target unit).
        sort: ``"exact"``, with an exact gradient, or ``"soft"``, see :func:`soft_sort`.
        strength: regularization strength of the soft sort.
        spread: divisor of the predictions before the soft sort, target units; the standard deviation of the labels
            makes the strength independent of the unit.
        compat: ``"paper"`` or ``"reference"``.

    Raises:
        InputError: shapes that do not belong together, or K-dimensional targets.

    Note:
        ``compat="reference"`` multiplies both terms by the weights, the second by the weights of the unsorted labels,
        and takes the authors' Focal-L1 (``tests/test_golden_dist.py``).

    Example:
        >>> y = torch.tensor([3.0, 1.0, 2.0])
        >>> float(dist_loss(y + 1, y, pseudo_labels=torch.tensor([1.0, 2.0, 3.0])))
        2.0
    """
    same_shape(pred, target)
    target = step_labels(target)
    not_a_column(target)
    if target.ndim == 2:
        raise InputError("dist sorts scalar labels; for targets (B, K) use mse, bmc or gai")
    if weight is not None and weight.shape != target.shape:
        raise InputError(f"weight has shape {tuple(weight.shape)}; it must be that of target, {tuple(target.shape)}")
    if target.ndim >= 3:
        known = ~torch.isnan(target)
        pred, target, weight = pred[known], target[known], None if weight is None else weight[known]
    if pseudo_labels.shape != target.shape:
        raise InputError(
            f"pseudo_labels must be one for each label, {tuple(target.shape)}, got {tuple(pseudo_labels.shape)}"
        )
    if len(target) == 0:  # a map without any label
        return pred.sum()

    def size(difference: Tensor) -> Tensor:
        if error == "mse":
            return difference.square()
        if error == "huber":
            return F.smooth_l1_loss(difference, torch.zeros_like(difference), reduction="none", beta=beta)
        e = difference.abs()
        return e if error == "l1" else e * focal_factor(e, beta=beta, gamma=1.0, compat=compat)

    ordered = pred.sort().values if sort == "exact" else spread * soft_sort(pred / spread, strength=strength)
    apart = size(ordered - pseudo_labels.to(pred.dtype))
    apart_weight = weight if compat == "reference" else None
    return weighted_mean(size(pred - target), weight, target) + dist_weight * weighted_mean(apart, apart_weight, target)


def soft_sort(values: Tensor, *, strength: float = 0.1) -> Tensor:
    """Soft sort of ``(N,)`` values, ascending: their projection onto the permutahedron, with quadratic regularization.

    Blondel et al., *Fast Differentiable Sorting and Ranking* (ICML 2020). A small strength sorts exactly; a larger one
    replaces neighbours by their mean, and draws all values together. Isotonic regression runs on the CPU.

    Args:
        values: ``(N,)``.
        strength: regularization strength, above 0; larger is softer.

    Example:
        >>> soft_sort(torch.tensor([3.0, 1.0, 2.0]), strength=0.1).tolist()
        [1.0, 2.0, 3.0]
    """
    from sklearn.isotonic import isotonic_regression

    # The part of a block that comes from the ranks is a constant; added last, it costs the values no digits.
    ordered = values.to(torch.promote_types(values.dtype, torch.float32)).sort().values
    place = np.arange(len(values))
    level = isotonic_regression(ordered.detach().cpu().double().numpy() - place / strength, increasing=False)
    block = np.cumsum(np.diff(level, prepend=level[:1]) != 0)
    size = np.bincount(block)
    offset = (place - (np.bincount(block, place) / size)[block]) / strength
    index = torch.from_numpy(block).to(ordered.device)
    mean = ordered.new_zeros(len(size)).index_add(0, index, ordered) / ordered.new_tensor(size)
    return (mean.index_select(0, index) + ordered.new_tensor(offset)).to(values.dtype)


def expected_counts(density: ArrayLike, n: int) -> NDArray[np.int64]:
    """Divide ``n`` labels among the nodes of a grid in whole numbers, by the authors' rounding.

    Each tail is summed up at the node where its expected number reaches 1; the remainder of rounding is spread around
    the node with the largest count.

    Args:
        density: ``(g,)`` probabilities of the nodes, which add up to 1.
        n: number of labels.

    Note:
        In the authors' code the remainder may run over the end of the grid and be lost, or make a count negative; here
        it stays on the grid, and negative counts are compensated at the nodes with the largest counts.

    Example:
        >>> expected_counts([0.1, 0.2, 0.4, 0.2, 0.1], 10).tolist()
        [1, 2, 4, 2, 1]
    """
    expected = np.asarray(density, dtype=np.float64) * n
    counts = np.round(expected).astype(np.int64)
    if n < 2:  # no tail reaches an expected number of 1 before the other end
        counts[:] = 0
        counts[np.searchsorted(expected.cumsum(), n / 2)] = n
        return counts
    below, above = np.cumsum(expected), np.cumsum(expected[::-1])
    low, high = int(np.argmax(below >= 1)), len(counts) - 1 - int(np.argmax(above >= 1))
    counts[:low], counts[high + 1 :] = 0, 0
    counts[low], counts[high] = round(below[low]), round(above[len(counts) - 1 - high])
    remainder = n - int(counts.sum())
    width = min(abs(remainder), len(counts))
    start = min(max(int(counts.argmax()) - width // 2, 0), len(counts) - width)
    counts[start : start + width] += int(np.sign(remainder))
    counts = np.maximum(counts, 0)
    while (remainder := n - int(counts.sum())) != 0:
        counts[counts.argmax()] += remainder if remainder > 0 else -min(-remainder, max(int(counts.max()) // 2, 1))
    return counts


class Dist(Loss):
    """Dist loss, errors and the distance of distributions: :func:`dist_loss` as a module, with the density of labels.

    L = 1/B Σ_i w_i ℓ(ŷ_i, y_i) + λ/B Σ_k ℓ(ŷ_(k), S_k), ŷ_(k) the sorted predictions of the batch and S_k quantiles of
    the density of the training labels; Nie et al. (ICLR 2025).

    Args:
        y_train: ``(n,)`` training labels, target units.
        dist_weight: λ, at least 0.
        error: ``"l1"``, ``"mse"``, ``"huber"`` or ``"focal_l1"``.
        beta: β of Huber (target units) and Focal-L1 (per target unit); ``None`` takes the standard deviation of the
            labels for Huber, 3.2 over it for Focal-L1.
        bandwidth: bandwidth of the Gaussian kernel density, in standard deviations of the labels (the authors: 0.5).
        sort: ``"exact"`` or ``"soft"``.
        strength: regularization strength of the soft sort (the authors: 0.1 in code, 0.01 in their readme), for
            predictions in standard deviations of the labels, or in target units with ``compat="reference"``.
        step: distance between the nodes of the grid of ``compat="reference"``, target units; ``None`` takes 1/100 of
            the range.
        compat: ``"paper"`` or ``"reference"``.

    Note:
        The expected labels of a batch of N are the quantiles (i - ½) / N of the density, for any N.
        ``compat="reference"`` rounds to whole numbers of labels on a grid (:func:`expected_counts`), on the CPU at each
        step.

    Example:
        >>> dist = Dist([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> [round(float(label), 1) for label in dist.expected(3)]
        [1.7, 3.0, 4.3]
    """

    quantiles: Tensor

    def __init__(
        self,
        y_train: ArrayLike,
        *,
        dist_weight: float = 1.0,
        error: DistError = "l1",
        beta: float | None = None,
        bandwidth: float = 0.5,
        sort: Sort = "exact",
        strength: float = 0.1,
        step: float | None = None,
        compat: Compat = "paper",
    ) -> None:
        super().__init__()
        y = label_array(y_train, "y_train")
        spread = float(y.std(ddof=1)) if y.size > 1 else 0.0
        if spread == 0:
            raise InputError("y_train is constant; a density needs at least two different labels")
        one_of(error, "error", ERRORS)
        one_of(sort, "sort", SORTS)
        one_of(compat, "compat", COMPATS)
        if beta is None:
            beta = 3.2 / spread if error == "focal_l1" else spread
        self.dist_weight, self.beta = not_negative(dist_weight, "dist_weight"), positive(beta, "beta")
        self.strength = positive(strength, "strength")
        self.spread = spread if compat == "paper" else 1.0
        bandwidth = positive(bandwidth, "bandwidth", most=_MOST_BANDWIDTH)
        extent = float(np.ptp(y))
        self.step = extent / 100 if step is None else positive(step, "step")
        if not extent / _MOST_NODES <= self.step <= extent:
            raise InputError(
                f"step must be from {extent / _MOST_NODES:g} to {extent:g}, which is the range of y_train, got {step!r}"
            )
        self.degree = 2 if error == "mse" else 1
        self.error: DistError = error
        self.sort: Sort = sort
        self.compat: Compat = compat
        if compat == "reference":
            grid, density = grid_density(y, bandwidth, step=self.step)
            self.register_buffer("quantiles", torch.from_numpy(grid).float())
            self.register_buffer("density", torch.from_numpy(density))
        else:
            reach = _REACH * spread * max(bandwidth, 1.0)
            start, width, density = binned_density(y, bandwidth * spread, margin=reach)
            nodes = start + width * np.arange(len(density))
            inside = (nodes >= y.min()) & (nodes <= y.max())
            mass = np.cumsum(density[inside])
            levels = np.linspace(0, 1, _LEVELS)
            quantiles = np.interp(levels, (mass - mass[0]) / (mass[-1] - mass[0]), nodes[inside])
            self.register_buffer("quantiles", torch.from_numpy(quantiles).float())

    def expected(self, n: int) -> Tensor:
        """Return the ``(n,)`` labels expected in a batch of ``n``, ascending, target units."""
        if self.compat == "reference":
            counts = torch.from_numpy(expected_counts(self.get_buffer("density").cpu().double().numpy(), n))
            return self.quantiles.repeat_interleave(counts.to(self.quantiles.device))
        table = self.quantiles.float()
        position = (torch.arange(n, device=table.device) + 0.5) * ((len(table) - 1) / max(n, 1))
        left = position.long().clamp(max=len(table) - 2)
        return torch.lerp(table[left], table[left + 1], position - left)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the Dist Loss of a batch."""
        n = int((~torch.isnan(target)).sum()) if target.ndim >= 3 else len(target)
        return dist_loss(
            pred,
            target,
            weight,
            pseudo_labels=self.expected(n),
            dist_weight=self.dist_weight,
            error=self.error,
            beta=self.beta,
            sort=self.sort,
            strength=self.strength,
            spread=self.spread,
            compat=self.compat,
        )


def grid_density(y: NDArray[np.float64], bandwidth: float, *, step: float) -> tuple[NDArray[np.float64], ...]:
    """Return nodes from the lowest to the highest label, and their probabilities by a Gaussian kernel density."""
    grid = y.min() + step * np.arange(round(float(np.ptp(y)) / step) + 1)
    density = gaussian_kde(y, bw_method=bandwidth)(grid)
    return grid, density / density.sum()


DIST_PART = Part(
    name="dist",
    slot="loss",
    make=Dist,
    summary="Dist Loss: distance between sorted predictions and quantiles of the training labels",
    source="Nie et al., Dist Loss, ICLR",
    year=2025,
    cost="O(B log B)",
    use="""\
from tailwise.losses.dist import Dist
dist = Dist(y_train)
loss = dist(pred, y)""",
    units={"beta": "target or 1/target", "bandwidth": "standard deviations", "step": "target"},
    targets=("scalar", "dense"),
    needs=("y",),
    of_none={"beta": "1 standard deviation (focal_l1: 3.2 / standard deviation)", "step": "1/100 of the range"},
)
