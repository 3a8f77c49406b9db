"""Train in a run folder: history and a checkpoint after each epoch, results and the page at the end, resumable."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tailwise._checks import InputError
from tailwise.distributed import on_main, world
from tailwise.experiment.evaluate import Evaluation, evaluate, predict_part
from tailwise.experiment.fit import Running
from tailwise.report.against import OtherRun
from tailwise.runs import artifact
from tailwise.runs import folder as run
from tailwise.runs.lock import locked
from tailwise.training.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from tailwise.training.epoch import Epoch


class RunInProgress:
    """A training whose run folder is started, or resumed at its last checkpoint; use it as a context manager.

    The folder is locked while the context is open.

    Args:
        folder: where the run is written.
        running: what is trained, set up by :func:`tailwise.experiment.fit.start`.
        label: how the run is called.
        choice: how the method was chosen, as plain values, if it was.
        other: a finished run to show beside this one.
        resume: go on with the run in the folder.
        overwrite: replace the run in the folder once this one is finished.

    Raises:
        InputError: a folder that holds something else, cannot be written, is being written by another process, or
            holds a run of other settings.
    """

    def __init__(
        self,
        folder: Path,
        running: Running,
        *,
        label: str,
        choice: Mapping[str, Any] | None = None,
        other: OtherRun | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.folder, self.running, self.label, self.other, self.resume = folder, running, label, other, resume
        self.done = 0
        config = artifact.describe(
            running.task,
            running.experiment,
            label=label,
            encoder=running.fitting.encoder,
            method=running.method.name,
            choice=choice,
        )
        self._open = ExitStack()
        try:
            on_main(lambda: self._claim(config, overwrite=overwrite))
            if resume and running.fitting.resumable:
                self.done = self._restored()
            on_main(lambda: None if resume else run.start_run(folder, config))
            on_main(lambda: run.trim_history(folder, self.done))
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> "RunInProgress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InputError | OSError) and world()[0] == 0 and not self.resume:
            run.abandon_run(self.folder)
        self._open.close()

    def train(self, on_epoch: Callable[[Epoch], None] | None = None) -> Evaluation:
        """Train, evaluate on the test rows and write everything a finished run holds.

        Args:
            on_epoch: called with each epoch, on every process.

        Returns:
            The evaluation of the test rows.
        """
        task, fitting = self.running.task, self.running.fitting
        for count, epoch in enumerate(fitting.epochs(), start=self.done + 1):
            if on_epoch is not None:
                on_epoch(epoch)
            if world()[0] == 0:
                self._keep(epoch, count)
        model, validated = self.running.finish()
        rows = artifact.page_rows(task)
        test = evaluate(model, task, seed=self.running.experiment.recipe.seed, features_of=rows)
        if world()[0] == 0:
            validation = predict_part(model, task, "val", known=validated)
            artifact.write_results(self.folder, task, model, test, validation)
            remarks = self.running.method.remarks
            artifact.write_page(self.folder, task, model, test, label=self.label, remarks=remarks, other=self.other)
            run.finish_run(self.folder)
        return test

    def _claim(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Lock the folder and check it once more, as another run may have been started since the first check."""
        self._open.enter_context(locked(self.folder))
        run.check_out(self.folder, overwrite=overwrite, resume=self.resume)
        if self.resume:
            run.check_same(self.folder, config)

    def _restored(self) -> int:
        """Go on from the last checkpoint, if there is one, and return the number of epochs it has."""
        if not has_checkpoint(self.folder / run.CHECKPOINT):
            return 0
        tensors, numbers = load_checkpoint(self.folder / run.CHECKPOINT)
        self.running.fitting.restore(tensors, numbers)
        return int(numbers["epochs_done"])

    def _keep(self, epoch: Epoch, count: int) -> None:
        """Write an epoch's line of history and, where training can be resumed, a checkpoint."""
        run.append_history(self.folder, asdict(epoch))
        if self.running.fitting.resumable:
            tensors, numbers = self.running.fitting.state()
            save_checkpoint(self.folder / run.CHECKPOINT, tensors, {**numbers, "epochs_done": count})
