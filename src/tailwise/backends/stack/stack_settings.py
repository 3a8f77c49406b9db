"""Settings of a stack, and the levels of quality."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from tailwise._checks import InputError, one_of, positive, true_or_false, whole
from tailwise._parallel import check_parallel
from tailwise.backends.stack.experts import EXPERTS, PLAIN, Expert

QUALITIES: Mapping[str, tuple[tuple[str, ...], int]] = {
    "good": (("lightgbm", PLAIN, "mixture network"), 4),
    "best": (("lightgbm", PLAIN, "mixture network", "tabm", "catboost"), 8),
}
MEDIA_FOLDS: Mapping[str, int] = {"good": 3, "best": 5}  # of images, texts and signals: an encoder is trained a fold


@dataclass(frozen=True)
class StackSettings:
    """Settings of a stack.

    Args:
        quality: one of :data:`QUALITIES`: experts and folds where they are not given.
        experts: names of the experts, of :data:`tailwise.backends.stack.experts.EXPERTS`; the plain network is one of
            them, since others are compared with it.
        folds: of cross-validation.
        jobs: trainings in parallel, each on one core; by default one a core.
        backend: of joblib: ``"loky"``, or ``"dask"`` or ``"ray"`` on a cluster, see
            :func:`tailwise._parallel.in_parallel`.
        seconds: of training at most, shared out among the experts.
        hurdle: whether a target with many zeros has a chance of 0, learned apart from the labels above 0, see
            :func:`tailwise.backends.stack.hurdle_experts.has_many_zeros`; without it all experts learn all labels.

    Raises:
        InputError: a quality or an expert that does not exist, numbers out of range.

    Example:
        >>> [expert.name for expert in StackSettings(quality="good").chosen]
        ['lightgbm', 'network', 'mixture network']
    """

    quality: str = "good"
    experts: tuple[str, ...] = ()
    folds: int | None = None
    jobs: int | None = None
    backend: str = "loky"
    seconds: float | None = None
    hurdle: bool = True

    def __post_init__(self) -> None:
        one_of(self.quality, "`quality`", tuple(QUALITIES))
        names = (self.experts,) if isinstance(self.experts, str) else tuple(self.experts)
        object.__setattr__(self, "experts", names)
        for name in names:
            one_of(name, "an expert of a stack", tuple(EXPERTS))
        if names and PLAIN not in names:
            raise InputError(f"the experts of a stack must include {PLAIN!r}, got {', '.join(names)}")
        for name, least in (("folds", 2), ("jobs", 1)):
            if getattr(self, name) is not None:
                whole(getattr(self, name), f"`{name}`", least=least)
        check_parallel(1, self.backend)
        if self.seconds is not None:
            positive(self.seconds, "`seconds`")
        true_or_false(self.hurdle, "`model.hurdle`")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Return the settings that parameters of a model describe.

        Raises:
            InputError: a parameter that does not exist, or has a value that does not work.
        """
        known = [one.name for one in fields(cls)]
        unknown = next((name for name in params if name not in known), None)
        if unknown is not None:
            raise InputError(f"a stack has no parameter {unknown!r}; it has {', '.join(known)}")
        return cls(**params)

    @property
    def chosen(self) -> tuple[Expert, ...]:
        """The experts."""
        return tuple(EXPERTS[name] for name in self.experts or QUALITIES[self.quality][0])

    def for_media(self) -> Self:
        """Return the settings for a table with images, texts or signals: fewer folds, where they are not given."""
        return replace(self, folds=self.folds or MEDIA_FOLDS[self.quality])

    def folds_for(self, n: int) -> int:
        """Return the number of folds of ``n`` rows."""
        wanted = self.folds or QUALITIES[self.quality][1]
        return max(2, min(wanted, n // 10))

    @property
    def workers(self) -> int:
        """Trainings in parallel."""
        if self.jobs is not None:
            return self.jobs
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
