"""Write what a run folder holds: settings, model, predictions, metrics, intervals and the page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise._files import naming, write_json, write_text
from tailwise.data.task import Task
from tailwise.distributions.decisions import Decision
from tailwise.experiment.evaluate import Evaluation, PredictedPart, evaluate, predict_part
from tailwise.experiment.model import FittedModel
from tailwise.experiment.references import beaten_by_constant, plain_network
from tailwise.experiment.row_predictions import Predictions
from tailwise.experiment.spec import Experiment
from tailwise.experiment.worst_rows import worst_rows
from tailwise.modalities.kinds import kinds
from tailwise.report.against import OtherRun, compare
from tailwise.report.features import FeatureMap, feature_rows
from tailwise.report.page import run_page
from tailwise.report.trust_charts import coverage_by_level
from tailwise.runs import folder as run
from tailwise.runs.lock import locked
from tailwise.runs.package_versions import versions


def write(
    folder: str | Path,
    task: Task,
    experiment: Experiment,
    model: FittedModel,
    evaluation: Evaluation | None = None,
    *,
    history: Sequence[Mapping[str, Any]] = (),
    overwrite: bool = False,
) -> Path:
    """Write the run folder of a fitted model, with its page: all of it or nothing.

    Args:
        folder: a folder that does not exist, is empty, or holds a run that may be overwritten.
        task: the task the model was fitted to.
        experiment: what was fitted, of a method that is named.
        model: the fitted model.
        evaluation: of the test rows; made if not given.
        history: one record an epoch, as :class:`tailwise.training.epoch.Epoch` has them.
        overwrite: replace a run in the folder.

    Returns:
        The folder.

    Raises:
        InputError: a folder that holds something else, or cannot be written.
    """
    out = Path(folder)
    run.check_out(out, overwrite=overwrite, resume=False)
    test = evaluation or evaluate(model, task, seed=experiment.recipe.seed, features_of=page_rows(task))
    method = experiment.compose()
    label = experiment.label(method.name)
    with locked(out):
        try:
            config = describe(task, experiment, label=label, encoder=model.encoder, method=method.name)
            run.start_run(out, config)
            for line in history:
                run.append_history(out, dict(line))
            write_results(out, task, model, test, label=label, remarks=method.remarks)
            run.finish_run(out)
        except (InputError, OSError):
            run.abandon_run(out)
            raise
        run.tidy(out)
    return out


def describe(
    task: Task,
    experiment: Experiment,
    *,
    label: str,
    encoder: str | None,
    method: str | None = None,
) -> dict[str, Any]:
    """Return the settings of a run as ``config.json`` keeps them.

    Args:
        task: the data.
        experiment: what is trained, of a method that is named.
        label: how the run is called.
        encoder: encoder of the network, where ``"auto"`` stands for one.
        method: canonical name of the method, if the experiment's is not.
    """
    targets, source = task.schema.targets, task.source
    network = experiment.model == "network"
    media = {kind: experiment.params[kind] for kind in kinds() if experiment.params.get(kind)}
    recipe = experiment.recipe if experiment.model == "stack" else experiment.recipe.alone()
    left_out = (*kinds(), *(("jobs", "backend") if experiment.model == "stack" else ()))  # these change no number
    rest = {name: value for name, value in experiment.params.items() if name not in left_out}
    described: dict[str, Any] = {
        "name": method or experiment.method,
        "parameters": {part: dict(params) for part, params in experiment.method_params.items()},
    }
    return {
        "data": {"name": "data frame", "sha256": ""}
        if source is None
        else {"name": source.name, "sha256": source.sha256},
        "target": targets[0] if len(targets) == 1 else list(targets),
        "table": dict(task.choices),
        "columns": task.schema.to_json(),
        "method": described,
        "model": {
            "name": experiment.model,
            "encoder": encoder,
            "parameters": {"model": {} if network else rest, "encoder": rest if network else {}, **media},
        },
        "label": label,
        "recipe": {name: value for name, value in asdict(recipe).items() if name != "seconds" or value},
        **experiment.changes(),
        "versions": versions(),
    }


def page_rows(task: Task) -> Any:
    """Return the positions of the test rows whose features the page shows; ``None`` of several targets."""
    return feature_rows(task.rows_of("test")[1], task.shots) if len(task.schema.targets) == 1 else None


def write_results(
    out: Path,
    task: Task,
    model: FittedModel,
    test: Evaluation,
    *,
    label: str,
    remarks: Sequence[str] = (),
    validated: Predictions | None = None,
    other: OtherRun | None = None,
) -> None:
    """Write the model folder, predictions, metrics, coverage and the page of a run whose history is written.

    Args:
        out: the run folder.
        task: the data.
        model: the fitted model.
        test: its evaluation on the test rows.
        label: how the run is called.
        remarks: what is particular about the method's predictions.
        validated: predictions of the validation rows, where they were made before.
        other: another run to show beside it.
    """
    val = predict_part(model, task, "val", known=validated)
    run.write_model(out, model.save)
    frame = pd.concat([_frame(task, part) for part in (val, test.predicted)], ignore_index=True)
    with naming(out / run.PREDICTIONS):
        frame.to_parquet(out / run.PREDICTIONS, index=False)
    write_json(out / run.METRICS, test.metrics_json())
    if test.coverage is not None:
        write_json(out / run.INTERVALS, {name: region.to_json() for name, region in test.coverage.items()})
    if test.trade_off is not None:
        intervals = {"intervals": [kind.to_json() for kind in test.intervals]} if test.intervals else {}
        write_json(out / run.TRADE_OFF, test.trade_off.to_json() | intervals)
    if test.leaderboard is not None:
        write_json(out / run.LEADERBOARD, test.leaderboard.to_json())
    if test.references:
        write_json(out / run.REFERENCES, [asdict(one) for one in test.references])
    if test.outputs:
        write_json(out / run.OUTPUTS, [asdict(one) for one in test.outputs])
    write_text(out / run.REPORT, _page(out, task, model, test, label, remarks, other))


def _frame(task: Task, part: PredictedPart) -> pd.DataFrame:
    """Return the predictions of a part as a table."""
    targets = task.schema.targets
    columns: dict[str, Any] = {"row": part.row, "split": part.part}
    columns |= run.by_target("target", part.y, targets) | run.by_target("prediction", part.pred, targets)
    columns |= {} if part.std is None else run.by_target("std", part.std, targets)
    columns |= {} if part.weight is None else {"weight": part.weight}
    columns |= {} if part.ends is None else {"low": part.ends[:, 0], "high": part.ends[:, 1]}
    return pd.DataFrame(columns).assign(region=task.shots.names(part.y))


def _page(
    out: Path,
    task: Task,
    model: FittedModel,
    test: Evaluation,
    label: str,
    remarks: Sequence[str],
    other: OtherRun | None,
) -> str:
    """Return the page of a run."""
    predicted, conformal, features = test.predicted, model.intervals, None
    rows = page_rows(task)
    if rows is not None and predicted.features is not None:
        features = FeatureMap.of(predicted.features, predicted.y[rows], task.shots)
    name = "a data frame" if task.source is None else task.source.name
    plain = None if other is not None else test.rival or plain_network(model, task, "test")
    rival = (
        None
        if plain is None
        else OtherRun(plain.name, predicted.counted(plain.pred), masked=task.shots.gaps is not None)
    )
    if other is not None:
        other = replace(other, y_pred=predicted.counted(other.y_pred))
    beside, counted = other or rival, predicted.counted()

    def ends_at(confidence: float) -> NDArray[np.float64]:
        if model.has_own_intervals:
            known = Predictions(predicted.pred, predicted.std, None, predicted.predictive)
            return model.intervals_of_decision(known, Decision().for_questions(), confidence)
        return model.intervals_of(counted, confidence)

    return run_page(
        title=f"{task.schema.target} of {Path(name).name}",
        target=task.schema.target,
        method=label,
        data=name,
        rows={part: task.count(part) for part in ("train", "val", "test")},
        split=task.split,
        shots=task.shots,
        regions=test.regions,
        y_true=predicted.y,
        y_pred=counted,
        weight=predicted.weight,
        history=run.read_history(out),
        notes=[
            *task.notes,
            *remarks,
            *predicted.notes_on_censored,
        ],
        other=other,
        rival=rival,
        changes=None
        if beside is None
        else compare(predicted.y, counted, beside.y_pred, task.shots, weight=predicted.weight),
        coverage=test.coverage,
        shared=() if conformal is None or model.has_own_intervals else conformal.shared,
        own_intervals=model.has_own_intervals,
        levels=None
        if conformal is None
        else coverage_by_level(ends_at, predicted.y, counted, conformal.shots, weight=predicted.weight),
        features=features,
        targets=task.schema.targets,
        trade_off=test.trade_off,
        leaderboard=test.leaderboard,
        references=test.references,
        outputs=test.outputs,
        balance=test.balance,
        as_rows_come=test.as_rows_come,
        beaten_by_constant=beaten_by_constant(task, predicted),
        intervals=test.intervals,
        worst=worst_rows(task, predicted),
    )
