"""Balanced MSE: squared error corrected for the training labels' distribution, in three forms (GAI, BMC, BNI)."""

import warnings

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from tailwise._checks import InputError, label_array, not_a_column, positive, same_shape, true_or_false, whole
from tailwise._part import FromLabels, Part, Setting
from tailwise.distributed import gather_all
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.labels.streaming import LabelDensity
from tailwise.labels.tensors import step_labels
from tailwise.losses.loss import Loss
from tailwise.losses.own_label import own_label_nll
from tailwise.losses.reduce import weighted_mean

_CANDIDATES = (1, 2, 4, 8, 16)


def bmc_loss(
    pred: Tensor, target: Tensor, weight: Tensor | None = None, *, sigma: Tensor | float, pixels: int = 4096
) -> Tensor:
    """Balanced MSE, batch Monte Carlo: classify each prediction among the labels of the batch.

    Ren et al., *Balanced MSE for Imbalanced Visual Regression* (CVPR 2022): cross-entropy over the batch with logits
    -‖ŷ_i - y_j‖² / 2σ² and class i, times 2σ² (detached), which gives it the scale of a squared error.

    Args:
        pred: ``(B,)``, ``(B, K)``, or dense ``(B, H, W)``.
        target: same shape; NaN pixels are left out.
        weight: ``(B,)``, or dense as ``target``.
        sigma: σ of the noise, target units, above 0.
        pixels: largest number of pixels of a dense target, drawn from torch's generator, because the loss compares all
            pairs.

    Raises:
        InputError: shapes that differ.

    Note:
        A batch of one label gives 0, with a warning, because it has no other labels to compare with. Equal labels count
        as each other's negatives.

    Example:
        >>> float(bmc_loss(torch.tensor([5.0, 3.0]), torch.tensor([5.0, 3.0]), sigma=0.1))
        0.0
    """
    same_shape(pred, target)
    target = step_labels(target)
    if target.ndim >= 3:
        pred, target, weight = _draw(pred, target, weight, pixels)
    if len(target) == 1:
        warnings.warn(
            "bmc compares the labels of a batch, and this one has a single label, which gives 0; use larger batches, "
            "or gai or bni",
            UserWarning,
            stacklevel=2,
        )
    variance = _variance(sigma, pred)
    return _scaled_mean(own_label_nll(pred, target, variance), variance, weight)


def gai_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    sigma: Tensor | float,
    shares: Tensor,
    means: Tensor,
    covariances: Tensor,
) -> Tensor:
    """Balanced MSE, analytical form with a Gaussian mixture for the training labels.

    -log N(y; ŷ, σ²I) + log Σ_k φ_k N(ŷ; μ_k, Σ_k + σ²I), times 2σ² (detached); Ren et al. (CVPR 2022). May be negative.

    Args:
        pred: ``(B,)``, ``(B, K)``, or dense ``(B, H, W)``.
        target: same shape; NaN pixels are left out.
        weight: ``(B,)``, or dense as ``target``.
        sigma: σ of the noise, target units, above 0.
        shares: φ, ``(C,)`` mixing proportions.
        means: μ, ``(C, K)`` with K = 1 for scalar and dense targets.
        covariances: Σ, ``(C, K, K)``.

    Raises:
        InputError: shapes that differ, a mixture of labels of another dimension.
    """
    same_shape(pred, target)
    target = step_labels(target)
    dimensions = target.shape[1] if target.ndim == 2 else 1
    if means.shape[1] != dimensions:
        raise InputError(
            f"the mixture of gai is one of labels with {means.shape[1]} dimensions, but target {tuple(target.shape)} "
            f"has {dimensions}; fit it to training labels of that kind"
        )
    if target.ndim >= 3:
        pred, target, weight = _known(pred, target, weight)
    variance = _variance(sigma, pred)
    if target.ndim == 1:
        wide = covariances.view(-1).to(pred.dtype) + variance
        distance = (pred.unsqueeze(1) - means.view(-1).to(pred.dtype)).square() / wide
        prior = torch.logsumexp(shares.to(pred.dtype).log() - (wide.log() + distance) / 2, dim=1)
        return _scaled_mean((pred - target).square() / (2 * variance) + variance.log() / 2 + prior, variance, weight)
    p, y = pred, target
    if p.dtype in (torch.float16, torch.bfloat16):  # torch has no Cholesky factorisation in half precision
        p, y = p.float(), y.float()
    variance = _variance(sigma, p)
    k = p.shape[1]
    wide = covariances.to(p.dtype) + variance * torch.eye(k, dtype=p.dtype, device=p.device)
    factor = torch.linalg.cholesky(wide)
    gap = (p.unsqueeze(1) - means.to(p.dtype)).permute(1, 2, 0)
    mahalanobis = torch.linalg.solve_triangular(factor, gap, upper=False).square().sum(1).T
    log_det = 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1)
    prior = torch.logsumexp(shares.to(p.dtype).log() - (log_det + mahalanobis) / 2, dim=1)
    values = (p - y).square().sum(1) / (2 * variance) + k * variance.log() / 2 + prior
    return _scaled_mean(values, variance, weight)


