"""The search space: one table of what is varied, and the settings that a trial drew from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS
from tailwise.methods.method import Method, compose, parse
from tailwise.modalities.encoder_names import ENCODERS


@dataclass(frozen=True)
class Between:
    """Numbers from ``low`` to ``high``, evenly or evenly in their logarithm."""

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

# Parameters that are varied, by part. A part that is not listed is used with its defaults.
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
        params: of its parts.
        encoder: of a network.
        lr: of a network; the default if not given.
        of_it: parameters of the encoder, or of the model that is not a network.
    """

    method: str = "vanilla"
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    encoder: str = "auto"
    lr: float | None = None
    of_it: Mapping[str, Any] = field(default_factory=dict)

    def compose(self) -> Method:
        """The method."""
        return compose(self.method, **{part: dict(params) for part, params in self.params.items()})

    def words(self, model: str) -> list[str]:
        """Options of ``tailwise train`` that train it again."""
        words = ["--method", self.method]
        for part, params in self.params.items():
            for name, value in params.items():
                words += ["--set", f"{part}.{name}={value!r}"]
        kind = "encoder" if model == "network" else "model"
        words += ["--encoder", self.encoder] if model == "network" else ["--model", model]
        for name, value in self.of_it.items():
            words += ["--set", f"{kind}.{name}={value!r}"]
        return words + ([] if self.lr is None else ["--lr", repr(self.lr)])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class Draws(Protocol):
    """What a trial offers: an Optuna trial."""

    def suggest_categorical(self, name: str, choices: Sequence[str], /) -> Any:
        """One of some names."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number."""


@dataclass(frozen=True)
class Space:
    """What a search varies.

    Args:
        methods: method strings; the parameters of their parts are those of ``PARTS``.
        model: one of :data:`tailwise.backends.names.MODELS`.
        encoders: of networks.

    Raises:
        InputError: an unknown method, model or encoder, encoders for a model that has none.
    """

    methods: tuple[str, ...]
    model: str = "network"
    encoders: tuple[str, ...] = DEFAULT_ENCODERS

    def __post_init__(self) -> None:
        one_of(self.model, "--model", tuple(MODELS))
        for method in self.methods:
            compose(method)
        for encoder in self.encoders if self.model == "network" else ():
            one_of(encoder, "--encoder", tuple(ENCODERS))

    @classmethod
    def of(cls, methods: Sequence[str], model: str, encoders: Sequence[str]) -> "Space":
        """A space with the defaults of the model in place of what is not named."""
        if encoders and model != "network":
            raise InputError(f"--encoder is for networks; --model {model} has none")
        usual = METHODS if model == "network" else METHODS_OF_TREES
        return cls(tuple(dict.fromkeys(methods)) or usual, model, tuple(dict.fromkeys(encoders)) or DEFAULT_ENCODERS)

    def draw(self, trial: Draws) -> Drawn:
        """Settings for a trial."""
        method = str(trial.suggest_categorical("method", self.methods))
        params = {
            part: {name: _draw(trial, f"{part}.{name}", span) for name, span in PARTS[part].items()}
            for part in parse(method)
            if part in PARTS
        }
        if self.model != "network":
            of_it = {name: _draw(trial, f"model.{name}", span) for name, span in MODEL[self.model].items()}
            return Drawn(method, params, of_it=of_it)
        encoder = str(trial.suggest_categorical("encoder", self.encoders))
        of_it = {name: _draw(trial, f"encoder.{name}", span) for name, span in ENCODER.items()}
        return Drawn(method, params, encoder, _draw(trial, "lr", RECIPE["lr"]), of_it)


def _draw(trial: Draws, name: str, span: Between) -> Any:
    """A number to four digits, so that a command line holds all of it."""
    if span.whole:
        return trial.suggest_int(name, int(span.low), int(span.high), log=span.log)
    return float(f"{trial.suggest_float(name, span.low, span.high, log=span.log):.4g}")
