"""The cells of a grid for a protocol."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tailwise._checks import InputError, shown
from tailwise.bench.protocols.base import SPLIT, Protocol, read_record
from tailwise.compare.cell import Cell
from tailwise.compare.grid import read_cell, read_result, run_grid, run_with
from tailwise.data.source import Source, load_source
from tailwise.data.table_files import read_table, write_table
from tailwise.experiment.spec import Experiment, recipe_of
from tailwise.modalities.encoder_names import AUTO
from tailwise.modalities.kinds import column_options, kinds, modality_named
from tailwise.modalities.map_schema import DEPTH, MapSettings

SELECT = ("val", "test")
SELECTING = "select-test-"  # starts the names of indices whose test rows choose the epoch
_RECIPE, _ENCODER = "recipe", "encoder"


def protocol_cells(
    protocol: Protocol,
    prepared: Path,
    methods: Sequence[str],
    *,
    seeds: int,
    settings: Mapping[str, Mapping[str, Any]],
    out: Path,
    select: str = "val",
) -> list[Cell]:
    """Return a cell for every method, seed and table of a protocol.

    The split is the protocol's: seeds differ only in initial weights, the order of rows, and other randomness.

    Args:
        protocol: the benchmark.
        prepared: folder that :meth:`Protocol.prepare` wrote.
        methods: method strings; the protocol's loss is added to those without one.
        seeds: number of seeds, from 0.
        settings: deviations from the protocol: parameters by part of a method; under ``recipe`` those of training,
            under ``image``, ``text``, ``signal`` and ``encoder`` those of encoders, under ``depth`` those of maps.
        out: folder of the results.
        select: rows that choose the epoch, ``"val"``, or ``"test"`` if that is the published practice.

    Raises:
        InputError: a folder that was not prepared, unknown methods or settings, a selection on the test rows that is
            not the published practice.
    """
    record = read_record(protocol, prepared)
    if select == "test" and not protocol.selects_on_test:
        raise InputError(f"{protocol.name} is published with validation rows; `select='test'` is for those without")
    entries = _entries(protocol, methods, settings)
    cells = []
    for name, table in record["tables"].items():
        file = (prepared / table["file"]).resolve()
        if select == "test":
            file = _selecting_on_test(file, out / f"{SELECTING}{name}.csv")
        source = load_source(str(file))
        choices = {**protocol.choices_of(name), "split": "column", "split_column": SPLIT}
        if any(option.name in choices for modality, option in column_options() if modality.holds_paths):
            choices["folder"] = str(prepared.resolve())
        if DEPTH in choices:
            choices[DEPTH] = {**choices[DEPTH], **settings.get(DEPTH, {})}
        target = protocol.target_of(name)
        notes = _notes(source, (target, *protocol.also), choices)
        for order, entry in enumerate(entries):
            cells += [
                Cell(
                    benchmark(protocol, name).replace("/", "-"),
                    str(file),
                    target,
                    entry,
                    seed,
                    choices,
                    sha256=source.sha256,
                    order=order,
                    also=protocol.also,
                    angles=protocol.angles,
                    extra=protocol.extra,
                    notes=notes,
                )
                for seed in range(seeds)
            ]
    return sorted(cells, key=lambda cell: cell.seed)


def _notes(source: Source, targets: tuple[str, ...], choices: Mapping[str, Any]) -> tuple[str, ...]:
    """Return notes for the user on a table; where its cells name files, only on how the index was read."""
    from tailwise.experiment.prepare import prepare

    if DEPTH in choices or any(option.name in choices for _, option in column_options()):
        return tuple(source.notes)
    notes = dict.fromkeys(prepare(source, targets, **choices).notes)
    return tuple(note for note in notes if not note.startswith(f"column {shown(SPLIT)} is not an input"))


def benchmark(protocol: Protocol, table: str) -> str:
    """Return the name of a protocol's table in ``published.csv``."""
    return protocol.name if table == "index" else f"{protocol.name}/{table}"


def with_loss(method: str, loss: str | None) -> str:
    """Add a loss to a method without one.

    >>> with_loss("vanilla", "l1"), with_loss("sqinv+lds", "l1"), with_loss("bmc", "l1")
    ('l1', 'sqinv+lds+l1', 'bmc')
    """
    from tailwise.methods.catalog import CATALOG
    from tailwise.methods.grammar import parse

    parts = parse(method)
    if loss is None or any("loss" in CATALOG[name].slots for name in parts):
        return method
    return "+".join([*parts, loss])


def without_loss(method: str, loss: str | None) -> str:
    """Remove the protocol's loss from a method, as in ``published.csv``.

    >>> without_loss("l1", "l1"), without_loss("sqinv+lds+l1", "l1")
    ('vanilla', 'sqinv+lds')
    """
    from tailwise.methods.grammar import VANILLA, parse

    return "+".join(name for name in parse(method) if name != loss) or VANILLA