def bni_loss(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    sigma: Tensor | float,
    centers: Tensor,
    shares: Tensor,
) -> Tensor:
    """Balanced MSE, numerical integration over the bins of the training labels.

    (ŷ - y)² / 2σ² + log Σ_k p_k exp(-(ŷ - c_k)² / 2σ²), times 2σ² (detached); Ren et al. (CVPR 2022). May be negative.

    Args:
        pred: ``(B,)``, or dense ``(B, H, W)``.
        target: same shape; NaN pixels are left out.
        weight: same shape.
        sigma: σ of the noise, target units, above 0.
        centers: c, ``(n,)`` centres of the bins that have training rows.
        shares: p, ``(n,)`` fraction of the training rows in each of these bins.

    Raises:
        InputError: shapes that differ, or K-dimensional targets.
    """
    same_shape(pred, target)
    target = step_labels(target)
    not_a_column(target)
    if target.ndim == 2:
        raise InputError("bni integrates over scalar labels; for targets (B, K) use bmc or gai")
    if target.ndim >= 3:
        pred, target, weight = _known(pred, target, weight)
    variance = _variance(sigma, pred)
    far = (pred.unsqueeze(1) - centers.to(pred.dtype)).square()
    prior = torch.logsumexp(shares.to(pred.dtype).log() - far / (2 * variance), dim=1)
    return _scaled_mean((pred - target).square() / (2 * variance) + prior, variance, weight)


class _Noise(Loss):
    """Base class with σ of the noise: fixed, or learnt as its logarithm, which keeps it above 0."""

    degree = 2
    balances = True
    log_sigma: Tensor

    def __init__(self, *, sigma: float, learn_sigma: bool, sigma_lr: float) -> None:
        super().__init__()
        log_sigma = torch.tensor(np.log(positive(sigma, "sigma")), dtype=torch.float32)
        self.sigma_lr = positive(sigma_lr, "sigma_lr")
        if true_or_false(learn_sigma, "learn_sigma"):
            self.log_sigma = nn.Parameter(log_sigma)
        else:
            self.register_buffer("log_sigma", log_sigma)

    @property
    def sigma(self) -> Tensor:
        """σ, target units."""
        return self.log_sigma.exp()

    def learning_rates(self) -> dict[str, float]:
        """Return the learning rates of parameters that do not follow the schedule, by name."""
        return {"log_sigma": self.sigma_lr} if isinstance(self.log_sigma, nn.Parameter) else {}


class BMC(_Noise):
    """Balanced MSE by batch Monte Carlo: :func:`bmc_loss` as a module.

    L = -2σ²/B Σ_i w_i log [exp(-(ŷ_i - y_i)² / 2σ²) / Σ_j exp(-(ŷ_i - y_j)² / 2σ²)], j over the labels of the batch;
    Ren et al. (CVPR 2022).

    Args:
        sigma: initial σ, target units.
        learn_sigma: learn σ.
        sigma_lr: constant learning rate of σ (the authors: 0.01).
        pixels: largest number of pixels drawn of a dense target.
        global_batch: in a data-parallel loop, compute the term over the rows of all processes, whose generators must be
            seeded alike (see :func:`tailwise.distributed.gather_rows`).

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    def __init__(
        self,
        *,
        sigma: float = 1.0,
        learn_sigma: bool = True,
        sigma_lr: float = 0.01,
        pixels: int = 4096,
        global_batch: bool = False,
    ) -> None:
        super().__init__(sigma=sigma, learn_sigma=learn_sigma, sigma_lr=sigma_lr)
        self.pixels = whole(pixels, "pixels", least=2)
        self.global_batch = global_batch

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the Balanced MSE of a batch."""
        if self.global_batch:
            pred, target, weight = gather_all(pred, target, weight)
        return bmc_loss(pred, target, weight, sigma=self.sigma, pixels=self.pixels)


