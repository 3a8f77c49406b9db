"""ConR: contrastive regularizer of the feature space for imbalanced regression."""

import torch
from torch import Tensor, nn

from tailwise._checks import not_negative, one_of, positive, same_shape
from tailwise._part import FromLabels, Part, Setting
from tailwise.distributed import gather_all
from tailwise.labels.kernels import COMPATS, Compat
from tailwise.regularizers.blocks import Pairs, contrast
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance, flatten_views


def conr_loss(
    features: Tensor,
    target: Tensor,
    pred: Tensor,
    weight: Tensor | None = None,
    *,
    window: float = 1.0,
    temperature: float = 0.2,
    push: float = 0.01,
    label_distance: LabelDistance = "l1",
    compat: Compat = "paper",
) -> Tensor:
    """Pull together features of similar labels; push apart features with different labels but similar predictions.

    Keramati, Meng and Evans, *ConR* (ICLR 2024). For an anchor j with positives K⁺ (|y_i - y_j| ≤ ω) and
    negatives K⁻ (|y_i - y_j| > ω but |ŷ_i - ŷ_j| ≤ ω), z normalised to length 1:

        L_j = -1/|K⁺| Σ_{i∈K⁺} log exp(z_j·z_i/τ) / [Σ_{p∈K⁺} exp(z_j·z_p/τ) + Σ_{q∈K⁻} S_jq exp(z_j·z_q/τ)]

    with S_jq = w_j exp(e |y_j - y_q|), averaged over the anchors that have both a positive and a negative; 0 with zero
    gradients if there is no such anchor. Predictions only select the pairs and get no gradient.

    Args:
        features: ``(B, d)``; ``(B, V, d)`` for V augmented views of each row; any shape ``(B, ...)`` for dense targets.
        target: ``(B,)``, ``(B, K)``, or dense ``(B, H, W)``, which is pooled to the mean of each map; a map without
            labels is left out.
        pred: same shape as ``target``, or ``(B, V)`` with one prediction per view.
        weight: w_j, ``(B,)``, or dense as ``target``; 1 if not given.
        window: ω, target units.
        temperature: τ.
        push: e, per target unit.
        label_distance: ``"l1"`` or ``"l2"`` over the K dimensions of a label.
        compat: ``"paper"`` or ``"reference"``.

    Raises:
        InputError: shapes that do not belong together.

    Note:
        ``compat="reference"`` is the authors' age code: every non-positive adds exp(0) = 1 to the denominator, each
        anchor is weighted by w_j once more, and the mean is taken over all anchors. For dense targets it is their depth
        code: S_jq = w_j e |y_j - y_q|, the anchor counts as one of its positives, no second weighting. An anchor
        without a positive makes their loss NaN; here it adds 0 (``tests/test_golden_conr.py``).

    Example:
        >>> z, y = torch.eye(4), torch.tensor([1.0, 1.5, 30.0, 60.0])
        >>> float(conr_loss(z, y, pred=y))
        0.0
    """
    dense = target.ndim >= 3
    if dense:
        labelled = ~torch.isnan(target).flatten(1).all(1)
        target, pred, weight = _pool(target, pred, weight)
        features = features.flatten(1)[labelled]
        target, pred, weight = target[labelled], pred[labelled], None if weight is None else weight[labelled]
    features, target, pred, weight = flatten_views(features, target, pred, weight)

    reference = compat == "reference"
    pairs = Pairs(target, pred.detach(), window, label_distance, push, log_push=reference and dense)
    z = features if features.dtype == torch.float64 else features.float()
    log_weight = None if weight is None else weight.to(z.dtype).clamp(min=torch.finfo(z.dtype).tiny).log()
    log_sum, closeness, n_pos, n_neg = contrast(
        z, pairs, log_weight, temperature=temperature, products_in=_products_in(features)
    )

    if reference:
        log_sum = torch.logaddexp(log_sum, (len(z) - n_pos).log())
        loss = (n_pos * log_sum - closeness) / (n_pos + 1 if dense else n_pos.clamp(min=1))
        if weight is not None and not dense:
            loss = loss * weight
        return torch.where(n_neg > 0, loss, 0.0).mean().to(features.dtype)
    counted = (n_pos > 0) & (n_neg > 0)
    loss = torch.where(counted, log_sum - closeness / n_pos.clamp(min=1), 0.0)
    return (loss.sum() / counted.sum().clamp(min=1)).to(features.dtype)


