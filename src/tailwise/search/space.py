"""The search space: parameters that are varied, and the settings drawn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from tailwise._checks import InputError, one_of
from tailwise.backends.names import ENCODERS, MODELS
from tailwise.methods.method import Method, compose, parse


@dataclass(frozen=True)
class Between:
    """Numbers from ``low`` to ``high``, uniform or log-uniform."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


METHODS = (
    "vanilla",
    "reweight+lds",
    "rrt+reweight+lds",
    "conr",
    "reweight+lds+conr",
    "reweight+lds+fds",
    "ranksim",
    "rnc",
    "gar",
    "bmc+rrt",
)
METHODS_OF_TREES = ("vanilla", "reweight+lds", "denseweight", "smoter", "smogn", "sera")
DEFAULT_ENCODERS = ("mlp", "mlp-ple")
_MODEL_PARAMS = "of_it"  # name in tune.json and in stored studies

# Parameters that are varied, by part. Parts that are not listed keep their defaults.
PARTS: Mapping[str, Mapping[str, Between]] = {
    "reweight": {"power": Between(0.1, 1.0)},
    "effective": {"beta": Between(0.9, 0.9999)},
    "denseweight": {"alpha": Between(0.1, 2.0)},
    "lds": {"sigma": Between(0.5, 4.0)},
    "fds": {"momentum": Between(0.5, 0.99), "sigma": Between(0.5, 4.0)},
    "conr": {"coef": Between(0.02, 2.0, log=True), "temperature": Between(0.05, 1.0, log=True)},
    "ranksim": {"coef": Between(0.02, 2.0, log=True)},
    "rnc": {"coef": Between(0.01, 1.0, log=True), "temperature": Between(0.2, 5.0, log=True)},
    "srl": {"coef": Between(0.01, 1.0, log=True)},
    "ordinal_entropy": {"coef": Between(0.01, 1.0, log=True)},
    "gar": {"alpha": Between(0.2, 5.0, log=True)},
    "rrt": {"lr": Between(1e-4, 1e-2, log=True)},
    "bsam": {"rho": Between(0.01, 0.5, log=True)},
    "cmixup": {"alpha": Between(0.2, 4.0, log=True)},
    "smoter": {"k": Between(2, 15, whole=True)},
    "smogn": {"k": Between(2, 15, whole=True), "noise": Between(0.005, 0.2, log=True)},
    "gn": {"noise": Between(0.01, 0.5, log=True)},
}
ENCODER: Mapping[str, Between] = {"dropout": Between(0.0, 0.5)}
RECIPE: Mapping[str, Between] = {"lr": Between(2e-4, 1e-2, log=True)}
MODEL: Mapping[str, Mapping[str, Between]] = {
    "lightgbm": {
        "learning_rate": Between(0.02, 0.2, log=True),
        "num_leaves": Between(7, 127, log=True, whole=True),
        "min_child_samples": Between(2, 50, log=True, whole=True),
        "reg_lambda": Between(1e-3, 10.0, log=True),
    },
    "hist-boosting": {
        "learning_rate": Between(0.02, 0.2, log=True),
        "max_leaf_nodes": Between(7, 127, log=True, whole=True),
        "min_samples_leaf": Between(2, 50, log=True, whole=True),
    },
    "forest": {"min_samples_leaf": Between(1, 20, log=True, whole=True), "max_features": Between(0.3, 1.0)},
    "linear": {},
}


@dataclass(frozen=True)
class Drawn:
    """Settings of one training.

    Args:
        method: method string.
        params: parameters of the method's parts.
        encoder: encoder of a network.
        lr: learning rate of a network; the default if not given.
        model_params: parameters of the encoder, or of a model other than a network.
    """

    method: str = "vanilla"
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    encoder: str = "auto"
    lr: float | None = None
    model_params: Mapping[str, Any] = field(default_factory=dict)

    def compose(self) -> Method:
        """Return the method."""
        return compose(self.method, **{part: dict(params) for part, params in self.params.items()})

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values; ``model_params`` is stored as ``of_it``."""
        plain = asdict(self)
        plain[_MODEL_PARAMS] = plain.pop("model_params")
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return the settings that :meth:`to_json` gave."""
        values = dict(plain)
        return cls(model_params=values.pop(_MODEL_PARAMS), **values)


class Draws(Protocol):
    """The part of an Optuna trial that draws settings."""

    def suggest_categorical(self, name: str, choices: Sequence[str], /) -> Any:
        """Draw one of several names."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Draw a number."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Draw a whole number."""


@dataclass(frozen=True)
class Space:
    """Methods and encoders that a search varies, with the parameters of ``PARTS``, ``ENCODER``, ``RECIPE``, ``MODEL``.

    Args:
        methods: method strings.
        model: one of :data:`tailwise.backends.names.MODELS`.
        encoders: encoders of networks.

    Raises:
        InputError: an unknown method, model or encoder.
    """

    methods: tuple[str, ...]
    model: str = "network"
    encoders: tuple[str, ...] = DEFAULT_ENCODERS

    def __post_init__(self) -> None:
        one_of(self.model, "`model`", tuple(MODELS))
        for method in self.methods:
            compose(method)
        for encoder in self.encoders if self.model == "network" else ():
            one_of(encoder, "`encoder`", tuple(ENCODERS))

    @classmethod
    def of(cls, methods: Sequence[str], model: str, encoders: Sequence[str]) -> "Space":
        """Return a space with these methods and encoders, or the defaults of the model if there are none.

        Raises:
            InputError: as the constructor, or encoders for a model without any.
        """
        if encoders and model != "network":
            raise InputError(f"`encoder` is for networks; `model={model!r}` has none")
        defaults = METHODS if model == "network" else METHODS_OF_TREES
        return cls(tuple(dict.fromkeys(methods)) or defaults, model, tuple(dict.fromkeys(encoders)) or DEFAULT_ENCODERS)

    def draw(self, trial: Draws) -> Drawn:
        """Draw the settings of a trial."""
        method = str(trial.suggest_categorical("method", self.methods))
        params = {
            part: {name: _draw(trial, f"{part}.{name}", span) for name, span in PARTS[part].items()}
            for part in parse(method)
            if part in PARTS
        }
        if self.model != "network":
            model_params = {name: _draw(trial, f"model.{name}", span) for name, span in MODEL[self.model].items()}
            return Drawn(method, params, model_params=model_params)
        encoder = str(trial.suggest_categorical("encoder", self.encoders))
        encoder_params = {name: _draw(trial, f"encoder.{name}", span) for name, span in ENCODER.items()}
        return Drawn(method, params, encoder, _draw(trial, "lr", RECIPE["lr"]), encoder_params)


def _draw(trial: Draws, name: str, span: Between) -> Any:
    """Draw a number of four significant digits, so that a command line contains it exactly."""
    if span.whole:
        return trial.suggest_int(name, int(span.low), int(span.high), log=span.log)
    return float(f"{trial.suggest_float(name, span.low, span.high, log=span.log):.4g}")
