"""Every part that a method string can name: the one list that grammar, documentation and completion come from.

Nothing heavy is imported here; a part says where its class or function lives and is loaded when a method is built.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Labels:
    """What a part may take from the training labels when its parameter is not given."""

    bin_width: float
    spread: float


@dataclass(frozen=True)
class FromLabels:
    """A default that comes from the training labels: the rule in words, and the rule."""

    rule: str
    value: Callable[[Labels], float | None]


@dataclass(frozen=True)
class Part:
    """One name of the grammar.

    Args:
        slot: which slot it fills.
        where: ``module:attribute`` of the class or function that makes it.
        summary: what it does, one line.
        source: paper and equation.
        fixed: parameters this name stands for.
        from_labels: defaults taken from the training labels.
        coef: coefficient of a regularizer, relative to the loss in standard deviations of the target.
        hidden: parameters of ``where`` that the method fills itself.
    """

    slot: str
    where: str
    summary: str
    source: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    from_labels: Mapping[str, FromLabels] = field(default_factory=dict)
    coef: float | None = None
    hidden: frozenset[str] = frozenset()

    def load(self) -> Callable[..., Any]:
        """Import what makes the part."""
        module, name = self.where.split(":")
        make: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return make

    def parameters(self) -> dict[str, Any]:
        """Keyword parameters with their defaults, as the signature of ``where`` has them."""
        given = {
            name: parameter.default
            for name, parameter in inspect.signature(self.load()).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in self.fixed and name not in self.hidden
        }
        given |= {name: default.rule for name, default in self.from_labels.items()}
        return given | ({} if self.coef is None else {"coef": self.coef})


_DIR = "Yang et al., Delving into Deep Imbalanced Regression, ICML 2021"
_CONR = "Keramati et al., ConR, ICLR 2024"
_WEIGHTS = "tailwise.weights:density_weights"
_HIDDEN = frozenset({"lds"})
_BETA = FromLabels("3.2 / standard deviation", lambda labels: 3.2 / labels.spread)

PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "inv": Part("weights", _WEIGHTS, "inverse label density", _DIR, fixed={"power": 1.0}, hidden=_HIDDEN),
        "sqinv": Part(
            "weights",
            _WEIGHTS,
            "square-root inverse label density",
            _DIR,
            fixed={"power": 0.5},
            hidden=_HIDDEN,
        ),
        "reweight": Part(
            "weights",
            _WEIGHTS,
            "inverse label density to any power, one knob between the common and the rare",
            _DIR,
            hidden=_HIDDEN,
        ),
        "lds": Part(
            "density",
            "tailwise.labels.density:LDS",
            "label distribution smoothing of the density that weights use (alone: with sqinv)",
            _DIR,
        ),
        "fds": Part("smoother", "tailwise.fds:FDS", "feature distribution smoothing", _DIR),
        "mse": Part("loss", "tailwise.losses.pointwise:MSE", "mean squared error (the default)", "-"),
        "l1": Part("loss", "tailwise.losses.pointwise:L1", "mean absolute error", "-"),
        "huber": Part(
            "loss",
            "tailwise.losses.pointwise:Huber",
            "Huber loss",
            "-",
            from_labels={"beta": FromLabels("1 standard deviation", lambda labels: labels.spread)},
        ),
        "focal_l1": Part(
            "loss",
            "tailwise.losses.focal:FocalL1",
            "Focal-R on the absolute error",
            _DIR,
            from_labels={"beta": _BETA},
        ),
        "focal_mse": Part(
            "loss",
            "tailwise.losses.focal:FocalMSE",
            "Focal-R on the squared error",
            _DIR,
            from_labels={"beta": _BETA},
        ),
        "conr": Part(
            "regularizer",
            "tailwise.regularizers.conr:ConR",
            "contrastive regularizer: part features whose predictions are wrongly close",
            _CONR,
            from_labels={
                "window": FromLabels("one bin", lambda labels: labels.bin_width),
                "push": FromLabels("0.01 / window", lambda _: None),
            },
            coef=0.25,
        ),
        "rrt": Part(
            "stage",
            "tailwise.methods.method:rrt_stage",
            "regressor re-training: a second stage trains a new head, re-weighted, on frozen features",
            f"{_DIR}, after Kang et al., Decoupling, ICLR 2020",
            hidden=frozenset({"fillings", "objects"}),
        ),
    }
)
