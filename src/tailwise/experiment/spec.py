"""The description of a training: method, model, parameters, recipe."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from tailwise._checks import InputError, not_negative, one_of
from tailwise.backends.names import BACKENDS, STACK
from tailwise.labels.transform_names import TRANSFORMS
from tailwise.modalities.encoder_names import AUTO, ENCODERS
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.labels.censoring import Censoring
    from tailwise.methods.build import Method

AUTO_METHOD = "auto"
AUTO_BALANCE: Literal["auto"] = "auto"
AUTO_TRANSFORM = "auto"
LIMITS = ("censored_below", "censored_above")
_NETWORK = "network"


@dataclass(frozen=True)
class Experiment:
    """Description of a training, without any data.

    Args:
        method: method string such as ``"sqinv+lds"``, see ``tailwise methods``; or ``"auto"``, the default for
            the task, see :func:`tailwise.experiment.quality.default_for`.
        model: one of :data:`tailwise.backends.names.MODELS`.
        encoder: encoder of a network, one of :data:`tailwise.modalities.encoder_names.ENCODERS`, or ``"auto"``; of
            maps also a network of images.
        method_params: parameters of the method's parts, ``{"conr": {"window": 2.0}}``.
        params: parameters of the encoder, or of the model that is not a network; of a stack on images, texts and
            signals also those of the encoders, by modality.
        recipe: epochs, batch size, learning rate, seed and the like.
        balance: of the predictions, from 0 (labels as they come) to 1 (every value equally likely), or ``"auto"``,
            which is chosen on held-out rows; it changes decisions alone, not the training.
        within: with a balance of ``"auto"``, by how much the error as rows come may exceed the lower one of the
            plain network's and plain LightGBM's in a stack, or that of the model itself at balance 0; 0.05 for 5 %.
        transform: of the target that the model is trained on, one of
            :data:`tailwise.labels.transform_names.TRANSFORMS`, or ``"auto"``, the one of the lowest error on validation
            rows; predictions, distributions and errors are in target units. Parameters of the method in units of the
            target, such as a window, are then in units of the transformed one.
        censored_below: value that low labels were cut off at, target units: where it is the label, the true value lies
            there or below. For a stack and the method ``"mixture"``, see :class:`tailwise.losses.MixtureLikelihood`; a
            prediction beyond the limit then counts as no error.
        censored_above: value that high labels were cut off at, such as 500001 for all dearer houses.

    Raises:
        InputError: a model or a transform that does not exist, a balance outside 0 to 1, limits that are not numbers.

    Example:
        >>> Experiment("sqinv+lds", encoder="tabm").name, Experiment("vanilla", model="lightgbm").name
        ('tabm sqinv+lds', 'lightgbm vanilla')
        >>> Experiment.from_json(Experiment("lds", recipe=Recipe(epochs=3)).to_json()).recipe.epochs
        3
    """

    method: str = "sqinv+lds"
    model: str = _NETWORK
    encoder: str = AUTO
    method_params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe = field(default_factory=Recipe)
    balance: float | Literal["auto"] = 0.0
    within: float = 0.0
    transform: str | None = None
    censored_below: float | None = None
    censored_above: float | None = None

    def __post_init__(self) -> None:
        one_of(self.model, "model", BACKENDS)
        if not_negative(self.within, "`within`") > 1:
            raise InputError(f"`within` must be a fraction such as 0.05 for 5 %, at most 1, got {self.within:g}")
        if self.transform is not None:
            one_of(self.transform, "`transform`", (AUTO_TRANSFORM, *TRANSFORMS))
        _ = self.censoring
        if self.balance not in (0, AUTO_BALANCE):
            from tailwise.distributions.label_density import check_balance  # needs SciPy, which `--help` does not load

            check_balance(self.balance)

    @property
    def censoring(self) -> "Censoring | None":
        """The limits at which labels are censored; ``None`` if there are none."""
        if self.censored_below is None and self.censored_above is None:
            return None
        from tailwise.labels.censoring import Censoring  # needs NumPy, which `--help` does not load

        return Censoring(self.censored_below, self.censored_above)

    @property
    def name(self) -> str:
        """Model and method, with the parameters that are given for the method's parts."""
        return (self.trained if self.model == STACK else f"{self.trained} {self.method_name}") + self._changed

    @property
    def method_name(self) -> str:
        """The method with the parameters that are given for its parts."""
        given = [
            f"{part}.{key}={value}" for part, params in self.method_params.items() for key, value in params.items()
        ]
        return self.method + (f" ({', '.join(given)})" if given else "")

    @property
    def trained(self) -> str:
        """The encoder of a network, or the name of another model."""
        return self.encoder if self.model == _NETWORK else self.model

    def label(self, method: str) -> str:
        """Return how a run is called: the method, after the model where that is not the default network."""
        if self.model == STACK:
            return self.trained + self._changed
        named = method if (self.model, self.encoder) == (_NETWORK, AUTO) else f"{self.trained} {method}"
        return named + self._changed

    @property
    def _changed(self) -> str:
        """What follows the name: the transform of the target, its limits and the balance, where there are some."""
        of_target = f" on {self.transform}" if self.transform else ""
        for side, limit in (("below", self.censored_below), ("above", self.censored_above)):
            of_target += "" if limit is None else f" censored {side} {limit:g}"
        return of_target + (f" at balance {self.balance:g}" if self.balance not in (0, AUTO_BALANCE) else "")

    def check(self) -> Self:
        """Return the experiment if encoder and parameters belong to its model.

        Raises:
            InputError: an encoder that does not exist.
        """
        one_of(self.encoder, "encoder", (AUTO, *ENCODERS))
        return self

    def compose(self) -> "Method":
        """Return the method.

        Raises:
            InputError: ``"auto"``, which depends on the task; what :func:`tailwise.compose` refuses.
        """
        from tailwise.methods.build import compose

        if self.method == AUTO_METHOD:
            raise InputError(f"method {AUTO_METHOD!r} is the default for a task; name a method, or fit it")
        return compose(self.method, **{part: dict(params) for part, params in self.method_params.items()})

    def for_default(self) -> Recipe:
        """Return the recipe of an experiment of the method ``"auto"``.

        Raises:
            InputError: a model, an encoder or parameters, which the default chooses.
        """
        if self.model != _NETWORK or self.encoder != AUTO or self.method_params or self.params:
            raise InputError(
                f"method {AUTO_METHOD!r} is the default for a table, a stack with a model and parameters of its own; "
                "leave `model`, `encoder` and their parameters out, or name a method"
            )
        return self.recipe

    def with_recipe(self, **changes: Any) -> Self:
        """Return the experiment with another recipe: ``experiment.with_recipe(seed=1)``."""
        return replace(self, recipe=replace(self.recipe, **changes))

    def to_json(self) -> dict[str, Any]:
        """Return plain values; of the recipe only what differs from the defaults.

        Outside a stack a number that is the default is one that is not given.
        """
        may_be_stack = self.model == STACK or self.method == AUTO_METHOD
        recipe, defaults = (self.recipe, Recipe()) if may_be_stack else (self.recipe.alone(), Recipe().alone())
        usual = asdict(defaults)
        plain: dict[str, Any] = {
            "method": self.method,
            "model": self.model,
            "encoder": self.encoder if self.model == _NETWORK else AUTO,
            "method_params": {part: dict(params) for part, params in self.method_params.items()},
            "params": dict(self.params),
            "recipe": {name: value for name, value in asdict(recipe).items() if value != usual[name]},
        }
        return plain | self.changes()

    def changes(self) -> dict[str, Any]:
        """Return what is said of the target and of decisions, as plain values, without defaults."""
        names = ("balance", "within", "transform", *LIMITS)
        return {name: value for name in names if (value := getattr(self, name)) or (name in LIMITS and value == 0)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returned.

        Raises:
            InputError: a field that is unknown, or has a value that does not work.
        """
        known = {one.name for one in fields(cls)}
        if not set(saved) <= known:
            raise InputError(f"an experiment has no field {sorted(set(saved) - known)[0]!r}, only {sorted(known)}")
        return cls(**{**saved, "recipe": recipe_of(saved.get("recipe", {}))})


def recipe_of(changes: Mapping[str, Any]) -> Recipe:
    """Return the default recipe with some changes.

    Raises:
        InputError: a setting that does not exist, or has a value that does not work.
    """
    known = sorted(one.name for one in fields(Recipe))
    unknown = next((name for name in changes if name not in known), None)
    if unknown is not None:
        raise InputError(f"a recipe has no setting {unknown!r}, only {known}")
    return Recipe(**changes)