def _entries(protocol: Protocol, methods: Sequence[str], settings: Mapping[str, Mapping[str, Any]]) -> list[Experiment]:
    from tailwise.methods.build import compose
    from tailwise.methods.grammar import parse
    from tailwise.training.recipe import Recipe

    recipe = {**protocol.recipe, **settings.get(_RECIPE, {})}
    if "seed" in recipe:
        raise InputError(
            "`recipe.seed` cannot be set: trainings have the seeds 0, 1, ...; give their number by `seeds`"
        )
    try:
        Recipe(**recipe)
    except TypeError:
        unknown = next(name for name in recipe if name not in Recipe.__dataclass_fields__)
        raise InputError(f"`recipe.{unknown}` is not a setting of training") from None
    params = {kind: dict(published) for kind, published in protocol.params.items()}
    if DEPTH in settings and DEPTH not in protocol.choices:
        raise InputError(f"`{DEPTH}.{next(iter(settings[DEPTH]))}`: {protocol.name} has no {DEPTH}s")
    for kind in kinds():
        modality = modality_named(kind)
        if kind in settings and not any(option.name in protocol.choices for option in modality.options):
            raise InputError(f"`{kind}.{next(iter(settings[kind]))}`: {protocol.name} has no {modality.plural}")
        if kind in settings:
            usual = params.get(kind, {})
            if modality.one_encoder and settings[kind].get("encoder", usual["encoder"]) != usual["encoder"]:
                usual = {}  # the protocol's parameters are those of its encoder alone
            params[kind] = {**usual, **settings[kind]}
    params.update(settings.get(_ENCODER, {}))
    encoder = AUTO
    if DEPTH in protocol.choices:
        image = params.pop("image")
        encoder = str(image.pop("encoder"))
        for name in [*(f"image.{key}" for key in image), *(f"encoder.{key}" for key in params)]:
            raise InputError(f"`{name}`: {protocol.name} takes image.encoder and depth.size")
    unused = set(settings) - {_RECIPE, _ENCODER, DEPTH, *kinds()}
    entries = []
    for method in dict.fromkeys(methods):
        full = with_loss(method, protocol.loss)
        parts = parse(full)
        of_parts = {part: _params(protocol, part, settings.get(part, {})) for part in parts}
        of_parts = {part: params_of_part for part, params_of_part in of_parts.items() if params_of_part}
        unused -= set(parts)
        compose(full, **of_parts)  # mistakes are reported before anything is trained
        entries.append(
            Experiment(full, encoder=encoder, method_params=of_parts, params=params, recipe=recipe_of(recipe))
        )
    if unused:
        raise InputError(f"`settings` names {sorted(unused)[0]!r}, which is part of no method that is run")
    return entries


def _params(protocol: Protocol, part: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of a part: given, then published ones; a full covariance has no published ones."""
    return {**({} if given.get("covariance") == "full" else protocol.parts.get(part, {})), **given}


def _selecting_on_test(index: Path, out: Path) -> Path:
    """Write an index in which the test rows also choose the epoch and the validation rows train."""
    frame = read_table(index)
    test = frame[frame[SPLIT] == "test"]
    frame[SPLIT] = frame[SPLIT].replace("val", "train")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_table(pd.concat([frame, test.assign(**{SPLIT: "val"})], ignore_index=True), out)
    return out.resolve()


def run_cells(cells: Sequence[Cell], folder: Path, *, jobs: int, backend: str) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Run missing cells, of tables or of maps; see :func:`tailwise.compare.grid.run_grid`."""
    of_maps = any(DEPTH in cell.choices for cell in cells)
    functions: Any = {"read": read_result, "run": _run_map_cell} if of_maps else {}
    yield from run_grid(cells, folder, jobs=jobs, backend=backend, **functions)


def is_known(cell: Cell, folder: Path) -> bool:
    """Return whether a cell was already run with the same settings."""
    return (read_result if DEPTH in cell.choices else read_cell)(cell, folder) is not None


def _run_map_cell(cell: Cell, folder: Path) -> tuple[Cell, dict[str, Any]]:
    """Train one cell and write its result: metrics alone, because predicted maps would fill the disk."""
    return run_with(_trained_on_maps, cell, folder)


def _trained_on_maps(cell: Cell) -> dict[str, Any]:
    from tailwise.experiment.evaluate import evaluate
    from tailwise.experiment.fit import fit
    from tailwise.modalities.map_task import prepare_maps

    source = load_source(cell.data)
    if cell.sha256 != source.sha256:
        raise InputError(f"{cell.data!r} has changed since the run began; run it again")
    choices = dict(cell.choices)
    settings = MapSettings.of(choices.pop(DEPTH))
    (image,) = choices.pop("image")
    folder = Path(choices.pop("folder"))
    task = prepare_maps(source.rows.frame(), folder, image, cell.target, settings=settings, seed=cell.seed, **choices)
    epochs: list[Any] = []
    model = fit(task, cell.entry.with_recipe(seed=cell.seed), on_epoch=epochs.append)
    regions = evaluate(model, task).regions(resamples=0)
    return {
        "metrics": {
            name: {"n": region.n, **{key: value.value for key, value in region.metrics.items()}}
            for name, region in regions.items()
        },
        "rows": task.sizes(),
        "epochs": len(epochs),
    }
