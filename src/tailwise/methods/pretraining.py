"""Pre-training of the encoder by a contrastive loss alone, then a head on frozen features."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tailwise._checks import InputError, one_of, positive, whole
from tailwise._part import Part
from tailwise.losses.pointwise import L1_PART
from tailwise.methods.filling import Filling
from tailwise.methods.stages import Stage, parts_of
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance
from tailwise.regularizers.rank_n_contrast import RNC_PART
from tailwise.regularizers.supremix import SUPREMIX_PART


def rnc_stages(
    fillings: tuple[Filling, ...],
    objects: Mapping[str, Any],
    *,
    epochs: int | None = None,
    head_epochs: int | None = None,
    lr: float | None = None,
    head_lr: float | None = None,
    temperature: float = 2.0,
    label_distance: LabelDistance = "l1",
) -> tuple[Stage, Stage]:
    """Rank-N-Contrast pre-training: the encoder by Rank-N-Contrast alone, then a head on frozen features.

    First θ = argmin L_RnC(f_θ(x), y), then h = argmin Σ_i l(h(f_θ(x_i)), y_i), f_θ the encoder, h the head and L_RnC
    that of :class:`tailwise.regularizers.rank_n_contrast.RankNContrast`.

    Zha et al., *Rank-N-Contrast* (NeurIPS 2023). The head is trained with the method's loss, absolute error (the
    authors') if it names none. Two views (``rnc_pretrain+twoviews``) and other regularizers act in the first stage,
    weights in the second. The authors train 400 and 100 epochs on images.

    Args:
        fillings: the method's parts.
        objects: a caller's own pieces.
        epochs: epochs of the first stage; ``None`` leaves it to the recipe.
        head_epochs: epochs of the second.
        lr: learning rate of the first stage; ``None`` leaves it to the recipe.
        head_lr: learning rate of the second.
        temperature: τ.
        label_distance: ``"l1"`` or ``"l2"``.

    Shape:
        the step of each stage takes inputs ``(B, ...)`` and labels ``(B,)`` or ``(B, K)``, and gives scalar terms.

    Raises:
        InputError: a method that names ``rnc`` as well.
    """
    if any(f.name == "rnc" for f in fillings):
        raise InputError("'rnc_pretrain' trains with rnc already; leave out 'rnc' and set rnc_pretrain.temperature")
    schedule = _schedule("rnc_pretrain", epochs, head_epochs, lr, head_lr)
    positive(temperature, "rnc_pretrain.temperature")
    one_of(label_distance, "rnc_pretrain.label_distance", LABEL_DISTANCES)
    rnc = Filling(RNC_PART, {"temperature": temperature, "label_distance": label_distance, "coef": 1.0})
    return _pretraining(rnc, fillings, objects, *schedule)


def supremix_stages(
    fillings: tuple[Filling, ...],
    objects: Mapping[str, Any],
    *,
    epochs: int | None = None,
    head_epochs: int | None = None,
    lr: float | None = None,
    head_lr: float | None = None,
    temperature: float = 0.5,
    window: float | None = None,
    alpha: float = 2.0,
    beta: float = 8.0,
) -> tuple[Stage, Stage]:
    """SupReMix pre-training: the encoder by supervised contrast with mixtures, then a head on frozen features.

    L_i = -mean_p [s_ip / τ - log Σ_q w_iq exp(s_iq / τ)], w_iq = |y_i - y_q| / Δ + 1, s cosines of the features of i to
    samples and mixtures of samples, p the positives of i, Δ the width of a bin.

    Wu et al., *Mixup Your Own Pairs* (arXiv 2309.16633). Head, views, regularizers and weights as for
    :func:`rnc_stages`; the authors use two views and train the encoder for 100 epochs at a learning rate of 1e-3.

    Args:
        fillings: the method's parts.
        objects: a caller's own pieces.
        epochs: epochs of the first stage; ``None`` leaves it to the recipe.
        head_epochs: epochs of the second.
        lr: learning rate of the first stage; ``None`` leaves it to the recipe.
        head_lr: learning rate of the second.
        temperature: τ (the authors: 0.5 for AgeDB, 0.3 for IMDB-WIKI, 0.1 for STS-B).
        window: largest distance of the labels of a hard positive from the anchor's, target units; ``None`` takes five
            bins (the authors: 5 years; 1 point of STS-B).
        alpha: first parameter of the beta distribution of the anchor's fraction in a hard negative.
        beta: second parameter.

    Shape:
        the step of each stage takes inputs ``(B, ...)`` and labels ``(B,)`` or ``(B, K)``, and gives scalar terms.
    """
    schedule = _schedule("supremix_pretrain", epochs, head_epochs, lr, head_lr)
    numbers = {"temperature": temperature, "alpha": alpha, "beta": beta}
    if window is not None:
        numbers["window"] = window
    for name, value in numbers.items():
        positive(value, f"supremix_pretrain.{name}")
    part = replace(SUPREMIX_PART, name="supremix_pretrain")  # the name in messages about its parameters
    return _pretraining(Filling(part, {**numbers, "coef": 1.0}), fillings, objects, *schedule)


def _schedule(
    name: str, epochs: int | None, head_epochs: int | None, lr: float | None, head_lr: float | None
) -> tuple[int | None, int | None, float | None, float | None]:
    """Check the numbers of epochs and the learning rates of both stages."""
    for key, count in (("epochs", epochs), ("head_epochs", head_epochs)):
        if count is not None:
            whole(count, f"{name}.{key}", least=1)
    for key, rate in (("lr", lr), ("head_lr", head_lr)):
        if rate is not None:
            positive(rate, f"{name}.{key}")
    return epochs, head_epochs, lr, head_lr


def _pretraining(
    contrast: Filling,
    fillings: tuple[Filling, ...],
    objects: Mapping[str, Any],
    epochs: int | None,
    head_epochs: int | None,
    lr: float | None,
    head_lr: float | None,
) -> tuple[Stage, Stage]:
    """Return the stage that trains the encoder by a contrastive loss, and that of the head."""
    loss = () if "loss" in objects or parts_of(fillings, "loss") else (Filling(L1_PART),)
    return (
        Stage(
            (contrast, *parts_of(fillings, "augment", "regularizer", "optimizer")),
            trains="encoder",
            epochs=epochs,
            lr=lr,
            objects={slot: piece for slot, piece in objects.items() if slot in ("augment", "regularizers", "coefs")},
        ),
        Stage(
            (*loss, *parts_of(fillings, "weights", "density", "loss", "optimizer")),
            trains="head",
            epochs=head_epochs,
            lr=head_lr,
            objects={slot: piece for slot, piece in objects.items() if slot in ("weights", "loss")},
        ),
    )


RNC_PRETRAIN_PART = Part(
    name="rnc_pretrain",
    slot="stage",
    make=rnc_stages,
    summary="Rank-N-Contrast pre-training of the encoder, then a head on frozen features",
    source="Zha et al., Rank-N-Contrast, NeurIPS",
    year=2023,
    cost="O(B^2 (d + log B)) time, O(B d) memory",
    use="""\
