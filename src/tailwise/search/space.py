"""The search space: parameters that are varied, and the settings drawn from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from tailwise._checks import InputError, one_of
from tailwise.backends.names import MODELS, load_backend
from tailwise.backends.protocol import Between
from tailwise.experiment.censored import check_likelihood
from tailwise.experiment.spec import LIMITS, Experiment
from tailwise.labels.censoring import CENSORED_METHOD
from tailwise.methods.build import compose
from tailwise.methods.grammar import parse
from tailwise.modalities.encoder_names import ENCODERS
from tailwise.training.recipe import Recipe

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
METHODS_OF_CENSORED = ("mixture", "reweight+mixture", "reweight+lds+mixture", "conr+mixture", "ranksim+mixture")
METHODS_OF_TREES = ("vanilla", "reweight+lds", "denseweight", "smoter", "smogn", "sera")
DEFAULT_ENCODERS = ("mlp", "mlp-ple")
_VANILLA = "vanilla"
_STACK, _BALANCE = "stack", "balance"
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
RECIPE: Mapping[str, Between] = {"lr": Between(2e-4, 1e-2, log=True)}


def stored_settings(experiment: Experiment, recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a trial as a study stores them: those that differ from the recipe of the search.

    Args:
        experiment: what a trial trains.
        recipe: the recipe of all trials.
    """
    lr = experiment.recipe.lr
    balance = {_BALANCE: experiment.balance} if experiment.model == _STACK else {}
    return {
        "method": experiment.method,
        "params": {part: dict(params) for part, params in experiment.method_params.items()},
        "encoder": experiment.encoder,
        "lr": None if lr == recipe.lr else lr,
        _MODEL_PARAMS: dict(experiment.params),
        **balance,
    }


