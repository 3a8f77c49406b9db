"""``tailwise evaluate``: errors of a finished run on new rows with a target."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tailwise.cli import options

if TYPE_CHECKING:
    from tailwise.distributions.decisions import Decision
    from tailwise.modalities.map_model import MapModel


def evaluate(
    run: options.Run,
    data: options.DataOrParts,
    out: Annotated[Path | None, options.out("Also write metrics and unseen values to this JSON file.")] = None,
    ignore_extra: options.IgnoreExtra = False,
    balance: options.Balance = None,
    target_balance: options.TargetBalance = None,
    density: options.Density = None,
    loss: options.Loss = None,
    cost: options.Cost = None,
    drop_missing_target: options.DropMissingTarget = False,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
) -> None:
    """Show errors by region on a table that has the target, of the run's predictions or of those for a decision.

    Regions are those of the run's training rows. On rows that the run was trained on, errors are optimistic. Errors
    count by the run's weights of rows (--weight) where the table has their column.

    Example:  tailwise evaluate runs/demo labelled.csv --balance 0.7
    """
    from dataclasses import asdict, replace

    from tailwise._checks import InputError
    from tailwise._files import write_json
    from tailwise.cli.decision_options import parse_decision
    from tailwise.cli.out_file import check_out_file
    from tailwise.cli.show import note_on_all_columns, notes, region_table
    from tailwise.cli.show import out as console
    from tailwise.cli.show_leaderboard import error_unit, outputs_table
    from tailwise.experiment.evaluate import measure, predict_rows
    from tailwise.experiment.model import FittedModel
    from tailwise.modalities.map_model import MapModel, is_map_model
    from tailwise.runs.folder import MODEL, open_run, read_settings
    from tailwise.runs.labelled_rows import labelled_rows

    if seed < 0:
        raise InputError(f"--seed must be at least 0, got {seed}")
    check_out_file(out, "--out", ".json", overwrite=overwrite)
    found = open_run(run)
    folder = found / MODEL
    if is_map_model(folder):
        if target_balance:
            raise InputError("--target-balance is for tables, and a run on maps has one dial; pass --balance")
        maps = MapModel.load(folder)
        wanted = parse_decision(balance, density, loss, cost, targets=maps.schema.targets)
        return _evaluate_maps(maps, data, out, wanted, seed=seed)
    model = FittedModel.load(folder)
    targets = model.schema.targets
    decision = parse_decision(balance, density, loss, cost, targets=targets, of_targets=target_balance or ())
    if decision.given:
        model.check_distributions(decision)
    rows = labelled_rows(model, data, drop=drop_missing_target, ignore_extra=ignore_extra)
    told = [*rows.notes, *rows.note_on_trained(read_settings(found))]
    predicted = predict_rows(model, rows.frame, rows.y, ignore_extra=True, weight=rows.weight, decision=decision)
    notes(told + ([] if out is not None else note_on_all_columns(rows.unseen, "--out")))
    predicted = replace(predicted, row=rows.row)
    evaluation = measure(model, predicted, model.shots, model.relevance, seed=seed)
    notes(list(evaluation.notes))
    if out is not None:
        outputs = {"outputs": [asdict(one) for one in evaluation.outputs]} if evaluation.outputs else {}
        write_json(out, evaluation.metrics_json() | outputs | {"unseen": dict(rows.unseen)})
    title, several = f"errors on {len(rows.y):,} rows", len(targets) > 1
    come = evaluation.as_rows_come
    console.print(
        region_table(
            evaluation.regions,
            title=title,
            unit=error_unit(targets, model.shots.bins),
            several=several,
            as_rows_come=come,
        )
    )
    if evaluation.outputs:
        console.print(outputs_table(evaluation.outputs, title="Each target"))


def _evaluate_maps(model: "MapModel", data: str, out: Path | None, decision: "Decision", *, seed: int) -> None:
    """Show errors by region on a table of images with maps; masks count if the run had masks."""
    from tailwise._files import write_json
    from tailwise.cli.show import notes
    from tailwise.cli.show import out as console
    from tailwise.cli.show_maps import map_region_table
    from tailwise.modalities.map_evaluation import evaluate_maps as evaluate
    from tailwise.modalities.map_index import load_index

    _, rows, told = load_index(model, data, maps=True)
    notes(told)
    regions = evaluate(model, rows, pred=model.decided(rows, decision)).regions(seed=seed)
    if out is not None:
        write_json(out, {name: region.to_json() for name, region in regions.items()})
    console.print(map_region_table(regions, title=f"errors on {len(rows):,} images", unit=model.schema.target))
