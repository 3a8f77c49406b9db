"""Sums over all pairs of a batch, tile by tile, in memory linear in the size of the batch."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from tailwise.regularizers.pairs import LabelDistance, label_gaps

TILE = 512  # fits into the cache of a CPU
_TILE_ON_DEVICE = 4096
KEPT_PAIRS = 4096 * 4096
_FEWEST_ROWS = 128
_LEAST_NORM = 1e-12
# Pairs outside a sum get a term far below all others, and exponents are clamped: masks by arithmetic on finite numbers
# are several times faster than masks by -inf. exp(-50) is nothing beside a sum of at least 1, and its products with
# gradients and features are not subnormal, which makes a matrix product a hundred times slower on some processors.
_OUT = -1e30
_LEAST_EXPONENT = -50.0


@dataclass(frozen=True)
class Pairs:
    """Pairs of a batch that ConR contrasts: positives have similar labels, negatives only similar predictions.

    Args:
        labels: ``(N,)`` or ``(N, K)``.
        pred: same shape.
        window: largest distance of similar labels, and of similar predictions.
        label_distance: ``"l1"`` or ``"l2"``.
        push: exponent of a negative's weight per unit of label distance.
        log_push: the weight is the product of ``push`` and distance, not its exponential.
    """

    labels: Tensor
    pred: Tensor
    window: float
    label_distance: LabelDistance
    push: float
    log_push: bool = False

    def tile(self, rows: slice, columns: slice, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return for each pair 1 if positive, 1 if negative, and its exponent as a negative, in the type of ``like``.

        Each is ``(rows, columns)``.
        """
        gap = label_gaps(self.labels[rows], self.label_distance, self.labels[columns])
        positive = torch.le(gap, self.window, out=like.new_empty(gap.shape))
        near = label_gaps(self.pred[rows], self.label_distance, self.pred[columns])
        negative = torch.le(near, self.window, out=like.new_empty(gap.shape))
        torch.gt(negative, positive, out=negative)
        if rows == columns:
            positive.fill_diagonal_(0.0)
        exponent = gap.to(like.dtype).mul_(self.push)
        if self.log_push:
            exponent = exponent.clamp_(min=torch.finfo(like.dtype).tiny).log_()
        return positive, negative, exponent


