"""A part with its parameters, and how it is built from training labels."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tailwise._checks import InputError
from tailwise._part import Part, Setting

_FINEST = 1e-9  # whose square still divides the square of an error in float32


@dataclass(frozen=True)
class Filling:
    """A part with the parameters given for it.

    Args:
        part: its description, from ``tailwise.methods.catalog.PARTS``.
        params: parameters by name; the others take their defaults.
    """

    part: Part
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the part."""
        return self.part.name

    def make(self, setting: Setting, **extra: Any) -> Any:
        """Build the part for training labels.

        Args:
            setting: training labels, their bins and the number of features.
            **extra: parameters that the method fills itself.

        Raises:
            InputError: labels that the part does not take, parameters that do not work.
        """
        if setting.y.ndim > 1 and "k" not in self.part.targets:
            raise InputError(
                f"{self.name}: this part needs scalar labels (n,), got labels of shape {setting.y.shape}; leave it out"
            )
        self.check_labels(float(setting.y.min()))
        # The coefficient of a regularizer is the objective's.
        params = {
            name: copy.deepcopy(value)
            for name, value in self.params.items()
            if name != "coef" or self.part.coef is None
        }
        defaults = {
            name: default.value(setting) for name, default in self.part.from_labels.items() if name not in params
        }
        for name, value in params.items():
            finest = _FINEST * setting.spread
            if self.part.units.get(name) == "target" and isinstance(value, int | float) and 0 < value < finest:
                raise InputError(
                    f"{self.name}: {name} must be at least {_FINEST:g} standard deviations of the labels, "
                    f"{finest:.3g}, got {value!r}"
                )
        try:
            needed = [getattr(setting, name) for name in self.part.needs]
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error
        return self._call(needed, {**defaults, **self.part.fixed, **params, **extra})

    def check_labels(self, lowest: float) -> None:
        """Raise for labels that the part does not take.

        Args:
            lowest: lowest training label.

        Raises:
            InputError: a label below the lowest that it takes.
        """
        least = self.part.least_label
        if least is not None and lowest < least:
            raise InputError(
                f"{self.name} needs labels of at least {least:g}, the lowest is {lowest:g}; use another loss such as "
                "mixture, or l1"
            )

    def build(self, *needed: Any) -> Any:
        """Build a part that does not depend on the labels."""
        return self._call(needed, self.params)

    def _call(self, needed: Iterable[Any], params: Mapping[str, Any]) -> Any:
        """Call the part's class or function; errors name the part."""
        try:
            return self.part.make(*needed, **params)
        except InputError as error:
            raise InputError(f"{self.name}: {error}") from error
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"the parameters of {self.name!r} do not work: {error}") from error
