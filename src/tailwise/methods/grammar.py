"""The grammar of method strings: names of parts joined by ``+``, at most one part a slot."""

from tailwise._checks import InputError, did_you_mean
from tailwise.methods.catalog import CATALOG, REPLACED

VANILLA = "vanilla"


def parse(name: str) -> list[str]:
    """Return the parts of a method string in canonical order; ``"vanilla"`` has none.

    Raises:
        InputError: an empty or unknown part, the same part twice, two parts in one slot.

    Example:
        >>> parse("conr+sqinv+lds")
        ['sqinv', 'lds', 'conr']
    """
    words = [word.strip() for word in str(name).split("+")]
    if words == [VANILLA]:
        return []
    by_slot: dict[str, str] = {}
    for word in words:
        if word not in CATALOG:
            hint = did_you_mean(word, [*CATALOG, VANILLA]) if word else "; parts are joined by one '+'"
            if word == VANILLA:
                hint = "; 'vanilla' is the plain network and stands alone"
            if word in REPLACED:
                hint = f"; {REPLACED[word]}"
            raise InputError(f"unknown method part {word!r} in {name!r}{hint}")
        if words.count(word) > 1:
            raise InputError(f"{word!r} stands twice in {name!r}")
        entry = CATALOG[word]
        for slot in entry.slots:
            first = by_slot.get(slot)
            both_regularize = slot == entry.slot == "regularizer" and first and CATALOG[first].slot == slot
            if first and not both_regularize:
                raise InputError(f"{first!r} and {word!r} both fill the slot {slot!r} in {name!r}; leave one out")
            by_slot[slot] = word
    order = list(CATALOG)
    return sorted(words, key=order.index)
