"""The plan of a run on maps: model, errors of each image, predicted maps, metrics and page."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from tailwise._files import naming, write_json, write_text
from tailwise.experiment.evaluate import evaluate
from tailwise.experiment.fit import RunningMaps
from tailwise.experiment.map_trade_off import MOST_IMAGES, map_trade_off
from tailwise.modalities.map_evaluation import MapEvaluation
from tailwise.modalities.map_store import MapFile
from tailwise.report.dense_page import dense_page
from tailwise.runs import folder as run
from tailwise.runs.package_versions import versions
from tailwise.runs.training import RunPlan


def map_plan(running: RunningMaps, *, label: str) -> RunPlan[MapEvaluation]:
    """Return the plan of a run on maps.

    Args:
        running: an experiment, set up by :func:`tailwise.experiment.fit.start`.
        label: how the run is called.
    """
    task, experiment, source = running.task, running.experiment, running.task.source
    name, digest = ("data frame", "") if source is None else (source.name, source.sha256)
    config = {
        "kind": "maps",
        "data": {"name": name, "sha256": task.rows.digest(digest)},
        "target": task.schema.depth,
        "image": task.schema.image,
        "table": dict(task.choices),
        "depth": asdict(task.schema.settings),
        "method": {
            "name": running.method.name,
            "parameters": {part: dict(params) for part, params in experiment.method_params.items()},
        },
        "model": {"name": experiment.encoder, "encoder": running.fitting.predictor.model.shape},
        "label": label,
        "recipe": asdict(experiment.recipe.alone()),
        **({"balance": experiment.balance} if experiment.balance else {}),
        "versions": versions(),
    }

    def finish(folder: Path) -> MapEvaluation:
        model, _ = running.finish()
        validation = evaluate(model, task, "val")
        with MapFile(folder / run.MAPS) as store:
            test = evaluate(model, task, "test", store=store)
        seed = experiment.recipe.seed
        regions = test.regions(seed=seed)
        curve = None if model.dial is None else map_trade_off(model, task.rows_of("test")[0], seed=seed)
        run.write_model(folder, model.save)
        images = pd.concat([validation.images, test.images], ignore_index=True)
        with naming(folder / run.PREDICTIONS):
            images.to_parquet(folder / run.PREDICTIONS, index=False)
        write_json(folder / run.METRICS, {name: region.to_json() for name, region in regions.items()})
        if curve is not None:
            write_json(folder / run.TRADE_OFF, curve.to_json())
        page = dense_page(
            title=f"{task.schema.target} of {name}",
            target=task.schema.target,
            method=label,
            data=name,
            rows=task.sizes(),
            split=task.split,
            shots=task.shots,
            regions=regions,
            examples=test.examples,
            trade_off=curve,
            judged=min(len(test.images), MOST_IMAGES),
            history=run.read_history(folder),
            notes=task.notes,
        )
        write_text(folder / run.REPORT, page)
        return test

    return RunPlan(running.fitting, config, finish)
