"""What a part of a method is: one name of the grammar, and what it is built from."""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from tailwise._checks import InputError
from tailwise.methods.slots import Slot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailwise.labels.bin_grid import BinGrid
    from tailwise.labels.bins import Bins
    from tailwise.labels.streaming import LabelDensity

ALL = ("scalar", "k", "dense")


@dataclass(frozen=True)
class Setting:
    """What parts are built from: training labels, their bins, and the network's number of features.

    Args:
        y: ``(n,)`` or ``(n, K)`` training labels, target units.
        label_bins: bins of the target, a grid of them for K-dimensional labels; ``None`` where there are none.
        width: number of features; ``None`` for a network that does not say.
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
            InputError: labels that have none.
        """
        if self.label_bins is None:
            raise InputError(
                f"labels of shape {self.y.shape} have too many dimensions for bins (at most 3); "
                "leave out the part that needs them"
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
        """Median width of the bins; of labels without bins, a twentieth of a standard deviation."""
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
            InputError: the network does not say.
        """
        if self.width is None:
            raise InputError("the model needs n_features, the number of channels of model.encode(x)")
        return self.width


@dataclass(frozen=True)
class FromLabels:
    """A default that comes from the training labels: the rule in words, and the rule."""

    rule: str
    value: Callable[[Setting], float | None]


@dataclass(frozen=True)
class Part:
    """One name of the grammar.

    Args:
        slot: which slot it fills.
        where: ``module:attribute`` of the class or function that makes it.
        summary: what it does, one line.
        source: paper, ``"-"`` for common knowledge.
        year: of the paper.
        remark: on the source.
        cost: of a training step beside the network: B rows, d features, C bins, M heads or components.
        use: the piece in a loop of one's own, at most three lines (see docs/methods.md for the names it may use).
        fixed: parameters this name stands for.
        from_labels: defaults taken from the training labels.
        of_none: what a default of ``None`` means, in words.
        units: unit of a parameter, where it has one: ``"target"``, ``"1/target"``, ``"bins"``, ``"rows"``, ...
        most: largest value of a parameter that still works.
        coef: coefficient of a regularizer, relative to the loss in standard deviations of the target.
        targets: what it takes: ``"scalar"`` ``(B,)``, ``"k"`` ``(B, K)``, ``"dense"`` ``(B, H, W)``.
        needs: what ``where`` takes first, by position: attributes of :class:`Setting`.
        hidden: parameters of ``where`` that the method fills itself.
        in_python: parameters that only Python can give a meaning to.
        also: other slots it fills, so that nothing else may.
        corrects: whether it acts against the rarity of labels, which two parts should not do at once.
        deviates: whether it predicts a standard deviation too.
    """

    slot: Slot
    where: str
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

    def load(self) -> Callable[..., Any]:
        """Import what makes the part."""
        module, name = self.where.split(":")
        make: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return make

    @property
    def balances(self) -> bool:
        """Whether it is a loss that itself corrects for the label distribution, as its class says."""
        return bool(getattr(self.load(), "balances", False))

    @property
    def reference(self) -> str:
        """Source, year and remark in one line."""
        return self.source + (f" {self.year}" if self.year else "") + (f" ({self.remark})" if self.remark else "")

    def choices(self) -> dict[str, tuple[str, ...]]:
        """Names a parameter may have for a value, as the annotations of ``where`` list them."""
        named = {
            name: tuple(_names_in(parameter.annotation))
            for name, parameter in inspect.signature(self.load()).parameters.items()
        }
        return {name: names for name, names in named.items() if names}

    def parameters(self) -> dict[str, Any]:
        """Keyword parameters with their defaults, as the signature of ``where`` has them."""
        given = {
            name: parameter.default
            for name, parameter in inspect.signature(self.load()).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in self.fixed and name not in self.hidden
        }
        given |= {name: default.rule for name, default in self.from_labels.items()}
        return given | ({} if self.coef is None else {"coef": self.coef})


def _names_in(annotation: Any) -> Iterator[str]:
    """Names in the literal types of an annotation."""
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        else:
            yield from _names_in(argument)
