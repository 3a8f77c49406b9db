"""Search with Optuna: trials scored on the validation rows, in a storage that several machines can share."""

import hashlib
import json
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from tailwise._checks import InputError
from tailwise._files import naming
from tailwise.backends.names import STACK
from tailwise.backends.protocol import Fitting, OutOfFold
from tailwise.backends.stack.fitting import StackFitting
from tailwise.backends.stack.hurdle_experts import WAY_OUT
from tailwise.backends.stack.trained_fold import TrainedFold
from tailwise.backends.transformed import TransformedFitting
from tailwise.data.task import Task
from tailwise.experiment.fit import start
from tailwise.experiment.spec import Experiment
from tailwise.search.aim import Aim
from tailwise.search.space import Space, stored_settings
from tailwise.search.stack_trial import best_balance, plain_errors
from tailwise.training.recipe import Recipe

JOURNAL = "study.journal"
_LOCK = ".study.lock"
_PENALTY = 10.0
_WARM_UP, _WARM_UP_ROUNDS = 5, 200  # before these, pruning would reject every low learning rate
_REPORT_EVERY = 25  # rounds of boosting
_VANILLA, _SETTINGS = "vanilla", "settings"
_DRAWN, _SCORE, _ERRORS, _FAILED = "drawn", "score", "errors", "failed"


@dataclass(frozen=True)
class Trial:
    """A trial that ended.

    Args:
        number: number of the trial, from 0.
        drawn: settings, see :meth:`tailwise.search.space.stored_settings`; missing if the trial failed before drawing.
        state: ``"complete"``, ``"pruned"`` (stopped early because others were better at the same epoch) or
            ``"failed"``.
        value: score; for a pruned trial, that of its best epoch so far.
        errors: validation errors of the epoch that was kept.
        allowed: whether the overall MAE is within the limit.
        failed: error of a failed trial.
    """

    number: int
    drawn: dict[str, Any] | None
    state: str
    value: float | None
    errors: dict[str, float] | None
    allowed: bool
    failed: str | None = None


