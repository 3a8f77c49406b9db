"""Shell completion of option values."""

from collections.abc import Callable, Iterable


def complete_choice(choices: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a completion function for an option with fixed choices."""
    known = tuple(choices)

    def complete(incomplete: str) -> list[str]:
        return starting(known, incomplete)

    return complete


def complete_method(incomplete: str) -> list[str]:
    """Complete the last part of a method string; a part is offered once.

    >>> complete_method("sqinv+ld")
    ['sqinv+lds']
    """
    from tailwise.methods.catalog import CATALOG

    previous, plus, start = incomplete.rpartition("+")
    used = previous.split("+") if plus else []
    names = [*CATALOG, *(["vanilla", "auto"] if not plus else [])]
    return [previous + plus + name for name in starting(names, start) if name not in used]


def complete_part(incomplete: str) -> list[str]:
    """Complete the name of a part of a method."""
    from tailwise.methods.catalog import CATALOG

    return starting(CATALOG, incomplete)


def complete_data(incomplete: str) -> list[str]:
    """Complete the name of an example table."""
    from tailwise.data.examples import EXAMPLES, PREFIX

    return starting([PREFIX + name for name in EXAMPLES], incomplete)


def complete_protocol(incomplete: str) -> list[str]:
    """Complete the name of a benchmark protocol."""
    from tailwise.bench.protocols import PROTOCOLS

    return starting(PROTOCOLS, incomplete)


def starting(names: Iterable[str], start: str) -> list[str]:
    """Return the names that begin with what is typed."""
    return [name for name in names if name.startswith(start)]
