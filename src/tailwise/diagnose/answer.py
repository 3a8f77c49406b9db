"""The answer of a diagnosis in a sentence: whether the rarest values are predicted badly, and by how much."""

from tailwise._numbers import number
from tailwise.diagnose.facts import Diagnosis, EndError

_CLEAR = 1.96  # standard errors


def answer(diagnosis: Diagnosis) -> str:
    """Return the answer, from the errors of the quick model where there is one.

    Args:
        diagnosis: the diagnosis.
    """
    name, model = diagnosis.target.name, diagnosis.model
    if model is None:
        ratio = f"{diagnosis.density.ratio:,.0f}"
        return (
            f"Not measured, for want of a quick model: the fullest bin of {name} has {ratio} times the rows of the "
            "sparsest."
        )
    pulled = [_end_in_words(end) for end in model.ends if is_pulled(end)]
    contrast = model.contrast
    if pulled:
        return f"Yes: a quick model predicts your {' and your '.join(pulled)}."
    if contrast is not None and contrast.low > 1:
        return (
            f"Yes: where rows are {contrast.rare}, the errors of a quick model are {contrast.ratio:.1f} times those "
            f"where they are {contrast.crowd}, though neither too low nor too high as a whole."
        )
    if contrast is None:
        return "Not clear: too few rows are rare, or crowded, to compare the errors of a quick model."
    return (
        f"No clear sign of it: where rows are {contrast.rare}, the errors of a quick model are {contrast.ratio:.1f} "
        f"times those where they are {contrast.crowd} ({contrast.low:.1f} to {contrast.high:.1f})."
    )


def is_pulled(end: EndError) -> bool:
    """Return whether the values of an end are predicted too near the middle: clearly, and by half of their error."""
    inward = end.bias < 0 if end.end == "top" else end.bias > 0
    return inward and abs(end.bias) > max(end.mae / 2, _CLEAR * end.bias_error)


def _end_in_words(end: EndError) -> str:
    rule = "from" if end.end == "top" else "up to"
    size = f"{number(abs(end.bias))} too {'low' if end.bias < 0 else 'high'}"
    relative = end.relative_bias
    part = "" if relative is None or relative > 1 else f" ({100 * relative:.0f} % of their value)"
    return f"{end.end} {100 * end.share:.0f} % ({rule} {number(end.value)}) {size} on average{part}"