class Search:
    """An Optuna study of a table: resumable, and shared by all processes with the same storage and settings.

    Trials are drawn by TPE (Bergstra et al., NeurIPS 2011), each with a seed derived from the recipe's seed and the
    trial's number, under the constraint of :class:`tailwise.search.aim.Aim`. They are pruned by the median of earlier
    trials at the same epoch (Akiba et al., *Optuna*, KDD 2019). Pruning compares the score of the best epoch so far,
    multiplied by 1 + 10 e for an overall MAE that exceeds its limit by the fraction e, so that trials beyond the limit
    do not prune those within it.

    Args:
        table: a prepared table; its test rows are not used.
        space: methods and parameters to vary.
        aim: error to minimise, and the limit of the overall MAE.
        recipe: training recipe of all trials, except for what is varied.
        settings: JSON values that identify the study, see :func:`tailwise.search.study_folder.study_settings`.
        folder: folder of the study.
        storage: an SQLAlchemy URL, or the path of a journal file, instead of a journal in the folder.

    Raises:
        InputError: no package ``optuna``, a storage that cannot be opened, a study with other settings.
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
        self._folds: dict[tuple[str, int], TrainedFold] = {}
        plain = json.loads(json.dumps(settings))
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]
        optuna.logging.disable_default_handler()  # failures are reported by the caller
        self.location = location = str(folder / JOURNAL) if storage is None else storage
        lock = folder / _LOCK if storage is None else None
        warm_up = _WARM_UP if space.model == "network" else _WARM_UP_ROUNDS
        try:
            self.study = optuna.create_study(
                storage=_storage(location, lock),
                study_name=f"tailwise-{table.schema.target}-{digest}" if storage else "tailwise",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warm_up),
            )
            known = self.study.user_attrs.get(_SETTINGS)
            if known is None:
                self.study.set_user_attr(_SETTINGS, plain)
        except Exception as error:  # every database driver has its own exceptions
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"`storage` {location!r} cannot be opened: {reason}") from error
        if known not in (None, plain):
            raise InputError(f"{location!r} holds a study of other settings; go on with those, or choose another `out`")

    @property
    def vanilla(self) -> dict[str, float]:
        """Validation errors of vanilla with default settings; trained on first use."""
        errors: dict[str, float] | None = self.study.user_attrs.get(_VANILLA)
        if errors is None:
            with _quiet():
                if self.space.model == STACK:
                    experiment = self.space.stack((), self.recipe)
                    errors = plain_errors(self._judged(experiment), self._out_of_fold(experiment))
                else:
                    errors = _run(self.start(self.space.plain(self.recipe)))
            self.study.set_user_attr(_VANILLA, errors)
        return errors

    def start(self, experiment: Experiment) -> Fitting:
        """Set up a training on the table of the search."""
        return start(self.table, experiment).fitting

    def notes_on_training(self) -> list[str]:
        """Return notes for the user that all trainings have, of a target with many zeros."""
        if self.space.model != STACK:
            return []
        known = len(self.table.notes)
        self.start(self.space.stack((), self.recipe))
        return [note.removesuffix(WAY_OUT) for note in self.table.notes[known:]]  # a search has no such setting

    def trials(self) -> list[Trial]:
        """Return the trials that ended, without interrupted ones."""
        ended = [_ended(trial) for trial in self.study.get_trials(deepcopy=False)]
        return [trial for trial in ended if trial is not None]

    def best(self) -> Trial | None:
        """Return the complete trial within the limit that has the lowest score; none if vanilla's is as low."""
        limit = self.aim.value(self.vanilla)
        candidates = [
            (t.value, t.number, t) for t in self.trials() if t.state == "complete" and t.allowed and t.value is not None
        ]
        value, _, best = min(candidates, default=(limit, 0, None))
        return best if value < limit else None

    def best_settings(self) -> Experiment:
        """Return the settings of the best trial; those of vanilla if no trial is better."""
        best = self.best()
        if best is None or best.drawn is None:
            return self.space.plain(self.recipe)
        return self.space.stored(best.drawn, self.recipe)

    def run(self, trials: int, *, timeout: float | None = None) -> Iterator[Trial]:
        """Run trials until the study has enough of them, from all processes, or the time is up.

        Args:
            trials: number of trials that the study is to have.
            timeout: seconds after which no trial is started.

        Yields:
            Each trial of this process when it ends.

        Raises:
            InputError: no validation row in the region of the aim, a storage that lost a trial.
        """
        import optuna

        started = time.perf_counter()
        self.aim.value(self.vanilla)
        while len(self.trials()) < trials and (timeout is None or time.perf_counter() - started < timeout):
            count = len(self.study.get_trials(deepcopy=False))
            seed = int(hashlib.sha256(f"{self.recipe.seed} {count}".encode()).hexdigest()[:8], 16)
            self.study.sampler = optuna.samplers.TPESampler(seed=seed)
            try:
                with _quiet(), naming(Path(self.location)):
                    self.study.optimize(self._objective, n_trials=1, catch=(Exception,))
            except AssertionError as error:  # Optuna's, where it could not record how the trial ended
                raise InputError(
                    f"the trial cannot be recorded in {self.location!r}; make room on its disk and start again"
                ) from error
            ended = [trial for trial in self.trials() if trial.number == self._latest]
            if not ended:
                raise InputError(f"trial {self._latest} ended without a record; is the study's storage still there?")
            yield ended[0]

    def _repr_html_(self) -> str:
        """Return tables for a notebook."""
        from tailwise.search.shown_in_notebooks import search_html

        return search_html(self)

    def check_success(self) -> None:
        """Raise if all trials failed, with the first error.

        Raises:
            InputError: trials ended, and all of them failed.
        """
        ended = self.trials()
        if ended and all(trial.state == "failed" for trial in ended):
            raise InputError(f"all {len(ended)} trials failed, the first: {ended[0].failed}")

    def _objective(self, trial: Any) -> float:
        from optuna import TrialPruned

        try:
            self._latest = trial.number
            experiment = self.space.draw(trial, self.recipe)
            if self.space.model == STACK:
                return self._stack(trial, experiment)
            trial.set_user_attr(_DRAWN, stored_settings(experiment, self.recipe))
            setup = self.start(experiment)
            errors: dict[str, float] = {}
            report_every = 1 if self.space.model == "network" else _REPORT_EVERY
            for step, epoch in enumerate(setup.epochs()):
                errors = epoch.validation if epoch.best and epoch.validation else errors
                if not errors or step % report_every:
                    continue
                excess = max(0.0, self.aim.excess(errors, self.vanilla))
                trial.report(self.aim.value(errors) * (1 + _PENALTY * excess), step)
                if trial.should_prune():
                    self._record(trial, errors)
                    raise TrialPruned
            self._record(trial, errors)
            return self.aim.value(errors)
        except TrialPruned:
            raise
        except InputError as error:
            trial.set_user_attr(_FAILED, str(error))
            raise
        except Exception as error:  # a bug in one trial must not end the study
            trial.set_user_attr(_FAILED, f"{type(error).__name__}: {error}")
            raise

    def _stack(self, trial: Any, experiment: Experiment) -> float:
        """Score a stack of the drawn experts at its best balance."""
        known = self._out_of_fold(experiment)
        balance, errors = best_balance(self._judged(experiment), known, self.aim, self.vanilla)
        trial.set_user_attr(_DRAWN, stored_settings(replace(experiment, balance=balance), self.recipe))
        self._record(trial, errors)
        return self.aim.value(errors)

    def _judged(self, experiment: Experiment) -> Task:
        """Return the table with the limits at which labels are censored: beyond them nothing is an error."""
        return replace(self.table, censoring=experiment.censoring)

    def _out_of_fold(self, experiment: Experiment) -> OutOfFold:
        """Train a stack; each expert's folds are trained once in a search, whatever stacks it is part of."""
        fitting = self.start(experiment)
        stack = fitting.inner if isinstance(fitting, TransformedFitting) else fitting
        if not isinstance(stack, StackFitting):
            raise TypeError(f"the training of a stack was expected, got {type(stack).__name__}")
        stack.known = self._folds
        for _ in fitting.epochs():
            pass
        if fitting.out_of_fold is None:
            raise RuntimeError("a stack knows its out-of-fold predictions when its epochs have ended")
        return fitting.out_of_fold

    def _record(self, trial: Any, errors: dict[str, float]) -> None:
        trial.set_user_attr(_ERRORS, errors)
        trial.set_user_attr(_SCORE, self.aim.value(errors))
        trial.set_constraint("overall", self.aim.excess(errors, self.vanilla))


