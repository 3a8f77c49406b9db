"""ConR's sums over all pairs as two Triton kernels; the matrix of pairs is never written to memory.

In the forward pass a program handles a block of anchors and loops over all samples with a running maximum and sum. In
the backward pass it computes the same products again and both gradients of a pair at once, so no two programs write to
the same place.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_FEATURES = 256
_FEWEST = 16  # smallest side of a product
_WIDE, _NARROW, _BYTES = 64, 32, 256  # sides of a tile, for features of at most this many bytes per row and for longer


@triton.jit
def _pairs(zi, zj, yi, yj, pi, pj, i, j, n, temperature, window, push):  # type: ignore[no-untyped-def]
    """Return the products of a tile, whether its pairs are positive or negative, and the exponents of negatives."""
    products = tl.dot(zi, tl.trans(zj), input_precision="ieee") / temperature
    gap = tl.abs(yi[:, None] - yj[None, :])
    is_pair = (i[:, None] < n) & (j[None, :] < n) & (i[:, None] != j[None, :])
    positive = (gap <= window) & is_pair
    negative = (gap > window) & (tl.abs(pi[:, None] - pj[None, :]) <= window) & is_pair
    return products, positive, negative, products + push * gap


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    z, y, p, lw, log_sum, closeness, n_positive, n_negative, n, d, temperature, window, push,
    rows: tl.constexpr, columns: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    i, k = tl.program_id(0) * rows + tl.arange(0, rows), tl.arange(0, width)
    zi = tl.load(z + i[:, None] * d + k[None, :], mask=(i[:, None] < n) & (k[None, :] < d), other=0.0)
    yi, pi = tl.load(y + i, mask=i < n, other=0.0), tl.load(p + i, mask=i < n, other=0.0)
    wi = tl.load(lw + i, mask=i < n, other=0.0)
    largest, total = tl.full((rows,), -1e30, tl.float32), tl.zeros((rows,), tl.float32)
    close, pos, neg = tl.zeros((rows,), tl.float32), tl.zeros((rows,), tl.float32), tl.zeros((rows,), tl.float32)
    for start in range(0, n, columns):
        j = start + tl.arange(0, columns)
        zj = tl.load(z + j[:, None] * d + k[None, :], mask=(j[:, None] < n) & (k[None, :] < d), other=0.0)
        yj, pj = tl.load(y + j, mask=j < n, other=0.0), tl.load(p + j, mask=j < n, other=0.0)
        products, positive, negative, pushed = _pairs(zi, zj, yi, yj, pi, pj, i, j, n, temperature, window, push)
        terms = tl.where(positive, products, tl.where(negative, pushed + wi[:, None], -1e30))
        new = tl.maximum(largest, tl.max(terms, 1))
        scaled = tl.where(positive | negative, tl.exp(terms - new[:, None]), 0.0)
        total = total * tl.exp(largest - new) + tl.sum(scaled, 1)
        largest = new
        close += tl.sum(tl.where(positive, products, 0.0), 1)
        pos += tl.sum(positive.to(tl.float32), 1)
        neg += tl.sum(negative.to(tl.float32), 1)
    log_total = tl.where(total > 0, largest + tl.log(tl.where(total > 0, total, 1.0)), -1e30)
    tl.store(log_sum + i, log_total, mask=i < n)
    tl.store(closeness + i, close, mask=i < n)
    tl.store(n_positive + i, pos, mask=i < n)
    tl.store(n_negative + i, neg, mask=i < n)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]
    z, y, p, lw, log_sum, of_log_sum, of_closeness, gradient, of_weight, n, d, temperature, window, push,
    rows: tl.constexpr, columns: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    i, k = tl.program_id(0) * rows + tl.arange(0, rows), tl.arange(0, width)
    zi = tl.load(z + i[:, None] * d + k[None, :], mask=(i[:, None] < n) & (k[None, :] < d), other=0.0)
    yi, pi = tl.load(y + i, mask=i < n, other=0.0), tl.load(p + i, mask=i < n, other=0.0)
    wi, li = tl.load(lw + i, mask=i < n, other=0.0), tl.load(log_sum + i, mask=i < n, other=0.0)
    si, qi = tl.load(of_log_sum + i, mask=i < n, other=0.0), tl.load(of_closeness + i, mask=i < n, other=0.0)
    of_z, of_lw = tl.zeros((rows, width), tl.float32), tl.zeros((rows,), tl.float32)
    for start in range(0, n, columns):
        j = start + tl.arange(0, columns)
        zj = tl.load(z + j[:, None] * d + k[None, :], mask=(j[:, None] < n) & (k[None, :] < d), other=0.0)
        yj, pj = tl.load(y + j, mask=j < n, other=0.0), tl.load(p + j, mask=j < n, other=0.0)
        wj, lj = tl.load(lw + j, mask=j < n, other=0.0), tl.load(log_sum + j, mask=j < n, other=0.0)
        sj, qj = tl.load(of_log_sum + j, mask=j < n, other=0.0), tl.load(of_closeness + j, mask=j < n, other=0.0)
        products, positive, negative, pushed = _pairs(zi, zj, yi, yj, pi, pj, i, j, n, temperature, window, push)
        counted = positive | negative
        from_i = tl.where(positive, products, pushed + wi[:, None]) - li[:, None]
        from_j = tl.where(positive, products, pushed + wj[None, :]) - lj[None, :]
        from_i = tl.where(counted, tl.exp(tl.where(counted, from_i, 0.0)), 0.0) * si[:, None]
        from_j = tl.where(counted, tl.exp(tl.where(counted, from_j, 0.0)), 0.0) * sj[None, :]
        of_lw += tl.sum(tl.where(negative, from_i, 0.0), 1)
        of_pair = from_i + from_j + tl.where(positive, qi[:, None] + qj[None, :], 0.0)
        of_z += tl.dot(of_pair.to(zj.dtype), zj, input_precision="ieee")
    tl.store(gradient + i[:, None] * d + k[None, :], of_z, mask=(i[:, None] < n) & (k[None, :] < d))
    tl.store(of_weight + i, of_lw, mask=i < n)


def fused_forward(
    z: Tensor, labels: Tensor, pred: Tensor, log_weight: Tensor, temperature: float, window: float, push: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return log-sums, sums over positives, numbers of positives and of negatives, ``(N,)`` each, in float32.

    Args:
        z: ``(N, d)`` features of length 1, d at most 256.
        labels: ``(N,)``.
        pred: ``(N,)``.
        log_weight: ``(N,)``.
        temperature: τ.
        window: largest distance of similar labels, and of similar predictions.
        push: exponent of a negative's weight per unit of label distance.
    """
    n, d = z.shape
    sums = [torch.empty(n, dtype=torch.float32, device=z.device) for _ in range(4)]
    tile = _tile(z)
    _forward[_grid(n, tile)](z, labels, pred, log_weight, *sums, n, d, temperature, window, push, **tile)
    return sums[0], sums[1], sums[2], sums[3]