def from_stored(stored: Mapping[str, Any], model: str, recipe: Recipe) -> Experiment:
    """Return the experiment of settings that :func:`stored_settings` gave."""
    lr = recipe.lr if stored["lr"] is None else float(stored["lr"])
    return Experiment(
        stored["method"],
        model,
        stored["encoder"],
        stored["params"],
        stored[_MODEL_PARAMS],
        replace(recipe, lr=lr),
        balance=stored.get(_BALANCE, 0.0),
    )


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
    """Methods and encoders that a search varies, with the parameters of their parts, of the model and of the recipe.

    Of a stack the experts are varied, those whose packages are installed; the plain network is always one of
    them, and so is the mixture network where labels are censored.

    Args:
        methods: method strings; of a stack ``"vanilla"`` alone.
        model: one of :data:`tailwise.backends.names.MODELS`.
        encoders: encoders of networks.
        transform: of the target, for all trials; see :class:`tailwise.experiment.spec.Experiment`.
        censored_below: value that low labels were cut off at, likewise; for stacks, and networks and methods with
            ``mixture``.
        censored_above: value that high labels were cut off at.

    Raises:
        InputError: an unknown method, model, encoder or transform; a model or a method without a likelihood of censored
            labels, where labels are.
    """

    methods: tuple[str, ...]
    model: str = "network"
    encoders: tuple[str, ...] = DEFAULT_ENCODERS
    transform: str | None = None
    censored_below: float | None = None
    censored_above: float | None = None

    def __post_init__(self) -> None:
        one_of(self.model, "`model`", MODELS)
        if self.model == _STACK and self.methods != (_VANILLA,):
            raise InputError(f"a stack trains its experts by {_VANILLA!r} and searches these; leave `method` out")
        self.plain(Recipe())  # raises for a transform that does not exist, and limits that are no numbers
        for method in self.methods:
            compose(method)
            if self._limits and self.model != _STACK:
                check_likelihood(self._for_all(Experiment(method, self.model)))
        for encoder in self.encoders if self.model == "network" else ():
            one_of(encoder, "`encoder`", tuple(ENCODERS))

    @classmethod
    def of(
        cls,
        methods: Sequence[str],
        model: str,
        encoders: Sequence[str],
        transform: str | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> "Space":
        """Return a space with these methods and encoders, or the defaults of the model if there are none.

        Raises:
            InputError: as the constructor, or encoders for a model without any.
        """
        if encoders and model != "network":
            raise InputError(f"`encoder` is for networks; `model={model!r}` has none")
        networks = METHODS_OF_CENSORED if limits else METHODS
        defaults = {"network": networks, _STACK: (_VANILLA,)}.get(model, METHODS_OF_TREES)
        return cls(
            tuple(dict.fromkeys(methods)) or defaults,
            model,
            tuple(dict.fromkeys(encoders)) or DEFAULT_ENCODERS,
            transform,
            **(limits or {}),
        )

    @property
    def plain_method(self) -> str:
        """Method that trials are compared with: vanilla, where labels are censored the one of their likelihood."""
        return CENSORED_METHOD if self._limits else _VANILLA

    @property
    def _limits(self) -> dict[str, float]:
        limits = {name: getattr(self, name) for name in LIMITS}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def _for_all(self, experiment: Experiment) -> Experiment:
        """Return an experiment with what all trials have."""
        return replace(
            experiment, transform=self.transform, censored_below=self.censored_below, censored_above=self.censored_above
        )

    def plain(self, recipe: Recipe) -> Experiment:
        """Return vanilla with the default settings of the model; of a stack, a single plain network."""
        model = "network" if self.model == _STACK else self.model
        return self._for_all(Experiment(self.plain_method, model, recipe=recipe))

    def stack(self, others: Sequence[str], recipe: Recipe) -> Experiment:
        """Return a stack of its fixed experts and others, in the order in which experts are listed.

        Fixed are the plain network and, where labels are censored, the one with their likelihood.
        """
        from tailwise.backends.stack.experts import EXPERTS

        experts = [name for name in EXPERTS if name in self._fixed_experts or name in others]
        return self._for_all(Experiment(_VANILLA, _STACK, params={"experts": experts}, recipe=recipe))

    @property
    def _fixed_experts(self) -> tuple[str, ...]:
        from tailwise.backends.stack.experts import CENSORED_EXPERT, PLAIN

        return (PLAIN, CENSORED_EXPERT) if self._limits else (PLAIN,)

    def stored(self, drawn: Mapping[str, Any], recipe: Recipe) -> Experiment:
        """Return the experiment of a trial from its stored settings, see :func:`stored_settings`."""
        return self._for_all(from_stored(drawn, self.model, recipe))

    def described(self) -> dict[str, Any]:
        """Return the space as JSON values; without a transform and limits as studies before had it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def draw(self, trial: Draws, recipe: Recipe) -> Experiment:
        """Draw the settings of a trial; the recipe is that of all trials."""
        if self.model == _STACK:
            varied_experts = [name for name in other_experts() if name not in self._fixed_experts]
            drawn = {name: trial.suggest_categorical(f"with {name}", ("yes", "no")) for name in varied_experts}
            return self.stack([name for name, answer in drawn.items() if answer == "yes"], recipe)
        method = str(trial.suggest_categorical("method", self.methods))
        method_params = {
            part: {name: _draw(trial, f"{part}.{name}", span) for name, span in PARTS[part].items()}
            for part in parse(method)
            if part in PARTS
        }
        varied = load_backend(self.model).varied
        if self.model != "network":
            params = {name: _draw(trial, f"model.{name}", span) for name, span in varied.items()}
            settings = Experiment(method, self.model, method_params=method_params, params=params, recipe=recipe)
            return self._for_all(settings)
        encoder = str(trial.suggest_categorical("encoder", self.encoders))
        params = {name: _draw(trial, f"encoder.{name}", span) for name, span in varied.items()}
        lr = _draw(trial, "lr", RECIPE["lr"])
        settings = Experiment(method, self.model, encoder, method_params, params, replace(recipe, lr=lr))
        return self._for_all(settings)


def _draw(trial: Draws, name: str, span: Between) -> Any:
    """Draw a number of four significant digits, so that a command line contains it exactly."""
    if span.whole:
        return trial.suggest_int(name, int(span.low), int(span.high), log=span.log)
    return float(f"{trial.suggest_float(name, span.low, span.high, log=span.log):.4g}")


def other_experts() -> list[str]:
    """Return the experts beside the plain network whose packages are installed."""
    from tailwise.backends.stack.experts import EXPERTS, PLAIN

    return [name for name, expert in EXPERTS.items() if name != PLAIN and _is_installed(expert.model)]


def _is_installed(model: str) -> bool:
    try:
        load_backend(model).check_installed()
    except InputError:
        return False
    return True