def require_optuna() -> Any:
    """Return the package Optuna.

    Raises:
        InputError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InputError("tuning needs optuna: pip install 'tailwise[tune]'") from error
    return optuna


def _storage(name: str, lock: Path | None) -> Any:
    """Return a storage of Optuna.

    Args:
        name: URL of a database, or path of a journal.
        lock: a file for a lock that the operating system frees when a process ends. Without it the lock is Optuna's,
            which machines on a network file system may share, and which a process that is killed leaves behind.
    """
    if "://" in name:
        return name
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if lock is None:
        return JournalStorage(JournalFileBackend(name))
    with FileLock(lock):
        _drop_half_line(Path(name))
    return JournalStorage(JournalFileBackend(name, lock_obj=FileLock(lock)))


def _drop_half_line(journal: Path) -> None:
    """Remove what a killed process wrote of a last line, which the next line would be appended to."""
    if not journal.exists():
        return
    with journal.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _ended(trial: Any) -> Trial | None:
    state = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}.get(trial.state.name)
    attrs = trial.user_attrs
    if state is None or (state == "failed" and _FAILED not in attrs):
        return None
    allowed = all(value <= 0 for value in trial.constraints.values()) and _ERRORS in attrs
    drawn, value, errors = (attrs.get(name) for name in (_DRAWN, _SCORE, _ERRORS))
    return Trial(trial.number, drawn, state, value, errors, allowed, attrs.get(_FAILED))


def _run(setup: Fitting) -> dict[str, float]:
    """Train, and return the validation errors of the epoch that is kept."""
    errors: dict[str, float] = {}
    for epoch in setup.epochs():
        errors = epoch.validation if epoch.best and epoch.validation else errors
    return errors


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the package's warnings: they are about settings that the search tries, not the user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