def contrast(
    features: Tensor,
    pairs: Pairs,
    log_weight: Tensor | None,
    *,
    temperature: float,
    products_in: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return ConR's sums over the pairs of each anchor.

    For anchor j, over i ≠ j with s_ji = z_j·z_i / τ and z the features normalised to length 1:
    log [Σ_{i∈K⁺} exp(s_ji) + Σ_{i∈K⁻} w_j exp(s_ji + exponent_ji)], Σ_{i∈K⁺} s_ji, |K⁺| and |K⁻|.

    A tile of pairs and its mirror image have the same products, so each is computed once: half of all products forward,
    half of them again backward (none for batches small enough to keep them), and all for the gradient (G + Gᵀ) Z / τ,
    where G is the gradient of the products.

    Args:
        features: ``(N, d)``, float32 or float64.
        pairs: pairs that count.
        log_weight: ``(N,)`` logarithms of w, or ``None``.
        temperature: τ.
        products_in: on a GPU with Triton, type of the multiplied numbers.

    Returns:
        Four tensors ``(N,)``; the first is a large negative number for an anchor without pairs, the last two have no
        gradient.
    """
    kernels = _fused(features, pairs)
    sums: tuple[Tensor, Tensor, Tensor, Tensor]
    if kernels is None:
        sums = _Contrast.apply(features, log_weight, pairs, temperature, torch.is_grad_enabled())  # type: ignore[no-untyped-call]
    else:
        sums = FusedContrast.apply(features, log_weight, pairs, temperature, products_in, kernels)  # type: ignore[no-untyped-call]
    return sums


@cache
def fused_kernels() -> Any:
    """Import the module of Triton kernels; ``None`` without Triton."""
    return importlib.import_module("tailwise.regularizers.fused") if importlib.util.find_spec("triton") else None


def _fused(features: Tensor, pairs: Pairs) -> Any:
    """Return the Triton kernels if they support the case: few features in float32, scalar labels, on a GPU."""
    if not features.is_cuda or features.dtype != torch.float32 or pairs.labels.ndim != 1 or pairs.log_push:
        return None
    kernels = fused_kernels()
    return kernels if kernels is not None and features.shape[1] <= kernels.MOST_FEATURES else None


class FusedContrast(torch.autograd.Function):
    """:func:`contrast` by Triton kernels."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        log_weight: Tensor | None,
        pairs: Pairs,
        temperature: float,
        products_in: torch.dtype,
        kernels: Any,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return log-sums, sums over positives, and the numbers of pairs."""
        z, norm = _unit(features)
        inputs = [z.to(products_in).contiguous()]
        inputs += [values.to(torch.float32).contiguous() for values in (pairs.labels, pairs.pred)]
        inputs.append(norm.new_zeros(len(z)) if log_weight is None else log_weight.contiguous())
        ctx.numbers, ctx.kernels = (temperature, pairs.window, pairs.push), kernels
        log_sum, closeness, n_positive, n_negative = kernels.fused_forward(*inputs, *ctx.numbers)
        ctx.mark_non_differentiable(n_positive, n_negative)
        ctx.save_for_backward(z, norm, *inputs, log_sum)
        return log_sum, closeness, n_positive, n_negative

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_log_sum: Tensor, of_closeness: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of features and of the logarithms of weights."""
        z, norm, *saved = ctx.saved_tensors
        gradient, of_weight = ctx.kernels.fused_backward(*saved, of_log_sum, of_closeness, *ctx.numbers)
        of_features = _of_features(gradient, z, norm).div_(ctx.numbers[0])
        return of_features, of_weight if ctx.needs_input_grad[1] else None, None, None, None, None


class _Contrast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: Tensor, log_weight: Tensor | None, pairs: Pairs, temperature: float, wanted: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (z, norm), n = _unit(features), len(features)
        log_sum = z.new_full((n,), _OUT)
        closeness, n_positive, n_negative = (z.new_zeros(n) for _ in range(3))
        kept: list[Tensor] = []
        keep = wanted and n * n <= KEPT_PAIRS
        for rows, columns in _tiles(z):
            products = _products(z, rows, columns, temperature)
            positive, negative, exponent = pairs.tile(rows, columns, z)
            for side, dim in _sides(rows, columns):
                closeness[side] += torch.linalg.vecdot(products, positive, dim=dim)
                n_positive[side] += positive.sum(dim)
                n_negative[side] += negative.sum(dim)
            terms = _terms(products, positive, negative, exponent)
            for side, dim in _sides(rows, columns):
                weighted = _weighted(terms, negative, log_weight, side, dim)
                largest = weighted.amax(dim)
                total = (weighted - largest.unsqueeze(dim)).clamp_(min=_LEAST_EXPONENT).exp_().sum(dim)
                log_sum[side] = torch.logaddexp(log_sum[side], largest + total.log())
            if keep:
                kept += [positive, negative, terms]
        ctx.mark_non_differentiable(n_positive, n_negative)
        ctx.save_for_backward(z, norm, log_weight, log_sum, *kept)
        ctx.pairs, ctx.temperature = pairs, temperature
        return log_sum, closeness, n_positive, n_negative

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, of_log_sum: Tensor, of_closeness: Tensor, *_: Tensor
    ) -> tuple[Tensor, Tensor | None, None, None, None]:
        z, norm, log_weight, log_sum, *kept = ctx.saved_tensors
        gradient = torch.zeros_like(z)
        of_weight = None if log_weight is None or not ctx.needs_input_grad[1] else torch.zeros_like(log_weight)
        for number, (rows, columns) in enumerate(_tiles(z)):
            if kept:
                positive, negative, terms = kept[3 * number : 3 * number + 3]
            else:
                products = _products(z, rows, columns, ctx.temperature)
                positive, negative, exponent = ctx.pairs.tile(rows, columns, z)
                terms = _terms(products, positive, negative, exponent)
            of_pair = None
            for side, dim in _sides(rows, columns):
                of_side = _weighted(terms, negative, log_weight, side, dim) - log_sum[side].unsqueeze(dim)
                of_side = of_side.clamp_(min=_LEAST_EXPONENT).exp_().mul_(of_log_sum[side].unsqueeze(dim))
                if of_weight is not None:
                    of_weight[side] += torch.linalg.vecdot(of_side, negative, dim=dim)
                of_side.addcmul_(positive, of_closeness[side].unsqueeze(dim))
                of_pair = of_side if of_pair is None else of_pair.add_(of_side)
            assert of_pair is not None
            if rows == columns:
                gradient[rows].addmm_(of_pair + of_pair.T, z[rows])
            else:
                gradient[rows].addmm_(of_pair, z[columns])
                gradient[columns].addmm_(of_pair.T, z[rows])
        return _of_features(gradient, z, norm).div_(ctx.temperature), of_weight, None, None, None