def fused_backward(
    z: Tensor,
    labels: Tensor,
    pred: Tensor,
    log_weight: Tensor,
    log_sum: Tensor,
    of_log_sum: Tensor,
    of_closeness: Tensor,
    temperature: float,
    window: float,
    push: float,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``z``, times τ, and of ``log_weight`` from those of log-sums and sums over positives."""
    n, d = z.shape
    gradient = torch.empty(n, d, dtype=torch.float32, device=z.device)
    of_weight = torch.empty(n, dtype=torch.float32, device=z.device)
    incoming = (of_log_sum.contiguous(), of_closeness.contiguous())
    tile = _tile(z)
    _backward[_grid(n, tile)](
        z, labels, pred, log_weight, log_sum, *incoming, gradient, of_weight, n, d, temperature, window, push, **tile
    )
    return gradient, of_weight


def _grid(n: int, tile: dict[str, int]) -> tuple[int]:
    """Return the number of programs, one per block of anchors."""
    return (triton.cdiv(n, tile["rows"]),)


def _tile(z: Tensor) -> dict[str, int]:
    """Return the sides of a tile, small enough for the shared memory of any GPU since 2020."""
    width = max(_FEWEST, triton.next_power_of_2(z.shape[1]))
    side = _WIDE if width * z.element_size() <= _BYTES else _NARROW
    return {"rows": side, "columns": side, "width": width}
