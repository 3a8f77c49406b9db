"""Which epoch of a training is kept, and why training stopped."""

from collections.abc import Mapping, Sequence
from typing import Any


def kept_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the position of the kept epoch, the last best one of the last stage; ``None`` where none is marked.

    >>> kept_epoch([{"stage": 0, "best": True}, {"stage": 0, "best": True}, {"stage": 0, "best": False}])
    1
    """
    best = [i for i, line in enumerate(history) if line.get("best") and line["stage"] == history[-1]["stage"]]
    return best[-1] if best else None


def why_stopped(history: Sequence[Mapping[str, Any]], step: str) -> str:
    """Return a sentence on the kept epoch and on the end of the training; empty where they are not known.

    Args:
        history: records of the epochs.
        step: name of a step: epoch, or round of boosting.

    Example:
        >>> line = {"stage": 0, "of": 9, "best": False}
        >>> why_stopped([line | {"best": True}, line, line], "epoch")
        'Epoch 1 of 3 is kept (best validation score). Training stopped early: 2 epochs in a row were not better.'
    """
    kept = kept_epoch(history)
    most = history[-1].get("of") if history else None
    if kept is None or most is None:
        return ""
    waited = len(history) - 1 - kept
    sentence = f"{step.capitalize()} {kept + 1} of {len(history)} is kept (best validation score)."
    if sum(line["stage"] == history[-1]["stage"] for line in history) >= most:
        return f"{sentence} Training stopped at its maximum of {most:,} {step}s."
    if not waited:
        return f"{sentence} Training stopped at its time limit."
    rest = f"{step}s in a row were" if waited > 1 else f"{step} was"
    return f"{sentence} Training stopped early: {waited} {rest} not better."