class GAI(_Noise):
    """Balanced MSE by a Gaussian mixture φ, μ, Σ of the training labels: :func:`gai_loss` as a module.

    L = 2σ² mean_i w_i [-log N(y_i; ŷ_i, σ²) + log Σ_k φ_k N(ŷ_i; μ_k, Σ_k + σ²)]; Ren et al. (CVPR 2022).

    Args:
        y_train: ``(n,)`` or ``(n, K)`` training labels, target units.
        components: number of components of the mixture; ``None`` takes the one of 1, 2, 4, 8, 16 with the lowest BIC
            (the authors: 8 for ages, 16 for depth).
        sigma: initial σ, target units.
        learn_sigma: learn σ.
        sigma_lr: constant learning rate of σ.

    Shape:
        ``pred`` and ``target`` ``(B,)``, ``(B, K)`` or ``(B, H, W)``, ``weight`` ``(B,)`` or as ``target``; a scalar.
    """

    shares: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(
        self,
        y_train: ArrayLike,
        *,
        components: int | None = 8,
        sigma: float = 1.0,
        learn_sigma: bool = True,
        sigma_lr: float = 0.01,
    ) -> None:
        super().__init__(sigma=sigma, learn_sigma=learn_sigma, sigma_lr=sigma_lr)
        for name, values in zip(("shares", "means", "covariances"), _mixture(y_train, components), strict=True):
            self.register_buffer(name, torch.from_numpy(values).float())

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the Balanced MSE of a batch."""
        return gai_loss(
            pred,
            target,
            weight,
            sigma=self.sigma,
            shares=self.shares,
            means=self.means,
            covariances=self.covariances,
        )


class BNI(_Noise):
    """Balanced MSE by numerical integration: :func:`bni_loss` as a module, over the bins that have training rows.

    L = 2σ² mean_i w_i [(ŷ_i - y_i)² / 2σ² + log Σ_k p_k exp(-(ŷ_i - c_k)² / 2σ²)], p_k the fraction of training labels
    in bin k and c_k its middle; Ren et al. (CVPR 2022).

    Args:
        y_train: ``(n,)`` training labels, target units, or their LabelDensity.
        bins: bins of the target; if not given, the bins of a LabelDensity, or ``Bins.auto(y_train)``.
        sigma: initial σ, target units.
        learn_sigma: learn σ.
        sigma_lr: constant learning rate of σ.
        density: LDS that smooths the counts of the bins; empty bins within its window then take part.

    Shape:
        ``pred`` and ``target`` ``(B,)`` or ``(B, H, W)``, ``weight`` as ``target``; a scalar.
    """

    centers: Tensor
    shares: Tensor

    def __init__(
        self,
        y_train: ArrayLike | LabelDensity,
        bins: Bins | None = None,
        *,
        sigma: float = 1.0,
        learn_sigma: bool = True,
        sigma_lr: float = 0.01,
        density: LDS | None = None,
    ) -> None:
        super().__init__(sigma=sigma, learn_sigma=learn_sigma, sigma_lr=sigma_lr)
        if density is not None and not isinstance(density, LDS):
            raise InputError(f"bni integrates over bins; the density of bins is smoothed by lds, not by {density!r}")
        counted = LabelDensity.of(y_train, bins)
        if not isinstance(counted.bins, Bins):
            raise InputError(f"bni integrates over bins of scalar labels, got {counted!r}")
        bins, counts = counted.bins, counted.counts.astype(np.float64)
        counts = counts if density is None else density.effective(counts, power=1.0)
        has_rows = counts > 0
        self.register_buffer("centers", torch.from_numpy(bins.centers[has_rows]).float())
        self.register_buffer("shares", torch.from_numpy(counts[has_rows] / counts.sum()).float())

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the Balanced MSE of a batch."""
        return bni_loss(pred, target, weight, sigma=self.sigma, centers=self.centers, shares=self.shares)


def _variance(sigma: Tensor | float, like: Tensor) -> Tensor:
    """Return σ² in the type and on the device of a tensor."""
    return torch.as_tensor(sigma, dtype=like.dtype, device=like.device).square()


