"""The description of a part of a method, and the training labels that parts are built from.

Each module that defines a part describes it after its class; ``tailwise.methods.catalog`` lists the descriptions.
Nothing heavy is imported here.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from tailwise._checks import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailwise.labels.bin_grid import BinGrid
    from tailwise.labels.bins import Bins
    from tailwise.labels.streaming import LabelDensity

Slot = Literal[
    "augment",
    "weights",
    "density",
    "smoother",
    "loss",
    "regularizer",
    "objective",
    "optimizer",
    "stage",
    "resample",
    "correction",
]
ALL = ("scalar", "k", "dense")


@dataclass(frozen=True)
class Setting:
    """Training labels with their bins, and the network's number of features.

    Args:
        y: ``(n,)`` or ``(n, K)`` training labels, target units.
        label_bins: bins of the target, a grid of them for K-dimensional labels; ``None`` where there are none.
        width: number of features; ``None`` for a network without ``n_features``.
        counts: all labels counted in bins, where there are too many of them (pixels) and ``y`` is a random part.
    """

    y: "NDArray[np.float64]"
    label_bins: "Bins | BinGrid | None"
    width: int | None = None
    counts: "LabelDensity | None" = None

    @property
    def labels(self) -> "NDArray[np.float64] | LabelDensity":
        """All labels, counted in bins where there are too many of them: for parts that only need counts."""
        return self.y if self.counts is None else self.counts

    @property
    def bins(self) -> "Bins | BinGrid":
        """Bins of the target.

        Raises:
            InputError: labels without bins.
        """
        if self.label_bins is None:
            raise InputError(
                f"labels of shape {self.y.shape} have no common bins: they have too many dimensions (at most 3), or "
                "units too far apart; leave out the part that needs them"
            )
        return self.label_bins

    @property
    def scalar_bins(self) -> "Bins":
        """Bins of a scalar target.

        Raises:
            InputError: K-dimensional labels.
        """
        if self.y.ndim != 1:
            raise InputError(f"this part needs scalar labels (n,), got labels of shape {self.y.shape}")
        bins: Any = self.bins
        scalar: Bins = bins
        return scalar

    @property
    def bin_width(self) -> float:
        """Median width of the bins; for labels without bins, a twentieth of a standard deviation."""
        if self.label_bins is None:
            return self.spread / 20
        axes: Any = getattr(self.label_bins, "axes", (self.label_bins,))
        medians = [float(sorted(bins.widths)[bins.n_bins // 2]) for bins in axes]
        return sum(medians) / len(medians)

    @property
    def spread(self) -> float:
        """Standard deviation of the labels."""
        return float(self.y.std(axis=0).mean())

    @property
    def n_features(self) -> int:
        """Number of features.

        Raises:
            InputError: a network without ``n_features``.
        """
        if self.width is None:
            raise InputError("the model needs n_features, the number of channels of model.encode(x)")
        return self.width


@dataclass(frozen=True)
class FromLabels:
    """A default that is computed from the training labels.

    Args:
        rule: the rule in words.
        value: the rule; a function with a name, so that a method can be pickled.
    """

    rule: str
    value: Callable[[Setting], float | None]


def _spread(setting: Setting) -> float:
    return setting.spread


SPREAD = FromLabels("1 standard deviation", _spread)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One name of the grammar of methods.

    Args:
        name: its name in a method string.
        slot: the slot that it fills.
        make: class or function that builds it.
        summary: its effect, in one line.
        source: paper, ``"-"`` for common knowledge.
        year: of the paper.
        remark: on the source.
        cost: of a training step beside the network: B rows, d features, C bins, M heads, components or quantiles.
        use: the piece in a loop of one's own, at most three lines (docs/methods.md lists the names it may use).
        fixed: parameters that this name stands for.
        from_labels: defaults computed from the training labels.
        of_none: meaning of a default of ``None``, in words.
        units: unit of a parameter, where it has one: ``"target"``, ``"1/target"``, ``"bins"``, ``"rows"``, ...
        most: largest value of a parameter that still works.
        coef: coefficient of a regularizer, relative to the loss in standard deviations of the target.
        targets: kinds of target: ``"scalar"`` ``(B,)``, ``"k"`` ``(B, K)``, ``"dense"`` ``(B, H, W)``.
        needs: leading positional arguments of ``make``: attributes of :class:`Setting`.
        hidden: parameters of ``make`` that the method fills itself.
        in_python: parameters that cannot be set on the command line.
        also: other slots that it fills as well.
        corrects: whether it compensates for the rarity of labels, which only one part of a method should do.
        deviates: whether it predicts a standard deviation too.
        least_label: lowest label that it takes, if there is one.
    """

    name: str
    slot: Slot
    make: Callable[..., Any]
    summary: str
    source: str
    year: int | None
    cost: str
    use: str
    remark: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    from_labels: Mapping[str, FromLabels] = field(default_factory=dict)
    of_none: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    coef: float | None = None
    targets: tuple[str, ...] = ALL
    needs: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()
    in_python: frozenset[str] = frozenset()
    also: tuple[Slot, ...] = ()
    corrects: bool = False
    deviates: bool = False
    least_label: float | None = None

    @property
    def balances(self) -> bool:
        """Whether it is a loss that corrects for the label distribution itself, as its class declares."""
        return bool(getattr(self.make, "balances", False))

    @property
    def reference(self) -> str:
        """Source, year and remark in one line."""
        return self.source + (f" {self.year}" if self.year else "") + (f" ({self.remark})" if self.remark else "")

    def choices(self) -> dict[str, tuple[str, ...]]:
        """Values of a parameter that are names, as the annotations of ``make`` list them."""
        named = {
            name: tuple(_names_in(parameter.annotation))
            for name, parameter in inspect.signature(self.make).parameters.items()
        }
        return {name: names for name, names in named.items() if names}

    def parameters(self) -> dict[str, Any]:
        """Keyword parameters with their defaults, from the signature of ``make``."""
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(self.make).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in self.fixed and name not in self.hidden
        }
        defaults |= {name: default.rule for name, default in self.from_labels.items()}
        return defaults | ({} if self.coef is None else {"coef": self.coef})


def _names_in(annotation: Any) -> Iterator[str]:
    """Names in the literal types of an annotation."""
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _names_in(argument)
