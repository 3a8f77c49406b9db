"""SRL: centroids of the label bins on an even path that covers the sphere of features."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from torch import Tensor

from tailwise._checks import InputError, not_negative, positive, whole
from tailwise._part import Part
from tailwise.labels.bins import Bins
from tailwise.labels.tensors import BinIndex, FullPrecision, step_labels
from tailwise.regularizers.pairs import unit


def envelope_loss(centroids: Tensor, known: Tensor, points: Tensor) -> Tensor:
    """Return 1 - mean_p max_k cos(p, c_k), a distance of points of the sphere from the nearest centroid.

    Args:
        centroids: ``(C, d)`` of length 1.
        known: ``(C,)`` mask of the centroids that exist, at least one.
        points: ``(M, d)`` of length 1.
    """
    cosine = (points @ centroids.T).to(centroids.dtype)
    return 1 - cosine.masked_fill(~known, -torch.inf).amax(1).mean()


def homogeneity_loss(centroids: Tensor, known: Tensor, place: Tensor) -> Tensor:
    """Return Σ ‖c_k' - c_k‖² / (y_k' - y_k) over each known centroid k and the next known one k'.

    Args:
        centroids: ``(C, d)``, ordered by label.
        known: ``(C,)`` mask of the centroids that exist.
        place: ``(C,)`` increasing labels y; the value has the inverse unit.
    """
    position = torch.arange(len(known), device=known.device)
    upto = torch.where(known, position, -1).cummax(0).values
    before = F.pad(upto[:-1], (1, 0), value=-1)
    linked = known & (before >= 0)
    before = before.clamp(min=0)
    step = torch.where(linked, place - place.index_select(0, before), 1)
    square = (centroids - centroids.index_select(0, before)).square().sum(1)
    return torch.where(linked, square / step, 0).sum()


def centroid_contrast(z: Tensor, index: Tensor, centroids: Tensor, known: Tensor, *, temperature: float) -> Tensor:
    """Return the InfoNCE of features against centroids, mean -log softmax_k(z·c_k/τ) at the bin k of each feature.

    Args:
        z: ``(B, d)`` of length 1.
        index: ``(B,)`` bin of each feature; its centroid exists.
        centroids: ``(C, d)`` of length 1; they get no gradient.
        known: ``(C,)`` mask of the centroids that exist.
        temperature: τ.
    """
    logits = (z @ centroids.detach().T).to(z.dtype) / temperature
    return F.cross_entropy(logits.masked_fill(~known, -torch.inf), index)


class SRL(FullPrecision):
    """Surrogate-driven representation learning.

    Dong et al., *SRL* (CVPR 2025, arXiv 2503.00876). Features are normalised to length 1; c_k is the normalised mean of
    the features of bin k in the batch. A bin absent from the batch has a surrogate from earlier epochs; a bin never
    seen is left out.

        L = λ_e (1 - mean_p max_k cos(p, c_k)) + λ_h Σ_k ‖c_{k+1} - c_k‖² / (y_{k+1} - y_k) + λ_c L_con

    The first term spreads the path of centroids over the sphere (p: random points on the sphere), the second makes its
    steps proportional to the label steps, and L_con is the InfoNCE of each feature against the centroids
    (:func:`envelope_loss`, :func:`homogeneity_loss`, :func:`centroid_contrast`). 0 with zero gradients while fewer than
    two bins are known.

    In training mode every call also adds the batch to the sums of the current epoch; ``end_epoch()`` merges them into
    the surrogates and draws new points, seeded by the number of the epoch, so steps are reproducible.

    Args:
        bins: bins of a scalar target.
        n_features: number of channels d.
        envelope: λ_e, at least 0 (paper: 0.1).
        homogeneity: λ_h, at least 0 (paper: 0.1).
        contrast: λ_c, at least 0 (paper: 1).
        temperature: τ, above 0 (the authors' code: 0.1 for text, 0.3 for ages).
        momentum: weight of the past in the surrogates, at least 0 and below 1.
        points: number of points on the sphere (the authors: 2000 for ages, 1000 for text).

    Shape:
        ``features`` ``(B, d)`` with ``target`` ``(B,)``; predictions and weights are not used.

    Raises:
        InputError: features or targets of another shape, bad parameters.

    Note:
        Label steps y_{k+1} - y_k are measured in median bin widths, so the term has no unit. With bins of one year it
        equals the paper's term in years; for the paper's number in another unit, divide ``homogeneity`` by the bin
        width. The authors' code has cosines of neighbours in place of the squares, with opposite signs in different
        scripts, and truncates the labels of texts to whole numbers; neither is reproduced (``tests/test_srl.py``).

    Example:
        >>> srl = SRL(Bins.from_edges(range(0, 11)), n_features=4)
        >>> z, y = torch.randn(8, 4, requires_grad=True), torch.arange(8.0)
        >>> srl(z, y).backward()
        >>> srl.end_epoch()
    """

    gathers = True
    epoch: Tensor
    place: Tensor
    points: Tensor
    surrogate: Tensor
    seen: Tensor
    total: Tensor
    found: Tensor

    def __init__(
        self,
        bins: Bins,
        n_features: int,
        *,
        envelope: float = 0.1,
        homogeneity: float = 0.1,
        contrast: float = 1.0,
        temperature: float = 0.1,
        momentum: float = 0.9,
        points: int = 2000,
    ) -> None:
        super().__init__()
        if not isinstance(bins, Bins):
            raise InputError(f"SRL needs the bins of a scalar target, got {bins!r}; make them with Bins.auto(y)")
        self.n_features = whole(n_features, "n_features", least=1)
        self.envelope = not_negative(envelope, "envelope")
        self.homogeneity = not_negative(homogeneity, "homogeneity")
        self.contrast = not_negative(contrast, "contrast")
        self.temperature = positive(temperature, "temperature")
        if not_negative(momentum, "momentum") >= 1:
            raise InputError(f"momentum must be at least 0 and below 1, got {momentum!r}")
        self.momentum = float(momentum)
        self.n_points = whole(points, "points", least=1, most=100_000)
        self.bins = bins
        self.bin_index = BinIndex(bins)
        place = (bins.centers - bins.centers[0]) / np.median(bins.widths)
        shape = (bins.n_bins, self.n_features)
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        self.register_buffer("place", torch.from_numpy(place).float(), persistent=False)
        self.register_buffer("points", torch.empty(self.n_points, self.n_features), persistent=False)
        self.register_buffer("surrogate", torch.zeros(shape))
        self.register_buffer("seen", torch.zeros(bins.n_bins, dtype=torch.bool))
        self.register_buffer("total", torch.zeros(shape))
        self.register_buffer("found", torch.zeros(bins.n_bins, dtype=torch.bool))
        self._draw()

    def forward(
        self,
        features: Tensor,
        target: Tensor,
        pred: Tensor | None = None,  # noqa: ARG002  the slot's signature
        weight: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the SRL loss of a batch."""
        if features.shape != (len(target), self.n_features) or target.ndim != 1:
            raise InputError(
                f"SRL of {self.n_features} channels takes features (B, {self.n_features}) with target (B,); got "
                f"{tuple(features.shape)} and {tuple(target.shape)}"
            )
        z = unit(features.to(torch.promote_types(features.dtype, torch.float32)))
        index = self.bin_index(step_labels(target))
        sums = z.new_zeros(self.surrogate.shape).index_add(0, index, z)
        in_batch = torch.zeros_like(self.seen).index_fill(0, index, True)
        if self.training and self.gathers:
            self.total = self.total + sums.detach().to(self.total.dtype)
            self.found = self.found | in_batch
        known = in_batch | self.seen
        centroids = torch.where(in_batch.unsqueeze(1), unit(sums), self.surrogate.to(z.dtype))

        term = (
            self.envelope * envelope_loss(centroids, known, self.points.to(z.dtype))
            + self.homogeneity * homogeneity_loss(centroids, known, self.place.to(z.dtype))
            + self.contrast * centroid_contrast(z, index, centroids, known, temperature=self.temperature)
        )
        return torch.where(known.sum() > 1, term, 0)

    @torch.no_grad()
    def end_epoch(self) -> None:
        """Merge the epoch's centroids into the surrogates, start a new epoch and draw its points."""
        new = unit(self.total)
        # A surrogate is 0 before its first epoch and then equals the first centroid, because only directions count.
        mixed = unit(self.momentum * self.surrogate + (1 - self.momentum) * new)
        self.surrogate = torch.where(self.found.unsqueeze(1), mixed, self.surrogate)
        self.seen = self.seen | self.found
        self.total, self.found = torch.zeros_like(self.total), torch.zeros_like(self.found)
        self.epoch = self.epoch + 1
        self._draw()

    def _draw(self) -> None:
        """Draw points uniformly on the sphere, the same for the same epoch."""
        generator = torch.Generator().manual_seed(int(self.epoch))
        drawn = torch.randn(self.n_points, self.n_features, generator=generator)
        self.points = unit(drawn).to(self.points.device)

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._draw()

    def extra_repr(self) -> str:
        """Return bins, channels and parameters as text."""
        return (
            f"{self.bins!r}, n_features={self.n_features}, envelope={self.envelope:g}, "
            f"homogeneity={self.homogeneity:g}, contrast={self.contrast:g}, temperature={self.temperature:g}"
        )


SRL_PART = Part(
    name="srl",
    slot="regularizer",
    make=SRL,
    summary="label centroids on a smooth path that covers the sphere, with surrogates for absent labels",
    source="Dong et al., surrogate-driven representation learning, CVPR",
    year=2025,
    cost="O((B + M) C d) for M points",
    use="""\
from tailwise.regularizers.srl import SRL
srl = SRL(bins, model.n_features)
loss = (pred - y).abs().mean() + 0.5 * srl(features, y, pred)  # and srl.end_epoch()""",
    coef=0.1,
    targets=("scalar",),
    needs=("scalar_bins", "n_features"),
)