def _scaled_mean(values: Tensor, variance: Tensor, weight: Tensor | None) -> Tensor:
    """Return the weighted mean times 2σ² (detached)."""
    if len(values) == 0:  # maps without any label
        return values.sum()
    return weighted_mean(values, weight, values) * (2 * variance).detach()


def _known(pred: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the pixels that have a label, in one dimension."""
    known = ~torch.isnan(target)
    return pred[known], target[known], None if weight is None else weight[known]


def _draw(pred: Tensor, target: Tensor, weight: Tensor | None, most: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Draw at most ``most`` of the pixels that have a label, without replacement."""
    pred, target, weight = _known(pred, target, weight)
    if len(target) <= most:
        return pred, target, weight
    drawn = torch.randperm(len(target), device=target.device)[:most]
    return pred[drawn], target[drawn], None if weight is None else weight[drawn]


def _mixture(
    y_train: ArrayLike, components: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Fit a Gaussian mixture to standardised labels; return proportions, means and covariances in target units."""
    from sklearn.mixture import GaussianMixture

    y = np.asarray(y_train, dtype=np.float64)
    y = label_array(y, "y_train").reshape(-1, 1) if y.ndim == 1 else y
    if y.ndim != 2 or not np.isfinite(y).all():
        raise InputError(f"y_train must be finite, (n,) or (n, K), got shape {y.shape}")
    shift, scale = y.mean(axis=0), y.std(axis=0)
    if (scale == 0).any():
        raise InputError("y_train is constant; a mixture needs at least two different labels")
    distinct = len(np.unique(y, axis=0))
    if components is None:
        candidates = [c for c in _CANDIDATES if c <= distinct]
    else:
        candidates = [whole(components, "components", least=1)]
        if components > distinct:
            raise InputError(f"components must be at most {distinct}, the number of different labels, got {components}")
    z = (y - shift) / scale
    fitted = [GaussianMixture(c, random_state=0, reg_covar=1e-6).fit(z) for c in candidates]
    best = min(fitted, key=lambda mixture: float(mixture.bic(z)))
    return best.weights_, best.means_ * scale + shift, best.covariances_ * np.outer(scale, scale)


def _half_spread(setting: Setting) -> float:
    return setting.spread / 2


_SIGMA = FromLabels("half a standard deviation", _half_spread)
BMC_PART = Part(
    name="bmc",
    slot="loss",
    make=BMC,
    summary="Balanced MSE, batch Monte Carlo: corrected for the label distribution, from the batch alone",
    source="Ren et al., Balanced MSE, CVPR",
    year=2022,
    cost="O(B^2) time, O(B) memory",
    use="""\
from tailwise.losses.balanced_mse import BMC
bmc = BMC(sigma=5.0)  # bmc.parameters() belong to the optimiser, at a rate of their own
loss = bmc(pred, y)""",
    from_labels={"sigma": _SIGMA},
    units={"sigma": "target"},
    hidden=frozenset({"global_batch"}),
    corrects=True,
)
GAI_PART = Part(
    name="gai",
    slot="loss",
    make=GAI,
    summary="Balanced MSE, analytical, with a Gaussian mixture fitted to the training labels",
    source="Ren et al., Balanced MSE, CVPR",
    year=2022,
    cost="O(B M)",
    use="""\
from tailwise.losses.balanced_mse import GAI
gai = GAI(y_train, components=8, sigma=5.0)
loss = gai(pred, y)""",
    from_labels={"sigma": _SIGMA},
    units={"sigma": "target"},
    needs=("y",),
    corrects=True,
    of_none={"components": "the number of lowest BIC"},
)
BNI_PART = Part(
    name="bni",
    slot="loss",
    make=BNI,
    summary="Balanced MSE, integrated over the bins of the training labels",
    source="Ren et al., Balanced MSE, CVPR",
    year=2022,
    cost="O(B C)",
    use="""\
from tailwise.losses.balanced_mse import BNI
bni = BNI(y_train, bins, sigma=5.0)
loss = bni(pred, y)""",
    from_labels={"sigma": _SIGMA},
    units={"sigma": "target"},
    targets=("scalar", "dense"),
    needs=("labels", "scalar_bins"),
    hidden=frozenset({"density"}),
    corrects=True,
)
