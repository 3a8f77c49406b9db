"""Probabilistic representation smoothing: FDS for Gaussian features, each with a mean and a variance."""

import numpy as np
import torch
from torch import Tensor

from tailwise._checks import InputError, not_negative, number_range, whole
from tailwise.labels.bins import Bins
from tailwise.labels.kernels import Kernel, kernel_window, smooth
from tailwise.labels.tensors import BinIndex
from tailwise.smoothing.epoch_smoothing import EpochSmoothing
from tailwise.smoothing.moments import BinMoments

_MOST_BINS = 5_000


class PRM(EpochSmoothing):
    """Calibrate Gaussian features with uncertain statistics averaged over neighbouring bins.

    Wang and Wang, *Variational Imbalanced Regression* (NeurIPS 2023). The n_b features N(μ_i, σ_i²) in bin b have, per
    channel, the mean, the variance of the mean, and the expected variance within the bin

        m_b = (1/n_b) Σ μ_i,    v_b = (1/n_b²) Σ σ_i²,    s_b = (1/n_b) Σ (σ_i² - v_b + μ_i² - m_b²).

    A kernel k that sums to 1 over the bins seen gives m̃_b = Σ k m, s̃_b = Σ k s and f_b = s̃_b / s_b, clipped. Then

        μ' = √f_b (μ - m_b) + m̃_b,    σ²' = f_b σ² + (√f_b - k_bb)² v_b + Σ_{b' ≠ b} k_bb'² v_b'.

    In training mode every call also adds the batch to the statistics of the current epoch (one pass, from detached
    features before smoothing). ``end_epoch()`` merges them into bias-corrected running averages, which the next epoch
    uses. In evaluation mode features pass unchanged.

    Args:
        bins: bins of the target.
        n_features: number of channels d.
        kernel: ``"gaussian"``, ``"triangular"`` or ``"laplace"``.
        window: number of bins that the kernel covers, odd.
        sigma: σ in bins.
        momentum: weight of the past in the running statistics.
        clip: range of f.
        start_update: first epoch, counted from 0, that updates the statistics.
        start_smooth: first epoch, counted from 0, that smooths features.

    Shape:
        ``mean`` and ``variance`` ``(B, d)`` with ``target`` ``(B,)`` to a pair ``(B, d)``.

    Raises:
        InputError: features or targets of another shape, bad parameters.

    Note:
        σ²' is the variance of z' = √f (z - m_b) + m̃_b, where z and the means of all bins are independent. Because m̃_b
        contains k_bb m_b, z' = √f z - (√f - k_bb) m_b + Σ_{b' ≠ b} k_bb' m_b' has independent terms, and their
        variances add up to the formula above. The authors' code has (σ² + v_b) √f + Σ k² v, but a variance scales with
        f, and m_b counts twice in their sum: a bin without neighbours would change. Bins never seen are left out; a bin
        with fewer than two samples in an epoch has no s: it is left out of s̃, and its features are only shifted.

    Example:
        >>> prm = PRM(Bins.from_edges(range(0, 11)), n_features=4)
        >>> y = torch.arange(10.0)
        >>> for epoch in range(2):
        ...     mean, variance = prm(torch.randn(10, 4), torch.rand(10, 4), y)
        ...     prm.end_epoch()
        >>> mean.shape, variance.shape
        (torch.Size([10, 4]), torch.Size([10, 4]))
    """

    gathers = True
    kernel: Tensor
    mean_weight: Tensor
    spread_weight: Tensor
    running_mean: Tensor
    running_uncertainty: Tensor
    running_spread: Tensor
    scale: Tensor
    shift: Tensor
    added: Tensor

    def __init__(
        self,
        bins: Bins,
        n_features: int,
        *,
        kernel: Kernel = "gaussian",
        window: int = 5,
        sigma: float = 2.0,
        momentum: float = 0.9,
        clip: tuple[float, float] = (0.1, 10.0),
        start_update: int = 0,
        start_smooth: int = 1,
    ) -> None:
        super().__init__()
        if not_negative(momentum, "momentum") >= 1:
            raise InputError(f"momentum must be at least 0 and below 1, got {momentum!r}")
        clip = number_range(clip, "clip")
        if not 0 < clip[0] <= 1 <= clip[1]:
            raise InputError(f"clip must be a range (low, high) with 0 < low <= 1 <= high, got {clip!r}")
        n, d = bins.n_bins, whole(n_features, "n_features", least=1)
        if n > _MOST_BINS:
            raise InputError(f"PRM takes at most {_MOST_BINS:,} bins, got {n:,}; use wider bins")
        self.bins, self.n_features, self.momentum, self.clip = bins, d, momentum, clip
        self.start_update = whole(start_update, "start_update", least=0)
        self.start_smooth = whole(start_smooth, "start_smooth", least=1)

        self.bin_index = BinIndex(bins)
        matrix = smooth(np.eye(n), kernel_window(kernel, window=window, sigma=sigma), padding="constant")
        self.register_buffer("kernel", torch.from_numpy(matrix).float())
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        for name in ("mean_weight", "spread_weight"):
            self.register_buffer(name, torch.zeros(n, 1))
        for name in ("running_mean", "running_uncertainty", "running_spread"):
            self.register_buffer(name, torch.zeros(n, d))
        self.register_buffer("scale", torch.ones(n, d))
        self.register_buffer("shift", torch.zeros(n, d))
        self.register_buffer("added", torch.zeros(n, d))
        self.moments, self.variances = BinMoments(n, d), BinMoments(n, d)

    def forward(self, mean: Tensor, variance: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return smoothed means and variances in training mode, unchanged ones in evaluation mode."""
        if not self.training:
            return mean, variance
        if target.ndim != 1 or not mean.shape == variance.shape == (len(target), self.n_features):
            raise InputError(
                f"PRM of {self.n_features} channels takes mean and variance (B, {self.n_features}) with target (B,), "
                f"got {tuple(mean.shape)}, {tuple(variance.shape)} and {tuple(target.shape)}"
            )
        index = self.bin_index(target)
        if self.gathers:
            self.moments.add(mean, index)
            self.variances.add(variance, index)
        if not self._active:
            return mean, variance
        scale, shift, added = (t.index_select(0, index) for t in (self.scale, self.shift, self.added))
        moved, widened = torch.addcmul(shift, mean, scale), torch.addcmul(added, variance, scale.square())
        return moved.to(mean.dtype), widened.to(variance.dtype)

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Merge the epoch's statistics of all processes into the running ones, smooth them, and start a new epoch."""
        if int(self.epoch) >= self.start_update:
            for statistics in (self.moments, self.variances):
                statistics.merge_processes()
            self._fold()
        for statistics in (self.moments, self.variances):
            statistics.reset(self.running_mean)
        self._count_epoch()
        self._calibrate()

    def _fold(self) -> None:
        """Update the running averages of the bins seen in this epoch."""
        count = self.moments.count.to(self.running_mean.dtype)
        n = count.clamp(min=1)
        uncertainty = self.variances.mean / n
        spread = self.moments.m2 / n + self.variances.mean - uncertainty
        # s needs at least two samples; with one it is always 0.
        for kind, updated, new in (
            ("mean", count > 0, {"mean": self.moments.mean, "uncertainty": uncertainty}),
            ("spread", count > 1, {"spread": spread}),
        ):
            past = getattr(self, f"{kind}_weight")
            # The weight of the past starts at 0, which corrects the bias of the average as in Adam.
            weight = self.momentum * past + 1 - self.momentum
            decay = self.momentum * past / weight
            for name, values in new.items():
                old = getattr(self, f"running_{name}")
                setattr(self, f"running_{name}", torch.where(updated, decay * old + (1 - decay) * values, old))
            setattr(self, f"{kind}_weight", torch.where(updated, weight, past))

    def _calibrate(self) -> None:
        """Compute scale √f, shift of the mean and added variance of each bin."""
        known, has_spread = self.mean_weight > 0, self.spread_weight > 0
        taps = self._taps(known)
        smoothed_spread = self._taps(has_spread) @ self.running_spread
        varies = has_spread & (self.running_spread > 0)
        ratio = torch.where(varies, smoothed_spread, 1.0) / torch.where(varies, self.running_spread, 1.0)
        self.scale = torch.where(varies, ratio.clamp(*self.clip).sqrt(), torch.ones_like(ratio))
        shift = taps @ self.running_mean - self.scale * self.running_mean
        middle = taps.diagonal().unsqueeze(1)
        others = taps - torch.diag_embed(taps.diagonal())
        added = (self.scale - middle).square() * self.running_uncertainty + others.square() @ self.running_uncertainty
        self.shift = torch.where(known, shift, torch.zeros_like(shift))
        self.added = torch.where(known, added, torch.zeros_like(added))

    def _taps(self, known: Tensor) -> Tensor:
        """Return the kernel over the known bins, with rows that sum to 1."""
        taps = self.kernel * known.to(self.kernel.dtype).T
        return taps / taps.sum(1, keepdim=True).clamp(min=torch.finfo(taps.dtype).tiny)

    def extra_repr(self) -> str:
        """Return bins, channels and momentum as text."""
        return f"{self.bins!r}, n_features={self.n_features}, momentum={self.momentum}"
