"""``tailwise tune``: search methods and parameters on the validation rows, evaluate the best on the test rows."""

from pathlib import Path
from typing import Annotated

from tailwise._checks import InputError, positive, whole
from tailwise.backends.names import STACK
from tailwise.cli import options, tune_options
from tailwise.cli.settings import parse_within
from tailwise.cli.table_choices import if_given, table_choices
from tailwise.compare.plan import table_name
from tailwise.training.recipe import Recipe


def tune(
    data: options.Data,
    target: options.Target,
    minimise: tune_options.Minimise = "few",
    within: tune_options.Within = "2%",
    method: Annotated[
        list[str] | None, options.methods("Method to try, with varying parameters. Repeatable.", "ten")
    ] = None,
    model: tune_options.Model = "network",
    encoder: tune_options.Encoders = None,
    trials: tune_options.Trials = 50,
    timeout: tune_options.Timeout = None,
    storage: tune_options.Storage = None,
    seeds: Annotated[int, options.seeds("Trainings of the best and of vanilla for the test rows.")] = 3,
    epochs: Annotated[int | None, options.epochs()] = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    out: Annotated[
        Path | None,
        options.out("Folder to write; by default runs/tune-DATA. The same command again continues its study."),
    ] = None,
    bin_width: options.BinWidth = None,
    split: options.Split = "auto",
    test: options.TestFile = None,
    valid: options.ValidFile = None,
    group: options.Group = None,
    split_key: options.SplitKey = None,
    weight: options.Weight = None,
    time: options.Time = None,
    lags: options.Lags = None,
    rolling: options.Rolling = None,
    transform: options.TargetTransform = None,
    censored_below: options.CensoredBelow = None,
    censored_above: options.CensoredAbove = None,
    drop: options.Drop = None,
    nominal: options.Nominal = None,
    numeric: options.Numeric = None,
    date: options.Date = None,
    missing: options.Missing = None,
    decimal: options.Decimal = None,
    thousands: options.Thousands = None,
    date_order: options.DateOrder = None,
    drop_missing_target: options.DropMissingTarget = False,
) -> None:
    """Search for the method and parameters that serve a region best, without a loss overall.

    Trials train on the training rows and are scored on the validation rows, stacks out of fold on both; the best score
    is optimistic, because it was selected. The best settings and vanilla are then trained again, and both are evaluated
    on test rows that no trial has used.

    Example:  tailwise tune houses.csv --target price --minimise few --within 2% --trials 100
    """
    import numpy as np

    from tailwise.cli.show import err, notes, warnings_as_notes
    from tailwise.cli.show_study import print_study, run_trials
    from tailwise.data.source import load_source
    from tailwise.experiment.censored import check_censoring
    from tailwise.experiment.prepare import prepare
    from tailwise.runs.lock import locked
    from tailwise.search.aim import Aim
    from tailwise.search.outcome import judge_best
    from tailwise.search.space import Space
    from tailwise.search.study import require_optuna
    from tailwise.search.study_folder import open_search, study_settings, write_report
    from tailwise.search.train_command import train_command

    require_optuna()
    whole(trials, "--trials", least=1)
    whole(seeds, "--seeds", least=1)
    if timeout is not None:
        positive(timeout, "--timeout")
    if epochs is not None and model not in ("network", STACK):
        raise InputError(f"--epochs is for networks; leave it out with --model {model}")
    aim = Aim(minimise, parse_within(within))
    with warnings_as_notes():
        limits = if_given(censored_below=censored_below, censored_above=censored_above)
        space = Space.of(method or [], model, encoder or [], transform, limits)
    recipe = Recipe(epochs=epochs, criterion=aim.criterion, seed=seed, device=device)
    choices = table_choices(
        bin_width=bin_width,
        split=split,
        group=group,
        split_key=split_key,
        weight=weight,
        time=time,
        lags=lags,
        rolling=rolling,
        drop=drop,
        nominal=nominal,
        missing=missing,
        decimal=decimal,
        thousands=thousands,
        date_order=date_order,
        drop_missing_target=drop_missing_target,
    )
    choices |= table_choices(test=test, valid=valid, **if_given(numeric=numeric, date=date))
    table = prepare(load_source(data, text=nominal or ()), target, seed=seed, **choices)
    scored = table.y[np.isin(table.part, ["train", "val"])] if model == STACK else table.rows_of("val")[1]
    aim.check(scored, table.shots)
    plain, of_test = space.plain(recipe), list[str]()
    if plain.censoring is not None:
        check_censoring(table, plain, plain.censoring)
        of_test = plain.censoring.note(table.rows_of("test")[1])
    settings = study_settings(table.digest, target, choices, space, aim, recipe)
    folder = out or Path("runs") / f"tune-{table_name(data)}"
    with locked(folder):
        search = open_search(table, space, aim, recipe, settings=settings, folder=folder, storage=storage)
        notes(table.notes + search.notes_on_training() + aim.notes(scored, table.shots) + of_test)
        run_trials(search, trials, timeout, folder)
        with err.status("training the best, and vanilla, for the test rows"), warnings_as_notes():
            outcome = judge_best(search, seeds)
        command = train_command(data, target, search.best_settings(), recipe, choices)
        report = write_report(folder, search, settings, outcome, command, seeds=seeds)
    if seeds == 1:
        notes(["one training of each: the intervals are about these two models on other rows, not about the methods"])
    print_study(search, outcome, command=command, report=report)
