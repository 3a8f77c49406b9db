"""Methods of two stages: regressor re-training, and Rank-N-Contrast pre-training."""

from collections.abc import Iterable, Mapping
from typing import Any

from tailwise._checks import InputError, one_of, positive, whole
from tailwise.losses.loss import as_loss
from tailwise.methods.method import Filling, Stage
from tailwise.regularizers.pairs import LABEL_DISTANCES, LabelDistance


def rrt_stages(
    fillings: tuple[Filling, ...], objects: Mapping[str, Any], *, epochs: int = 30, lr: float = 1e-3
) -> tuple[Stage, Stage]:
    """Regressor re-training: train without weights, then a new head, re-weighted, on frozen features.

    Yang et al. (ICML 2021), after Kang et al., *Decoupling* (ICLR 2020). In the second stage the encoder is in
    evaluation mode, and neither FDS nor regularizers act. A loss that itself corrects for the label distribution,
    such as Balanced MSE (Ren et al., CVPR 2022), acts in the second stage only, as its authors use it on faces.

    Args:
        fillings: the method's parts.
        objects: a caller's own pieces.
        epochs: epochs of the second stage.
        lr: its learning rate.
    """
    first = tuple(f for f in fillings if f.part.slot not in ("weights", "density") and not f.part.balances)
    return (
        Stage(
            first,
            objects={
                slot: piece
                for slot, piece in objects.items()
                if slot != "weights" and not (slot == "loss" and as_loss(piece).balances)
            },
        ),
        Stage(
            _of(fillings, "weights", "density", "loss", "optimizer"),
            trains="head",
            epochs=whole(epochs, "rrt.epochs", least=1),
            lr=positive(lr, "rrt.lr"),
            objects={slot: piece for slot, piece in objects.items() if slot in ("weights", "loss")},
        ),
    )


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

    Raises:
        InputError: ``rnc`` named once more.
    """
    if any(f.name == "rnc" for f in fillings):
        raise InputError("'rnc_pretrain' trains with rnc already; leave out 'rnc' and set rnc_pretrain.temperature")
    for name, count in (("epochs", epochs), ("head_epochs", head_epochs)):
        if count is not None:
            whole(count, f"rnc_pretrain.{name}", least=1)
    for name, rate in (("lr", lr), ("head_lr", head_lr)):
        if rate is not None:
            positive(rate, f"rnc_pretrain.{name}")
    positive(temperature, "rnc_pretrain.temperature")
    one_of(label_distance, "rnc_pretrain.label_distance", LABEL_DISTANCES)
    rnc = Filling("rnc", {"temperature": temperature, "label_distance": label_distance, "coef": 1.0})
    loss = () if "loss" in objects or _of(fillings, "loss") else (Filling("l1"),)
    return (
        Stage(
            (rnc, *_of(fillings, "augment", "regularizer", "optimizer")),
            trains="encoder",
            epochs=epochs,
            lr=lr,
            objects={slot: piece for slot, piece in objects.items() if slot in ("augment", "regularizers", "coefs")},
        ),
        Stage(
            (*loss, *_of(fillings, "weights", "density", "loss", "optimizer")),
            trains="head",
            epochs=head_epochs,
            lr=head_lr,
            objects={slot: piece for slot, piece in objects.items() if slot in ("weights", "loss")},
        ),
    )


def _of(fillings: Iterable[Filling], *slots: str) -> tuple[Filling, ...]:
    return tuple(f for f in fillings if f.part.slot in slots)
