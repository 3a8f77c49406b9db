"""Train in a run folder: history and a checkpoint after each epoch, results and the page at the end, resumable."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from tailwise._checks import InputError
from tailwise._files import UNWRITABLE, naming, packing_in
from tailwise.distributed import on_main, world
from tailwise.experiment.evaluate import Evaluation, evaluate
from tailwise.experiment.fit import Running
from tailwise.experiment.references import references
from tailwise.report.against import OtherRun
from tailwise.runs import artifact
from tailwise.runs import folder as run
from tailwise.runs.lock import locked
from tailwise.runs.set_aside import whole_run_aside
from tailwise.training.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from tailwise.training.epoch import Epoch

Result = TypeVar("Result")


class Trainable(Protocol):
    """A training, as far as a run folder needs it; see :class:`tailwise.backends.protocol.Fitting`."""

    @property
    def resumable(self) -> bool:
        """Whether :meth:`state` and :meth:`restore` can be used."""

    def epochs(self) -> Iterator[Epoch]:
        """Train, epoch by epoch or round by round."""

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return everything needed to go on after the last epoch: tensors, and numbers for JSON."""

    def restore(self, tensors: dict[str, Any], numbers: dict[str, Any], /) -> None:
        """Go on from what :meth:`state` returned."""


@dataclass(frozen=True)
class RunPlan(Generic[Result]):
    """Training in a run folder, and the writing of its results.

    Args:
        fitting: the training.
        config: settings of the run, as ``config.json`` keeps them.
        finish: evaluates the trained model, writes everything but the manifest, and returns the evaluation; every
            process calls it, and the first one writes.
    """

    fitting: Trainable
    config: Mapping[str, Any]
    finish: Callable[[Path], Result]


def table_plan(running: Running, *, label: str, other: OtherRun | None = None) -> RunPlan[Evaluation]:
    """Return the plan of a run on a table.

    Args:
        running: an experiment, set up by :func:`tailwise.experiment.fit.start`.
        label: how the run is called.
        other: a finished run to show beside this one.
    """
    task, experiment = running.task, running.experiment

    def finish(folder: Path) -> Evaluation:
        model, validated = running.finish()
        test = evaluate(model, task, seed=experiment.recipe.seed, features_of=artifact.page_rows(task))
        if world()[0] == 0:
            if model.leaderboard is None and len(task.schema.targets) == 1:
                standings, rival = references(task, test.predicted, experiment, name=label)
                test = replace(test, references=standings, rival=rival)
            remarks = running.method.remarks
            artifact.write_results(
                folder, task, model, test, label=label, remarks=remarks, validated=validated, other=other
            )
        return test

    name, encoder = running.method.name, running.fitting.encoder
    config = artifact.describe(task, experiment, label=label, encoder=encoder, method=name)
    return RunPlan(running.fitting, config, finish)


class RunInProgress(Generic[Result]):
    """A training whose run folder is started, or resumed at its last checkpoint; use it as a context manager.

    The folder is locked while the context is open.

    Args:
        folder: where the run is written.
        plan: what is trained and written.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder once this one is finished.

    Raises:
        InputError: a folder that holds something else, cannot be written, is being written by another process, or
            holds a run of other settings.
    """

    def __init__(self, folder: Path, plan: RunPlan[Result], *, resume: bool = False, overwrite: bool = False) -> None:
        self.folder, self.plan, self.resume, self.done = folder, plan, resume, 0
        self._open, self._finished = ExitStack(), False
        try:
            on_main(lambda: self._claim(overwrite=overwrite))
            if resume and plan.fitting.resumable:
                self.done = self._restored()
            if resume:
                on_main(lambda: run.trim_history(folder, self.done))
            else:
                on_main(lambda: run.start_run(folder, dict(plan.config)))
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> "RunInProgress[Result]":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        try:
            if isinstance(error, InputError | OSError) and not self._finished and world()[0] == 0:
                self._give_up(error)
        finally:
            self._open.close()

    def _give_up(self, error: InputError | OSError) -> None:
        """Keep what can be resumed, else remove it and bring back the finished run that was to be replaced.

        Raises:
            InputError: for a file that cannot be written: which, why, and what is kept.
        """
        unwritable = isinstance(error, OSError) and error.errno in UNWRITABLE
        old = whole_run_aside(self.folder)
        resumable = self.resume or (unwritable and old is None and has_checkpoint(self.folder / run.CHECKPOINT))
        if not resumable:
            run.abandon_run(self.folder)
        if unwritable and isinstance(error, OSError):
            way = "make room and go on with `resume=True`" if resumable else "no run is left there"
            way = way if old is None or resumable else "the finished run in the folder is kept"
            raise InputError(f"cannot write {str(error.filename)!r}: {error.strerror}; {way}") from error

    def train(self, on_epoch: Callable[[Epoch], None] | None = None) -> Result:
        """Train, evaluate on the test rows and write everything a finished run holds.

        Args:
            on_epoch: called with each epoch, on every process.

        Returns:
            The evaluation of the test rows.

        Raises:
            OSError: a disk that is full, or another failure to write; it names the file or the run folder.
        """
        with naming(self.folder), packing_in(self.folder / run.PACKING):
            for count, epoch in enumerate(self.plan.fitting.epochs(), start=self.done + 1):
                if on_epoch is not None:
                    on_epoch(epoch)
                if world()[0] == 0:
                    self._keep(epoch, count)
            result = self.plan.finish(self.folder)
            if world()[0] == 0:
                run.finish_run(self.folder)
        self._finished = True
        if world()[0] == 0:
            run.tidy(self.folder)
        return result

    def _claim(self, *, overwrite: bool) -> None:
        """Lock the folder and check it once more, as another run may have been started since the first check."""
        self._open.enter_context(locked(self.folder))
        run.check_out(self.folder, overwrite=overwrite, resume=self.resume)
        if self.resume:
            run.check_same(self.folder, dict(self.plan.config))

    def _restored(self) -> int:
        """Go on from the last checkpoint, if there is one, and return the number of epochs it has."""
        if not has_checkpoint(self.folder / run.CHECKPOINT):
            return 0
        tensors, numbers = load_checkpoint(self.folder / run.CHECKPOINT)
        self.plan.fitting.restore(tensors, numbers)
        return int(numbers["epochs_done"])

    def _keep(self, epoch: Epoch, count: int) -> None:
        """Write an epoch's line of history and, where training can be resumed, a checkpoint."""
        run.append_history(self.folder, asdict(epoch))
        if self.plan.fitting.resumable:
            tensors, numbers = self.plan.fitting.state()
            save_checkpoint(self.folder / run.CHECKPOINT, tensors, {**numbers, "epochs_done": count})
