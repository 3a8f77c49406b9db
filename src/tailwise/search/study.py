"""The search: trials on the validation rows, kept in a storage that several machines may share."""

import hashlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tailwise._checks import InputError, not_negative, one_of
from tailwise.backends.protocol import Fitting
from tailwise.data.task import Task
from tailwise.experiment.start import start_training
from tailwise.search.space import Drawn, Space
from tailwise.training.recipe import Recipe

OBJECTIVES = ("few", "medium", "many", "bmae", "mae")
JOURNAL = "study.journal"
_PENALTY = 10.0
_WARM_UP, _WARM_UP_ROUNDS = 5, 200  # a low learning rate must have a chance
_TOLD_EVERY = 25  # rounds of boosting
_VANILLA, _SETTINGS = "vanilla", "settings"
_DRAWN, _SCORE, _ERRORS, _FAILED = "drawn", "score", "errors", "failed"


@dataclass(frozen=True)
class Aim:
    """What is minimised on the validation rows.

    Args:
        minimise: one of :data:`OBJECTIVES`: the MAE of a region, bMAE, or the overall MAE.
        within: how much the overall MAE may exceed vanilla's, relative; ``None`` for as much as it likes.

    Raises:
        InputError: an unknown name, a number below 0.
    """

    minimise: str = "few"
    within: float | None = 0.02

    def __post_init__(self) -> None:
        one_of(self.minimise, "`minimise`", OBJECTIVES)
        if self.within is not None:
            not_negative(self.within, "`within`")

    def value(self, errors: Mapping[str, float]) -> float:
        """The score of validation errors, target units.

        Raises:
            InputError: no validation row of that region.
        """
        if self.minimise not in errors:
            raise InputError(
                f"no validation row lies in the region {self.minimise!r}; use another `minimise`, such as bmae"
            )
        return float(errors[self.minimise])

    def excess(self, errors: Mapping[str, float], vanilla: Mapping[str, float]) -> float:
        """By how much the overall MAE exceeds what is allowed, relative to vanilla's; 0 or less where it does not."""
        if self.within is None:
            return 0.0
        return float(errors["mae"] / max(vanilla["mae"], 1e-300) - 1 - self.within)


@dataclass(frozen=True)
class Trial:
    """One trial that ended.

    Args:
        number: from 0.
        drawn: its settings; none of a trial that failed before it had any.
        state: ``"complete"``, ``"pruned"`` (stopped early, for others were better by then) or ``"failed"``.
        value: the score; where it was pruned, as far as it came.
        errors: validation errors of the epoch that was kept.
        allowed: whether the overall MAE is within the limit.
        failed: why it failed.
    """

    number: int
    drawn: dict[str, Any] | None
    state: str
    value: float | None
    errors: dict[str, float] | None
    allowed: bool
    failed: str | None = None