objective = compose("rnc_pretrain").build(model, y_train, bins)  # stage=1 for the head afterwards
optimizer = torch.optim.Adam(objective.trained_parameters())
loss = sum(objective(x, y).values())""",
    units={"epochs": "epochs", "head_epochs": "epochs"},
    targets=("scalar", "k"),
    also=("smoother",),
    of_none={"epochs": "as `epochs`", "head_epochs": "as `epochs`", "lr": "as `lr`", "head_lr": "as `lr`"},
)
SUPREMIX_PRETRAIN_PART = Part(
    name="supremix_pretrain",
    slot="stage",
    make=supremix_stages,
    summary="SupReMix pre-training of the encoder, contrast with mixtures of features, then a head on frozen features",
    source="Wu et al., Mixup Your Own Pairs, arXiv",
    year=2023,
    cost="O(B^2 d + P) time for P hard positives, at most B^3; O(B^2) memory",
    use="""\
objective = compose("supremix_pretrain").build(model, y_train, bins)  # stage=1 for the head afterwards
optimizer = torch.optim.Adam(objective.trained_parameters())
loss = sum(objective(x, y).values())""",
    units={"epochs": "epochs", "head_epochs": "epochs", "window": "target"},
    targets=("scalar",),
    also=("smoother",),
    of_none={
        "epochs": "as `epochs`",
        "head_epochs": "as `epochs`",
        "lr": "as `lr`",
        "head_lr": "as `lr`",
        "window": "five bins",
    },
)
