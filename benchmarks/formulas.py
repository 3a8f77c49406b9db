"""The formulas as plain loops over rows, pairs and labels, and some as dense tensors: what the fast code must equal."""

import math
import random
import statistics
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def conr_loops(z: Tensor, y: list[float], pred: list[float], *, window: float, temperature: float, push: float):
    """ConR, pair by pair."""
    unit, losses = [row / row.norm() for row in z], []
    for j in range(len(y)):
        positive, terms = [], []
        for i in range(len(y)):
            gap = abs(y[i] - y[j])
            if i != j and gap <= window:
                positive.append(unit[j] @ unit[i] / temperature)
                terms.append(positive[-1].exp())
            elif i != j and abs(pred[i] - pred[j]) <= window:
                terms.append((unit[j] @ unit[i] / temperature + push * gap).exp())
        if 0 < len(positive) < len(terms):
            losses.append(torch.stack(terms).sum().log() - torch.stack(positive).mean())
    return torch.stack(losses).mean()


def conr_dense(z: Tensor, y: Tensor, pred: Tensor, *, window: float, temperature: float, push: float):
    """ConR with matrices of all pairs."""
    z = functional.normalize(z)
    s, gap = z @ z.T / temperature, (y - y.unsqueeze(1)).abs()
    near = (pred - pred.unsqueeze(1)).abs() <= window
    positive, negative = (gap <= window).fill_diagonal_(False), (gap > window) & near
    total = (s.exp() * (positive + negative * (push * gap).exp())).sum(1)
    closeness = (s * positive).sum(1)
    counted = positive.any(1) & negative.any(1)
    return (total[counted].log() - closeness[counted] / positive.sum(1)[counted]).mean()


def rnc_loops(z: Tensor, y: Tensor, *, temperature: float):
    """Rank-N-Contrast, pair by pair."""
    n, total = len(y), 0.0
    for i in range(n):
        s, gap = -(z[i] - z).norm(dim=1) / temperature, (y - y[i]).abs()
        for j in range(n):
            if i != j:
                far = gap >= gap[j]
                far[i] = False
                total = total + s[far].logsumexp(0) - s[j]
    return total / (n * (n - 1))


def rnc_columns(z: Tensor, y: Tensor, *, temperature: float):
    """Rank-N-Contrast with matrices of all pairs, and a loop over the second sample of the pair."""
    n, total = len(y), 0.0
    own = torch.eye(n, dtype=torch.bool)
    s, gap = -torch.cdist(z, z) / temperature, (y - y.unsqueeze(1)).abs()
    for j in range(n):
        far = (gap >= gap[:, j : j + 1]) & ~own
        total = total + (s.masked_fill(~far, -torch.inf).logsumexp(1) - s[:, j])[~own[j]].sum()
    return total / (n * (n - 1))


def _ranks(scores: Sequence[float]) -> list[int]:
    """1 for the largest."""
    places = [0] * len(scores)
    for place, j in enumerate(sorted(range(len(scores)), key=lambda j: -scores[j]), start=1):
        places[j] = place
    return places


def ranksim_loops(z: Tensor, y: list[float], *, interpolation: float):
    """RankSim of labels that all differ, anchor by anchor, with the black-box gradient."""
    m, unit, total = len(y), [row / row.norm() for row in z], 0.0
    for i in range(m):
        likeness = torch.stack([unit[i] @ unit[j] for j in range(m)])
        of_label = _ranks([-abs(y[i] - y[j]) for j in range(m)])
        of_feature = _ranks(likeness.tolist())
        gap = torch.tensor([(a - b) / m for a, b in zip(of_feature, of_label, strict=True)])
        moved = _ranks((likeness + interpolation * 2 * gap / m).tolist())
        pull = torch.tensor([(a - b) / m for a, b in zip(moved, of_feature, strict=True)]) / interpolation
        surrogate = likeness @ pull
        total = total + gap.square().sum() / m + surrogate - surrogate.detach()
    return total


def bmc_loops(p: Tensor, y: Tensor, *, sigma: float):
    """Balanced MSE (BMC), row by row."""
    rows = [-(p[i] - y).square() / (2 * sigma**2) for i in range(len(y))]
    return 2 * sigma**2 * torch.stack([row.logsumexp(0) - row[i] for i, row in enumerate(rows)]).mean()


