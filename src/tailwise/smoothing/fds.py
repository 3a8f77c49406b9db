"""Feature distribution smoothing (FDS): calibrate features with statistics averaged over neighbouring bins."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tailwise._checks import InputError, not_negative, number_range, one_of, whole
from tailwise._part import Part
from tailwise.labels.bin_grid import BinGrid
from tailwise.labels.bins import Bins
from tailwise.labels.kernels import COMPATS, Compat, Kernel, kernel_window, smooth
from tailwise.labels.tensors import BinIndex, step_labels
from tailwise.smoothing.epoch_smoothing import EpochSmoothing
from tailwise.smoothing.moments import BinMoments
from tailwise.smoothing.pixels import FEWEST_PIXELS, add_pixels, affine_pixels

Covariance = Literal["diagonal", "full"]
COVARIANCES = ("diagonal", "full")

_NO_VARIANCE = 1e-10
_MOST_BINS = 5_000
_MOST_NUMBERS = 100_000_000


class Keep(nn.Module):
    """Null object of the smoother slot: features stay unchanged."""

    def forward(self, features: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002  the slot's signature
        """Return ``features``."""
        return features

    def end_epoch(self) -> None:
        """Do nothing."""


def calibration(
    mean: Tensor,
    var: Tensor,
    smoothed_mean: Tensor,
    smoothed_var: Tensor,
    *,
    clip: tuple[float, float] | None = None,
    compat: Compat = "paper",
) -> tuple[Tensor, Tensor]:
    """Return scale and shift of z̃ = (z - μ) sqrt(σ̃² / σ²) + μ̃, so that z̃ = scale z + shift.

    Args:
        mean: μ, ``(..., d)``.
        var: σ², same shape.
        smoothed_mean: μ̃, same shape.
        smoothed_var: σ̃², same shape.
        clip: range of σ̃² / σ².
        compat: a channel without variance has no ratio. ``"paper"`` shifts it by μ̃ - μ; ``"reference"`` leaves it
            unchanged, and the whole bin if its variances sum to less than 1e-10.
    """
    varies = (var > 0) & (smoothed_var >= 0) & (var.sum(-1, keepdim=True) >= _NO_VARIANCE)
    ratio = torch.where(varies, smoothed_var, 1.0) / torch.where(varies, var, 1.0)
    if clip is not None:
        ratio = ratio.clamp(*clip)
    scale = torch.where(varies, ratio.sqrt(), 1.0)
    shift = smoothed_mean - mean * scale
    return scale, torch.where(varies, shift, 0.0) if compat == "reference" else shift


def shrunk(covariance: Tensor, n: Tensor) -> Tensor:
    """Shrink covariances towards a multiple of the identity, so that they are invertible even with few samples.

    Oracle approximating shrinkage (Chen, Wiesel, Eldar and Hero, *Shrinkage Algorithms for MMSE Covariance Estimation*,
    IEEE Transactions on Signal Processing 2010), from a covariance and its number of samples.

    Args:
        covariance: ``(..., d, d)``.
        n: ``(..., 1)`` number of samples of each covariance.
    """
    d = covariance.shape[-1]
    n = n.unsqueeze(-1)
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    alpha = covariance.square().mean((-2, -1), keepdim=True)
    mu = trace / d
    spread = (n + 1) * (alpha - mu.square() / d)
    shrinkage = torch.where(spread > 0, (alpha + mu.square()) / spread, torch.ones_like(spread)).clamp(max=1.0)
    identity = torch.eye(d, dtype=covariance.dtype, device=covariance.device)
    return (1 - shrinkage) * covariance + shrinkage * mu * identity


def recolouring(covariance: Tensor, smoothed: Tensor) -> Tensor:
    """Return Σ̃^(1/2) Σ^(-1/2), whitening by one covariance and colouring by another; the identity if either is 0.

    Args:
        covariance: Σ, ``(..., d, d)``.
        smoothed: Σ̃, same shape.
    """
    identity = torch.eye(covariance.shape[-1], dtype=covariance.dtype, device=covariance.device)
    varies = covariance.diagonal(dim1=-2, dim2=-1).sum(-1) >= _NO_VARIANCE
    varies = (varies & (smoothed.diagonal(dim1=-2, dim2=-1).sum(-1) >= _NO_VARIANCE))[..., None, None]
    values, vectors = torch.linalg.eigh(torch.where(varies, covariance, identity))
    floor = values[..., -1:] * torch.finfo(values.dtype).eps * covariance.shape[-1]
    whitening = vectors * values.clamp(min=floor).rsqrt().unsqueeze(-2) @ vectors.mT
    values, vectors = torch.linalg.eigh(torch.where(varies, smoothed, identity))
    colouring = vectors * values.clamp(min=0).sqrt().unsqueeze(-2) @ vectors.mT
    return torch.where(varies, colouring @ whitening, identity)


class FDS(EpochSmoothing):
    """Feature distribution smoothing.

    Yang et al., *Delving into Deep Imbalanced Regression* (ICML 2021): features of a label in bin b are
    re-coloured from the bin's statistics to smoothed statistics, per channel

        z̃ = (z - μ_b) sqrt(σ̃²_b / σ²_b) + μ̃_b,    μ̃_b = Σ k(b, b') μ_b',    σ̃²_b = Σ k(b, b') σ²_b'

    or, with ``covariance="full"``, by whitening and re-colouring, z̃ = Σ̃_b^(1/2) Σ_b^(-1/2) (z - μ_b) + μ̃_b.

    In training mode every call also adds the batch to the statistics of the current epoch (one pass, numerically
    stable, from detached features before smoothing). ``end_epoch()`` merges them into the running statistics, which the
    next epoch uses. In evaluation mode features pass unchanged, as at inference.

    Args:
        bins: bins of the target; a :class:`tailwise.labels.bin_grid.BinGrid` for K-dimensional labels.
        n_features: number of channels d.
        covariance: ``"diagonal"`` as in the authors' code, or ``"full"`` for the paper's covariance matrices, each
            shrunk by :func:`shrunk`; bins x d² numbers, so at most about 1,000 channels at 100 bins, and rows x d² in a
            step.
        kernel: ``"gaussian"``, ``"triangular"`` or ``"laplace"``.
        window: number of bins that the kernel covers, odd.
        sigma: σ in bins.
        momentum: weight of the past in the running statistics; ``None`` averages over all samples seen so far.
        clip: range of σ̃²_b / σ²_b (the authors: (0.1, 10) for ages, (0.5, 2) for text, (0.2, 5) for depth); ``None``
            takes the default of ``compat`` (see Note).
        start_update: first epoch, counted from 0, that updates the statistics.
        start_smooth: first epoch, counted from 0, that smooths features.
        compat: ``"paper"`` or ``"reference"``.

    Shape:
        ``features`` ``(B, d)`` with ``target`` ``(B,)`` (``(B, K)`` for a grid of bins), or ``(B, d, H, W)`` with
        ``(B, H, W)``; the output has the shape of ``features``. Pixels whose label is NaN pass unchanged and are not
        counted.

    Raises:
        InputError: features or targets of another shape, bad parameters.

    Note:
        The paper's formula has no clip. ``compat="reference"`` takes the authors' choices: their folded Gaussian, the
        clip (0.1, 10), mirrored bins beyond the ends, and a first epoch that counts in full, whereas the default
        corrects the bias of the running average. Their defects are not reproduced: bins without samples are left out of
        the smoothing (in their code they enter as mean 0, variance 1), buffers are not shared, features are not written
        in place, and smoothed statistics are not an epoch late (``tests/test_golden_fds.py``). A bin with fewer than
        two samples in an epoch has no variance: it is left out of the smoothed variances (the authors count 0), and its
        features are only shifted, like constant channels.

    Example:
        >>> fds = FDS(Bins.from_edges(range(0, 11)), n_features=4)
        >>> y = torch.arange(10.0)
        >>> for epoch in range(2):
        ...     smoothed = fds(torch.randn(10, 4), y)
        ...     fds.end_epoch()
        >>> smoothed.shape
        torch.Size([10, 4])
    """

    gathers = True
    kernel: Tensor
    mean_weight: Tensor
    var_weight: Tensor
    running_mean: Tensor
    running_var: Tensor
    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        bins: Bins | BinGrid,
        n_features: int,
        *,
        covariance: Covariance = "diagonal",
        kernel: Kernel = "gaussian",
        window: int = 5,
        sigma: float = 2.0,
        momentum: float | None = 0.9,
        clip: tuple[float, float] | None = None,
        start_update: int = 0,
        start_smooth: int = 1,
        compat: Compat = "paper",
    ) -> None:
        super().__init__()
        one_of(compat, "compat", COMPATS)
        one_of(covariance, "covariance", COVARIANCES)
        if covariance == "full" and (clip is not None or compat == "reference"):
            raise InputError("a full covariance has no ratio to clip and no reference code; leave out clip and compat")
        if momentum is not None and not_negative(momentum, "momentum") >= 1:
            raise InputError(f"momentum must be None or at least 0 and below 1, got {momentum!r}")
        if clip is None and compat == "reference":
            clip = (0.1, 10.0)
        if clip is not None:
            clip = number_range(clip, "clip")
        if clip is not None and not 0 < clip[0] <= 1 <= clip[1]:
            raise InputError(f"clip must be a range (low, high) with 0 < low <= 1 <= high, got {clip!r}")
        n_features = whole(n_features, "n_features", least=1)
        start_update = whole(start_update, "start_update", least=0)
        start_smooth = whole(start_smooth, "start_smooth", least=1)
        if bins.n_bins > _MOST_BINS:
            raise InputError(f"FDS takes at most {_MOST_BINS:,} bins, got {bins.n_bins:,}; use wider bins")
        self.full = covariance == "full"
        if self.full and bins.n_bins * n_features**2 > _MOST_NUMBERS:
            raise InputError(
                f"full covariances of {n_features:,} channels in {bins.n_bins:,} bins are "
                f"{bins.n_bins * n_features**2:,} numbers, more than {_MOST_NUMBERS:,}; use wider bins, fewer "
                "channels, or covariance='diagonal'"
            )
        self.bins, self.n_features = bins, n_features
        self.momentum, self.clip, self.compat = momentum, clip, compat
        self.start_update, self.start_smooth = start_update, start_smooth

        taps = kernel_window(kernel, window=window, sigma=sigma, compat=compat)
        smoothing = bins.smooth if isinstance(bins, BinGrid) else smooth
        matrix = smoothing(
            np.eye(bins.n_bins), taps / taps.sum(), padding="mirror" if compat == "reference" else "constant"
        )
        self.bin_index = BinIndex(bins)
        self.register_buffer("kernel", torch.from_numpy(matrix).float())
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        n, d = bins.n_bins, n_features
        spread = (n, d, d) if self.full else (n, d)
        for name, shape in {
            "mean_weight": (n, 1),
            "var_weight": (n, 1),
            "running_mean": (n, d),
            "running_var": spread,
        }.items():
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("scale", torch.eye(d).expand(spread).clone() if self.full else torch.ones(n, d))
        self.register_buffer("shift", torch.zeros(n, d))
        self.moments = BinMoments(n, d, full=self.full)

    def forward(self, features: Tensor, target: Tensor) -> Tensor:
        """Return smoothed features in training mode, unchanged features in evaluation mode."""
        if not self.training:
            return features
        axes = 2 if isinstance(self.bins, BinGrid) else 1
        if features.ndim == 2 and features.shape == (len(target), self.n_features) and target.ndim == axes:
            return self._step(features, self.bin_index(step_labels(target)))
        dense = features.ndim == 4 and target.shape == (features.shape[0], *features.shape[2:])
        if axes == 2 or not dense or features.shape[1] != self.n_features:
            raise InputError(
                f"FDS of {self.n_features} channels takes features (B, {self.n_features}) with target (B,), with "
                f"(B, K) for a grid of bins, or "
                f"(B, {self.n_features}, H, W) with (B, H, W); got {tuple(features.shape)} and {tuple(target.shape)}"
            )
        # Pixels without a label go to an extra bin after the others, which leaves them unchanged.
        index = self.bin_index(target).masked_fill_(torch.isnan(target), self.bins.n_bins)
        if not self.full and index[0].numel() >= FEWEST_PIXELS:
            return self._large_maps(features, index)
        pixels = features.movedim(1, -1)
        smoothed = self._step(pixels.reshape(-1, self.n_features), index.flatten(), spare=True)
        return smoothed.view(pixels.shape).movedim(-1, 1)

    def _large_maps(self, features: Tensor, index: Tensor) -> Tensor:
        """Add pixels to the statistics and smooth them, without copies of all maps."""
        if self.gathers:
            add_pixels(features, index, self.moments)
        return affine_pixels(features, index, *self._with_spare()) if self._active else features

    def _with_spare(self) -> tuple[Tensor, Tensor]:
        """Return scale and shift of each bin and of one after the others, which leaves features unchanged."""
        return torch.cat([self.scale, self._identity()]), torch.cat([self.shift, torch.zeros_like(self.shift[:1])])

    def _step(self, features: Tensor, index: Tensor, *, spare: bool = False) -> Tensor:
        """Add rows to the statistics and smooth them; rows of a ``spare`` bin after the others stay unchanged."""
        if self.gathers:
            self.moments.add(features, index)
        if not self._active:
            return features
        scales, shifts = self._with_spare() if spare else (self.scale, self.shift)
        shift, scale = shifts.index_select(0, index), scales.index_select(0, index)
        if self.full:
            return (shift + torch.einsum("nij,nj->ni", scale, features.to(scale.dtype))).to(features.dtype)
        return shift.addcmul_(features, scale).to(features.dtype)

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Merge the epoch's statistics into the running ones, smooth them, and start a new epoch."""
        if int(self.epoch) >= self.start_update:
            self.moments.merge_processes()
            self._fold(self.moments)
        self.moments.reset(self.running_mean)
        self._count_epoch()
        mean, var = self.smoothed_statistics()
        if self.full:
            scale = recolouring(self.running_var, var)
            shift = mean - (scale @ self.running_mean.unsqueeze(-1)).squeeze(-1)
        else:
            scale, shift = calibration(
                self.running_mean, self.running_var, mean, var, clip=self.clip, compat=self.compat
            )
        known = self.mean_weight > 0
        self.scale = torch.where(known.unsqueeze(-1) if self.full else known, scale, self._identity())
        self.shift = torch.where(known, shift, torch.zeros_like(shift))

    def _identity(self) -> Tensor:
        """Return the scale of a bin that leaves features unchanged, as one row."""
        one = self.scale.new_ones(self.n_features)
        return (torch.diag(one) if self.full else one).unsqueeze(0)

    def _fold(self, moments: BinMoments) -> None:
        """Update the running averages of the bins seen in this epoch."""
        reference = self.compat == "reference"
        count = moments.count.to(self.running_mean.dtype)
        var = moments.m2 / moments.each((count - 1).clamp(min=1))
        if self.full:
            var = shrunk(var, count)
        # One sample has a mean but no variance. The authors count it as variance 0.
        for name, new, updated in (
            ("mean", moments.mean, count > 0),
            ("var", var, count > (0 if reference else 1)),
        ):
            old, past = getattr(self, f"running_{name}"), getattr(self, f"{name}_weight")
            if self.momentum is None:
                weight = past + count
                decay = past / weight.clamp(min=1)
            else:
                # The weight of the past starts at 0, which corrects the bias of the average as in Adam; in the authors'
                # code the first epoch counts in full instead.
                first = 1.0 if reference else 1 - self.momentum
                weight = torch.where(past > 0, self.momentum * past + 1 - self.momentum, first)
                decay = self.momentum * past / weight
            factor, mask = (decay, updated) if new.ndim == 2 else (decay.unsqueeze(-1), updated.unsqueeze(-1))
            setattr(self, f"running_{name}", torch.where(mask, factor * old + (1 - factor) * new, old))
            setattr(self, f"{name}_weight", torch.where(updated, weight, past))

    def smoothed_statistics(self) -> tuple[Tensor, Tensor]:
        """Return smoothed means ``(n_bins, d)`` and variances, each averaged over the bins that have one."""
        return (
            self._smooth(self.running_mean, self.mean_weight > 0),
            self._smooth(self.running_var, self.var_weight > 0),
        )

    def _smooth(self, statistic: Tensor, known: Tensor) -> Tensor:
        """Average a statistic over neighbouring known bins."""
        mask = known.to(self.kernel.dtype)
        total = (self.kernel @ mask).clamp(min=torch.finfo(self.kernel.dtype).tiny)
        return ((self.kernel * mask.T / total) @ statistic.flatten(1)).view_as(statistic)

    def extra_repr(self) -> str:
        """Return bins, channels and parameters as text."""
        return f"{self.bins!r}, n_features={self.n_features}, momentum={self.momentum}, compat={self.compat!r}"


FDS_PART = Part(
    name="fds",
    slot="smoother",
    make=FDS,
    summary="feature distribution smoothing",
    source="Yang et al., Delving into Deep Imbalanced Regression, ICML",
    year=2021,
    cost="O(B d); full covariance O(B d^2), and O(C d^3) an epoch",
    use="""\
from tailwise import FDS
fds = FDS(bins, model.n_features)
pred = model.head(fds(model.encode(x), y))  # and fds.end_epoch() after each epoch""",
    units={"window": "bins", "sigma": "bins", "start_update": "epochs", "start_smooth": "epochs"},
    needs=("bins", "n_features"),
    of_none={"momentum": "all samples so far", "clip": "no clip, or (0.1, 10) for compat=reference"},
)
