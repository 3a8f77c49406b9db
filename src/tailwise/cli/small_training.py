"""The option for trainings of a benchmark that a machine without a GPU can do."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailwise._checks import InputError, quoted
from tailwise.cli import options
from tailwise.cli.settings import parse_set

if TYPE_CHECKING:
    from tailwise.bench.protocols.base import Protocol

Small = Annotated[
    bool,
    typer.Option(
        "--small",
        help="A training within an hour on two cores: smaller images, a smaller network, fewer epochs. --set wins.",
        rich_help_panel=options.TRAINING,
    ),
]


def with_small(protocol: "Protocol", changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return settings of a small training, and those of the user before them."""
    from tailwise.bench.protocols import PROTOCOLS

    if not protocol.small:
        known = quoted(name for name, one in PROTOCOLS.items() if one.small)
        raise InputError(
            f"{protocol.name} has no --small training; the benchmarks that have one: {known}; --set changes the recipe"
        )
    small = parse_set(protocol.small)
    return {part: small.get(part, {}) | changes.get(part, {}) for part in dict.fromkeys([*small, *changes])}
