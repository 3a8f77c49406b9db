"""Every part that a method string can name: the one list that grammar, documentation and completion come from.

Nothing heavy is imported here; a part says where its class or function lives and is loaded when a method is built.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tailwise._checks import InputError
from tailwise.methods.slots import Slot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tailwise.labels.bins import Bins


_ALL = ("scalar", "k", "dense")


@dataclass(frozen=True)
class Setting:
    """What parts are built from: training labels, their bins, and the network's number of features.

    Args:
        y: ``(n,)`` or ``(n, K)`` training labels, target units.
        label_bins: bins of a scalar target.
        width: number of features; ``None`` for a network that does not say.
    """

    y: "NDArray[np.float64]"
    label_bins: "Bins | None"
    width: int | None = None

    @property
    def bins(self) -> "Bins":
        """Bins of the target.

        Raises:
            InputError: labels that have none.
        """
        if self.label_bins is None:
            raise InputError(f"this part needs scalar labels (n,) with bins, got labels of shape {self.y.shape}")
        return self.label_bins

    @property
    def bin_width(self) -> float:
        """Median width of the bins."""
        return float(sorted(self.bins.widths)[self.bins.n_bins // 2])

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
        source: paper and equation.
        fixed: parameters this name stands for.
        from_labels: defaults taken from the training labels.
        coef: coefficient of a regularizer, relative to the loss in standard deviations of the target.
        targets: what it takes: ``"scalar"`` ``(B,)``, ``"k"`` ``(B, K)``, ``"dense"`` ``(B, H, W)``.
        needs: what ``where`` takes first, by position: attributes of :class:`Setting`.
        hidden: parameters of ``where`` that the method fills itself.
    """

    slot: Slot
    where: str
    summary: str
    source: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    from_labels: Mapping[str, FromLabels] = field(default_factory=dict)
    coef: float | None = None
    targets: tuple[str, ...] = _ALL
    needs: tuple[str, ...] = ()
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
_BALANCED = "Ren et al., Balanced MSE, CVPR 2022"
_SIGMA = FromLabels("half a standard deviation", lambda setting: setting.spread / 2)
_WEIGHTS = "tailwise.weights:density_weights"
_HIDDEN = frozenset({"lds"})
_BETA = FromLabels("3.2 / standard deviation", lambda setting: 3.2 / setting.spread)

PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "inv": Part(
            "weights",
            _WEIGHTS,
            "inverse label density",
            _DIR,
            fixed={"power": 1.0},
            targets=("scalar", "dense"),
            needs=("y", "bins"),
            hidden=_HIDDEN,
        ),
        "sqinv": Part(
            "weights",
            _WEIGHTS,
            "square-root inverse label density",
            _DIR,
            fixed={"power": 0.5},
            targets=("scalar", "dense"),
            needs=("y", "bins"),
            hidden=_HIDDEN,
        ),
        "reweight": Part(
            "weights",
            _WEIGHTS,
            "inverse label density to any power, one knob between the common and the rare",
            _DIR,
            targets=("scalar", "dense"),
            needs=("y", "bins"),
            hidden=_HIDDEN,
        ),
        "lds": Part(
            "density",
            "tailwise.labels.density:LDS",
            "label distribution smoothing of the density that weights use (alone: with sqinv)",
            _DIR,
        ),
        "fds": Part(
            "smoother", "tailwise.fds:FDS", "feature distribution smoothing", _DIR, needs=("bins", "n_features")
        ),
        "mse": Part("loss", "tailwise.losses.pointwise:MSE", "mean squared error (the default)", "-"),
        "l1": Part("loss", "tailwise.losses.pointwise:L1", "mean absolute error", "-"),
        "huber": Part(
            "loss",
            "tailwise.losses.pointwise:Huber",
            "Huber loss",
            "-",
            from_labels={"beta": FromLabels("1 standard deviation", lambda setting: setting.spread)},
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
        "bmc": Part(
            "loss",
            "tailwise.losses.balanced_mse:BMC",
            "Balanced MSE, batch Monte Carlo: squared error corrected for the label distribution, from the batch alone",
            _BALANCED,
            from_labels={"sigma": _SIGMA},
        ),
        "gai": Part(
            "loss",
            "tailwise.losses.balanced_mse:GAI",
            "Balanced MSE, analytical, with a Gaussian mixture fitted to the training labels",
            _BALANCED,
            from_labels={"sigma": _SIGMA},
            needs=("y",),
        ),
        "bni": Part(
            "loss",
            "tailwise.losses.balanced_mse:BNI",
            "Balanced MSE, integrated over the bins of the training labels",
            _BALANCED,
            from_labels={"sigma": _SIGMA},
            targets=("scalar", "dense"),
            needs=("y", "bins"),
        ),
        "conr": Part(
            "regularizer",
            "tailwise.regularizers.conr:ConR",
            "contrastive regularizer: part features whose predictions are wrongly close",
            _CONR,
            from_labels={
                "window": FromLabels("one bin", lambda setting: setting.bin_width),
                "push": FromLabels("0.01 / window", lambda _: None),
            },
            coef=0.25,
        ),
        "ranksim": Part(
            "regularizer",
            "tailwise.regularizers.ranksim:RankSim",
            "neighbours in label space should rank alike in feature space",
            "Gong et al., RankSim, ICML 2022",
            coef=6.3,
            targets=("scalar", "k"),
        ),
        "rnc": Part(
            "regularizer",
            "tailwise.regularizers.rank_n_contrast:RankNContrast",
            "Rank-N-Contrast: features ordered as their labels are",
            "Zha et al., Rank-N-Contrast, NeurIPS 2023",
            coef=0.1,
            targets=("scalar", "k"),
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
