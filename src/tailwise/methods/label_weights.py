"""Weights of labels by name, for estimators that are not networks."""

from typing import Any

from numpy.typing import ArrayLike

from tailwise._checks import InputError, label_array
from tailwise.labels.bins import Bins
from tailwise.methods.method import compose
from tailwise.methods.part import Setting


def label_weights(name: str, y_train: ArrayLike, bins: Bins | None = None, **params: Any) -> Any:
    """Weights of training labels, as a part of a method gives them.

    Args:
        name: parts that give weights, and a density for them: ``"sqinv+lds"``, ``"denseweight"``.
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target; ``Bins.auto(y_train)`` if not given.
        **params: for each part a mapping of its parameters.

    Returns:
        An object with ``sample_weight(y)``, mean 1 over the training labels.

    Raises:
        InputError: parts of other slots, no part that gives weights, parameters that do not work.

    Example:
        >>> label_weights("inv", [0.0, 0.0, 0.0, 9.0]).sample_weight([0.0, 9.0]).round(2).tolist()
        [0.67, 2.0]
    """
    method = compose(name, **params)
    by_slot = {filling.part.slot: filling for stage in method.stages for filling in stage.fillings}
    others = [filling.name for slot, filling in by_slot.items() if slot not in ("weights", "density")]
    if others or method.correction is not None or "weights" not in by_slot:
        raise InputError(
            f"weights {name!r} must be parts that give weights, such as 'sqinv+lds' or 'denseweight'"
            + (f"; {others[0]!r} acts in the training of a network" if others else "")
        )
    y = label_array(y_train, "y_train")
    setting = Setting(
        y, Bins.auto(y) if bins is None and y.min() < y.max() else bins or Bins.from_edges([y[0] - 1, y[0] + 1])
    )
    density = by_slot["density"].make(setting) if "density" in by_slot else None
    takes_density = "density" in by_slot["weights"].part.hidden
    return by_slot["weights"].make(setting, **({"density": density} if takes_density else {}))
