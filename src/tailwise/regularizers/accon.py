"""ACCon: angle-compensated contrast, similarity that falls linearly with label distance."""

import math

import torch
from torch import Tensor, nn

from tailwise._checks import not_negative, one_of, positive
from tailwise._part import FromLabels, Part, Setting
from tailwise.distributed import gather_all
from tailwise.regularizers.blocks import cosines
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance, flatten_views, label_gaps

_OUT = -1e30  # logit of a pair that does not count
_FLOOR = 1e-6  # of a squared sine, whose root has no gradient at 0


def accon_loss(
    features: Tensor,
    target: Tensor,
    pred: Tensor | None = None,
    weight: Tensor | None = None,
    *,
    window: float = 0.0,
    temperature: float = 0.1,
    label_distance: LabelDistance = "l1",
) -> Tensor:
    """Supervised contrastive loss in which the angle of each negative is compensated for its label distance.

    ACCon (arXiv 2501.07045): positives of an anchor are samples with a label within the window; with θ_ij the angle
    between features, the logits are

        cos θ_ij / τ for positives,
        (cos θ_ij cos φ_ij - √(1 - cos² θ_ij) |sin φ_ij|) / τ, φ_ij = (1 - |y_i - y_j| / max |y_i - y_j|) π, for others,

    with the largest distance of two labels of the batch, and L = -mean_i mean_{p positive} log softmax_j(logit)_ip over
    all j ≠ i. Anchors without a positive are left out. Time O(B² d), memory O(B² + B d).

    Args:
        features: ``(B, d)``, or ``(B, V, d)`` for V augmented views of each row.
        target: ``(B,)`` or ``(B, K)``.
        pred: not used.
        weight: not used.
        window: largest distance of similar labels, target units.
        temperature: τ.
        label_distance: ``"l1"`` or ``"l2"`` over the K dimensions of a label.

    Raises:
        InputError: shapes that do not belong together.

    Note:
        An anchor without positives adds a constant in the authors' code. Their temperature is not known; the default is
        tailwise's.

    Example:
        >>> z = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [-1.0, 0.0]])
        >>> near, far = torch.tensor([0.0, 0.0, 5.0, 9.0]), torch.tensor([0.0, 9.0, 5.0, 0.0])
        >>> bool(accon_loss(z, near) < accon_loss(z, far))
        True
    """
    features, target, _, _ = flatten_views(features, target, None, weight)
    z = features if features.dtype == torch.float64 else features.float()
    labels = target.to(torch.promote_types(target.dtype, torch.float32))
    cosine, gaps = cosines(z), label_gaps(labels, label_distance)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positives = (gaps <= window) & ~itself
    largest = gaps.max() if len(z) else gaps.sum()
    angle = ((1 - gaps / torch.where(largest > 0, largest, 1)) * math.pi).to(z.dtype)
    sine = (1 - cosine.square()).clamp(min=_FLOOR).sqrt()
    compensated = cosine * angle.cos() - sine * angle.sin().abs()
    logits = (torch.where(positives, cosine, compensated) / temperature).masked_fill(itself, _OUT)
    nll = logits.logsumexp(1, keepdim=True) - logits
    n_positive = positives.sum(1)
    rows = torch.where(positives, nll, 0).sum(1) / n_positive.clamp(min=1)
    return (rows.sum() / (n_positive > 0).sum().clamp(min=1)).to(features.dtype)


class ACCon(nn.Module):
    """ACCon, contrast with angles of negatives compensated for label distance: :func:`accon_loss` as a module.

    L = -mean_i mean_{p positive} log softmax_j(l_ij)_p with l_ij = cos θ_ij / τ of positives and
    (cos θ_ij cos φ_ij - sin θ_ij |sin φ_ij|) / τ of others, θ the angle of the features and
    φ_ij = (1 - |y_i - y_j| / max |y_i - y_j|) π; AAAI 2025 (arXiv 2501.07045).

    Args:
        window: largest distance of similar labels, target units.
        temperature: τ, above 0.
        label_distance: ``"l1"`` or ``"l2"``.
        global_batch: in a data-parallel loop, compute the term over the rows of all processes (see
            :func:`tailwise.distributed.gather_rows`).

    Shape:
        ``features`` ``(B, d)`` or ``(B, V, d)`` for V views, ``target`` ``(B,)`` or ``(B, K)``, ``pred`` as ``target``,
        ``weight`` ``(B,)``; a scalar.
    """

    def __init__(
        self,
        *,
        window: float = 0.0,
        temperature: float = 0.1,
        label_distance: LabelDistance = "l1",
        global_batch: bool = False,
    ) -> None:
        super().__init__()
        self.window, self.temperature = not_negative(window, "window"), positive(temperature, "temperature")
        one_of(label_distance, "label_distance", LABEL_DISTANCES)
        self.label_distance: LabelDistance = label_distance
        self.global_batch = global_batch

    def forward(self, features: Tensor, target: Tensor, pred: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the angle-compensated contrastive loss of a batch."""
        if self.global_batch:
            features, target, pred, weight = gather_all(features, target, pred, weight)
        return accon_loss(
            features,
            target,
            pred,
            weight,
            window=self.window,
            temperature=self.temperature,
            label_distance=self.label_distance,
        )

    def extra_repr(self) -> str:
        """Return the parameters as text."""
        return f"window={self.window:g}, temperature={self.temperature:g}"


def _half_bin(setting: Setting) -> float:
    return setting.bin_width / 2


ACCON_PART = Part(
    name="accon",
    slot="regularizer",
    make=ACCon,
    summary="ACCon: contrast whose similarities fall linearly with the distance of labels",
    source="ACCon, AAAI, arXiv 2501.07045",
    year=2025,
    cost="O(B^2 d) time, O(B^2) memory",
    use="""\
from tailwise.regularizers.accon import ACCon
accon = ACCon(window=1.0)
loss = (pred - y).abs().mean() + 0.5 * accon(features, y, pred)""",
    from_labels={"window": FromLabels("half a bin", _half_bin)},
    units={"window": "target"},
    coef=0.1,
    targets=("scalar", "k"),
    hidden=frozenset({"global_batch"}),
)