class Search:
    """A study of Optuna's over a table: resumable, and one for all who have the same storage and settings.

    Trials are drawn by TPE (Bergstra et al., NeurIPS 2011), each with a seed of its own made from the seed and its
    number, under the constraint of :class:`Aim`; pruned by the median of those before at the same epoch (Akiba et al.,
    *Optuna*, KDD 2019). What pruning compares is the score of the best epoch so far, times 1 + 10 e for an overall MAE
    that exceeds its limit by the share e, so that trials that are not allowed do not drive out those that are.

    Args:
        table: a prepared table; its test rows are not touched.
        space: what is varied.
        aim: what is minimised.
        recipe: of all trials but what is varied.
        settings: what tells one study from another, as plain values.
        folder: where the study is kept.
        storage: an SQLAlchemy URL, or the path of a journal file, in place of a journal in the folder.

    Raises:
        InputError: no package ``optuna``, a storage that cannot be opened, a study of other settings.
    """

    def __init__(
        self,
        table: Task,
        space: Space,
        aim: Aim,
        recipe: Recipe,
        *,
        settings: Mapping[str, Any],
        folder: Path,
        storage: str | None = None,
    ) -> None:
        optuna = require_optuna()
        self.table, self.space, self.aim, self.recipe = table, space, aim, recipe
        plain = json.loads(json.dumps(settings))
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]
        optuna.logging.disable_default_handler()  # failures are told by our own lines
        shown = str(folder / JOURNAL) if storage is None else storage
        warm_up = _WARM_UP if space.model == "network" else _WARM_UP_ROUNDS
        try:
            self.study = optuna.create_study(
                storage=_storage(shown),
                study_name=f"tailwise-{table.schema.target}-{digest}" if storage else "tailwise",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warm_up),
            )
            known = self.study.user_attrs.get(_SETTINGS)
            if known is None:
                self.study.set_user_attr(_SETTINGS, plain)
        except Exception as error:  # of whichever database driver it is
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"`storage` {shown!r} cannot be opened: {reason}") from error
        if known not in (None, plain):
            raise InputError(f"{shown!r} holds a study of other settings; go on with those, or choose another `out`")

    @property
    def vanilla(self) -> dict[str, float]:
        """Validation errors of the plain method with the defaults; trained on first use."""
        known: dict[str, float] | None = self.study.user_attrs.get(_VANILLA)
        if known is None:
            with _quiet():
                known = _run(self.start(Drawn()))
            self.study.set_user_attr(_VANILLA, known)
        return known

    def start(self, drawn: Drawn, seed: int | None = None) -> Fitting:
        """A training with these settings, and with another seed if given."""
        recipe = self.recipe if drawn.lr is None else replace(self.recipe, lr=drawn.lr)
        recipe = recipe if seed is None else replace(recipe, seed=seed)
        model, encoder = self.space.model, drawn.encoder
        return start_training(self.table, drawn.compose(), recipe, model=model, encoder=encoder, params=drawn.of_it)

    def trials(self) -> list[Trial]:
        """Trials that ended, those that were interrupted left out."""
        ended = [_ended(trial) for trial in self.study.get_trials(deepcopy=False)]
        return [trial for trial in ended if trial is not None]

    def best(self) -> Trial | None:
        """The complete and allowed trial with the lowest score; none if vanilla's is as low."""
        limit = self.aim.value(self.vanilla)
        good = [
            (t.value, t.number, t) for t in self.trials() if t.state == "complete" and t.allowed and t.value is not None
        ]
        value, _, best = min(good, default=(limit, 0, None))
        return best if value < limit else None

    def run(self, trials: int, *, timeout: float | None = None) -> Iterator[Trial]:
        """Run trials until so many have ended in all, here and elsewhere, or the time is over.

        Args:
            trials: how many the study shall have.
            timeout: seconds after which no trial is started.

        Yields:
            Each trial of this process, when it ended.
        """
        import optuna

        started = time.perf_counter()
        self.aim.value(self.vanilla)
        while len(self.trials()) < trials and (timeout is None or time.perf_counter() - started < timeout):
            count = len(self.study.get_trials(deepcopy=False))
            seed = int(hashlib.sha256(f"{self.recipe.seed} {count}".encode()).hexdigest()[:8], 16)
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
            with _quiet():
                self.study.optimize(self._objective, n_trials=1, catch=(Exception,))
            ended = [trial for trial in self.trials() if trial.number == self._latest]
            if not ended:
                raise InputError(f"trial {self._latest} ended without a record; is the study's storage still there?")
            yield ended[0]

    def _objective(self, trial: Any) -> float:
        from optuna import TrialPruned

        try:
            self._latest = trial.number
            drawn = self.space.draw(trial)
            trial.set_user_attr(_DRAWN, drawn.to_json())
            setup = self.start(drawn)
            errors: dict[str, float] = {}
            told = 1 if self.space.model == "network" else _TOLD_EVERY
            for step, epoch in enumerate(setup.epochs()):
                errors = epoch.validation if epoch.best and epoch.validation else errors
                if not errors or step % told:
                    continue
                excess = max(0.0, self.aim.excess(errors, self.vanilla))
                trial.report(self.aim.value(errors) * (1 + _PENALTY * excess), step)
                if trial.should_prune():
                    self._note(trial, errors)
                    raise TrialPruned
            self._note(trial, errors)
            return self.aim.value(errors)
        except TrialPruned:
            raise
        except InputError as error:
            trial.set_user_attr(_FAILED, str(error))
            raise
        except Exception as error:  # a defect of one trial must not lose the hours of the others
            trial.set_user_attr(_FAILED, f"{type(error).__name__}: {error}")
            raise

    def _note(self, trial: Any, errors: dict[str, float]) -> None:
        trial.set_user_attr(_ERRORS, errors)
        trial.set_user_attr(_SCORE, self.aim.value(errors))
        trial.set_constraint("overall", self.aim.excess(errors, self.vanilla))


def require_optuna() -> Any:
    """The package Optuna.

    Raises:
        InputError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InputError("tuning needs optuna: pip install 'tailwise[tune]'") from error
    return optuna


def _storage(name: str) -> Any:
    if "://" in name:
        return name
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(name))


def _ended(trial: Any) -> Trial | None:
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}.get(trial.state.name)
    attrs = trial.user_attrs
    if state is None or (state == "failed" and _FAILED not in attrs):
        return None
    allowed = all(value <= 0 for value in trial.constraints.values()) and _ERRORS in attrs
    drawn, value, errors = (attrs.get(name) for name in (_DRAWN, _SCORE, _ERRORS))
    return Trial(trial.number, drawn, state, value, errors, allowed, attrs.get(_FAILED))


def _run(setup: Fitting) -> dict[str, float]:
    """Validation errors of the epoch that is kept."""
    errors: dict[str, float] = {}
    for epoch in setup.epochs():
        errors = epoch.validation if epoch.best and epoch.validation else errors
    return errors


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of the package: a search tries what nobody asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