def cosines(features: Tensor) -> Tensor:
    """Return ``(N, N)`` cosines between features ``(N, d)``, with one matrix product forward and one backward."""
    matrix: Tensor = _Cosines.apply(features)  # type: ignore[no-untyped-call]
    return matrix


class _Cosines(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        z, norm = _unit(features)
        ctx.save_for_backward(z, norm)
        with torch.autocast(z.device.type, enabled=False):
            return z @ z.T

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_cosine: Tensor) -> Tensor:
        z, norm = ctx.saved_tensors
        with torch.autocast(z.device.type, enabled=False):
            return _of_features((of_cosine + of_cosine.T) @ z, z, norm)


def _unit(features: Tensor) -> tuple[Tensor, Tensor]:
    """Normalise features to length 1; return them and their lengths ``(N, 1)``."""
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_(min=_LEAST_NORM)
    return features / norm, norm


def _of_features(gradient: Tensor, z: Tensor, norm: Tensor) -> Tensor:
    """Return the gradient of features from that of normalised features, which is overwritten; 0 for features of 0."""
    along = torch.linalg.vecdot(gradient, z).unsqueeze(1)
    return gradient.addcmul_(z, along, value=-1).div_(norm).mul_(norm > _LEAST_NORM)


def _tiles(z: Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield the upper triangle of tiles as slices of rows and columns; at least three tiles, to use the symmetry."""
    n = len(z)
    size = min(TILE if z.device.type == "cpu" else _TILE_ON_DEVICE, max(_FEWEST_ROWS, -(-n // 2)))
    cuts = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    for i, rows in enumerate(cuts):
        for columns in cuts[i:]:
            yield rows, columns


def _products(z: Tensor, rows: slice, columns: slice, temperature: float) -> Tensor:
    """Return the products z·z / τ of a tile."""
    out = z.new_empty(rows.stop - rows.start, columns.stop - columns.start)
    return torch.addmm(out, z[rows], z[columns].T, beta=0, alpha=1 / temperature, out=out)


def _sides(rows: slice, columns: slice) -> tuple[tuple[slice, int], ...]:
    """Return the anchors along the rows of a tile and the dimension of their pairs, and those along other columns."""
    return ((rows, 1),) if rows == columns else ((rows, 1), (columns, 0))


def _terms(products: Tensor, positive: Tensor, negative: Tensor, exponent: Tensor) -> Tensor:
    """Return the exponents of all terms without the weights of anchors; overwrites ``products`` and ``exponent``."""
    terms = products.addcmul_(negative, exponent)
    return terms.add_(torch.add(positive, negative, out=exponent).sub_(1.0), alpha=-_OUT)


def _weighted(terms: Tensor, negative: Tensor, log_weight: Tensor | None, side: slice, dim: int) -> Tensor:
    """Add the log weights of the anchors along one side of the tile to their negatives."""
    if log_weight is None:
        return terms
    return torch.addcmul(terms, negative, log_weight[side].unsqueeze(dim))