def _products_in(features: Tensor) -> torch.dtype:
    """Return half precision if the features have it, or would have it under autocast."""
    device = features.device.type
    if features.dtype == torch.float32 and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return features.dtype


class ConR(nn.Module):
    """ConR, contrastive regularization of features: :func:`conr_loss` as a module.

    For an anchor j, positives K⁺ (|y_i - y_j| ≤ ω) and negatives K⁻ (|y_i - y_j| > ω but |ŷ_i - ŷ_j| ≤ ω),

        L_j = -1/|K⁺| Σ_{i∈K⁺} log exp(z_j·z_i/τ) / [Σ_{p∈K⁺} exp(z_j·z_p/τ) + Σ_{q∈K⁻} S_jq exp(z_j·z_q/τ)]

    with S_jq = w_j exp(e |y_j - y_q|) and features z of length 1; Keramati et al. (ICLR 2024).

    Args:
        window: ω, target units, above 0.
        temperature: τ, above 0. The authors' command line has 0.2; their AgeDB code overwrites it with 0.07.
        push: e, per target unit; ``None`` is 0.01 / window, the authors' 0.01 at their window of one year.
        label_distance: ``"l1"`` or ``"l2"``.
        compat: ``"paper"`` or ``"reference"``.
        global_batch: in a data-parallel loop, compute the term over the rows of all processes (see
            :func:`tailwise.distributed.gather_rows`).

    Shape:
        ``features`` ``(B, d)`` or ``(B, V, d)`` for V views, ``target`` ``(B,)`` or ``(B, K)``, ``pred`` as ``target``,
        ``weight`` ``(B,)``; a scalar.

    Example:
        >>> conr = ConR(window=2.0)
        >>> z = torch.randn(8, 4, requires_grad=True)
        >>> conr(z, torch.arange(8.0), torch.zeros(8)).backward()
    """

    def __init__(
        self,
        *,
        window: float = 1.0,
        temperature: float = 0.2,
        push: float | None = None,
        label_distance: LabelDistance = "l1",
        compat: Compat = "paper",
        global_batch: bool = False,
    ) -> None:
        super().__init__()
        self.global_batch = global_batch
        self.window = not_negative(window, "window")
        self.temperature = positive(temperature, "temperature")
        self.push = 0.01 / positive(window, "window") if push is None else not_negative(push, "push")
        one_of(label_distance, "label_distance", LABEL_DISTANCES)
        one_of(compat, "compat", COMPATS)
        self.label_distance: LabelDistance = label_distance
        self.compat: Compat = compat

    def forward(self, features: Tensor, target: Tensor, pred: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the ConR loss of a batch."""
        if self.global_batch:
            features, target, pred, weight = gather_all(features, target, pred, weight)
        return conr_loss(
            features,
            target,
            pred,
            weight,
            window=self.window,
            temperature=self.temperature,
            push=self.push,
            label_distance=self.label_distance,
            compat=self.compat,
        )

    def extra_repr(self) -> str:
        """Return the parameters as text."""
        return f"window={self.window:g}, temperature={self.temperature:g}, push={self.push:g}"


def _pool(target: Tensor, pred: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the mean of each map over the pixels that have a label."""
    same_shape(pred, target)
    known = ~torch.isnan(target)

    def mean(values: Tensor) -> Tensor:
        total = torch.where(known, values, torch.zeros_like(values)).flatten(1).sum(1)
        return total / known.flatten(1).sum(1).clamp(min=1)

    return mean(target), mean(pred), None if weight is None else mean(weight)


def _bin_width(setting: Setting) -> float:
    return setting.bin_width


def _follows_window(setting: Setting) -> None:
    return None


CONR_PART = Part(
    name="conr",
    slot="regularizer",
    make=ConR,
    summary="contrastive regularizer: push apart features with different labels but similar predictions",
    source="Keramati et al., ConR, ICLR",
    year=2024,
    cost="O(B^2 d) time, O(B d) memory",
    use="""\
from tailwise import ConR
conr = ConR(window=2.0)
loss = (pred - y).abs().mean() + 4.0 * conr(features, y, pred)""",
    from_labels={
        "window": FromLabels("one bin", _bin_width),
        "push": FromLabels("0.01 / window", _follows_window),
    },
    units={"window": "target", "push": "1/target"},
    coef=0.25,
    hidden=frozenset({"global_batch"}),
)