def bmc_dense(p: Tensor, y: Tensor, *, sigma: float):
    """Balanced MSE (BMC) as cross-entropy over a matrix of all pairs."""
    logits = -(p.unsqueeze(1) - y).square() / (2 * sigma**2)
    return 2 * sigma**2 * functional.cross_entropy(logits, torch.arange(len(y)))


def moments_loops(z: Tensor, index: Tensor, n_bins: int):
    """``(n_bins, d)`` mean and variance of features, bin by bin."""
    rows = [z[index == b] for b in range(n_bins)]
    return torch.stack([r.mean(0) for r in rows]), torch.stack([r.var(0) for r in rows])


def smooth_loops(values, *, window: int = 5, sigma: float = 2.0):
    """Each bin with its neighbours, weighted by a Gaussian of their distance."""
    smoothed = []
    for b in range(len(values)):
        near = range(max(0, b - window // 2), min(len(values), b + window // 2 + 1))
        taps = {c: math.exp(-((b - c) ** 2) / (2 * sigma**2)) for c in near}
        smoothed.append(sum(taps[c] * values[c] for c in near) / sum(taps.values()))
    return smoothed


def fds_loops(z: Tensor, index: list[int], statistics):
    """FDS row by row, from means, variances, smoothed means and smoothed variances by bin."""
    mean, var, smoothed_mean, smoothed_var = statistics
    rows = [
        (row - mean[b]) * (smoothed_var[b] / var[b]).sqrt() + smoothed_mean[b] for row, b in zip(z, index, strict=True)
    ]
    return torch.stack(rows)


def lds_loops(y: list[int], n_bins: int) -> list[float]:
    """Square-root inverse weights of whole-number labels by LDS, label by label."""
    counts = [0] * n_bins
    for label in y:
        counts[label] += 1
    raw = [1 / math.sqrt(count) if count else 0.0 for count in smooth_loops(counts)]
    total = sum(raw[label] for label in y)
    return [raw[label] * len(y) / total for label in y]


def shots_loops(true: list[int], pred: list[float], train: list[int], *, many: float, few: float) -> list[float]:
    """Rows, MAE, RMSE, geometric mean, bias and bMAE of all, many-, medium- and few-shot rows, row by row."""
    counts: dict[int, int] = {}
    for label in train:
        counts[label] = counts.get(label, 0) + 1
    found = []
    for region in ("all", "many", "medium", "few"):
        errors, by_label = [], {}
        for label, value in zip(true, pred, strict=True):
            count = counts.get(label, 0)
            own = "many" if count > many else "zero" if count == 0 else "few" if count < few else "medium"
            if region in ("all", own):
                errors.append(value - label)
                by_label.setdefault(label, []).append(abs(value - label))
        n = len(errors)
        found += [
            n,
            sum(abs(e) for e in errors) / n,
            math.sqrt(sum(e * e for e in errors) / n),
            math.exp(sum(math.log(max(abs(e), 1e-10)) for e in errors) / n),
            sum(errors) / n,
            sum(sum(own) / len(own) for own in by_label.values()) / len(by_label),
        ]
    return found


def counts_loops(y: list[float], n_bins: int) -> list[int]:
    """Labels in bins of width 1 from 0 on, label by label."""
    counts = [0] * n_bins
    for label in y:
        counts[min(int(label), n_bins - 1)] += 1
    return counts


def smogn_loops(X: list[list[float]], y: list[float], rare: list[int], n: int, *, k: int, noise: bool):
    """Rows of SMOGN, or of SMOTER without noise, one by one: the neighbours of each base row are found anew."""
    draw, made = random.Random(0), []
    spread = [statistics.pstdev(X[i][c] for i in rare) for c in range(len(X[0]))]
    spread_y = statistics.pstdev(y[i] for i in rare)
    for turn in range(n):
        i = rare[turn % len(rare)]
        near = sorted((math.dist(X[i], X[j]), j) for j in rare if j != i)
        distance, j = draw.choice(near[:k])
        safe = statistics.median(d for d, _ in near) / 2
        if not noise or distance < safe:
            u = draw.random()
            row = [a + u * (b - a) for a, b in zip(X[i], X[j], strict=True)]
            to_i, to_j = math.dist(row, X[i]), math.dist(row, X[j])
            made.append((row, (to_j * y[i] + to_i * y[j]) / (to_i + to_j)))
        else:
            scale = min(safe, 0.02)
            row = [a + draw.gauss(0, scale * s) for a, s in zip(X[i], spread, strict=True)]
            made.append((row, y[i] + draw.gauss(0, scale * spread_y)))
    return made
