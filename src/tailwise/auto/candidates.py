"""What ``method="auto"`` chooses among, from simple to complex."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailwise.methods.method import Method


@dataclass(frozen=True)
class Candidate:
    """A method string and the parameters of its parts.

    Example:
        >>> Candidate("reweight+lds", {"reweight": {"power": 0.25}}).name
        'reweight+lds (reweight.power=0.25)'
    """

    method: str
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The method with the parameters that are not defaults."""
        given = [f"{part}.{key}={value}" for part, params in self.params.items() for key, value in params.items()]
        return self.method + (f" ({', '.join(given)})" if given else "")

    def compose(self) -> "Method":
        """The method."""
        from tailwise.methods.method import compose

        return compose(self.method, **{part: dict(params) for part, params in self.params.items()})


VANILLA = Candidate("vanilla")
_MILD = Candidate("reweight+lds", {"reweight": {"power": 0.25}})
_BENT = (Candidate("isotonic"), Candidate("quantile"))  # vanilla's network, so they cost no training
# Those that lowered few-shot errors on some table of docs/results.md for a price below all others'.
NETWORK = (VANILLA, *_BENT, _MILD, Candidate("sqinv+lds"), Candidate("rrt+lds"))
CLASSICAL = (VANILLA, *_BENT, _MILD, Candidate("sqinv+lds"), Candidate("smoter"))


def candidates_for(model: str) -> tuple[Candidate, ...]:
    """Candidates for a model of :data:`tailwise.backends.names.MODELS`, vanilla first."""
    return NETWORK if model == "network" else CLASSICAL
