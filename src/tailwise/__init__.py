"""tailwise: imbalanced regression, for continuous targets whose rare values matter.

Three levels of use: one piece in your own loop (``lds_weights``, ``FDS``, ``ConR``), a composed method
(``compose("sqinv+lds+fds+conr")``), or the command ``tailwise train data.csv --target price``.
Names are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tailwise._checks import InputError
    from tailwise.backends.lightgbm_objectives import BalancedMAEObjective, SERAObjective
    from tailwise.data.task import Task
    from tailwise.distributions.dialed import dial
    from tailwise.estimators import ImbalancedRegressor, ResampledRegressor, WeightedRegressor
    from tailwise.experiment.evaluate import Evaluation, evaluate
    from tailwise.experiment.fit import fit
    from tailwise.experiment.model import FittedModel
    from tailwise.experiment.model import FittedModel as TableModel
    from tailwise.experiment.prepare import prepare
    from tailwise.experiment.spec import Experiment
    from tailwise.heads.point import Regressor
    from tailwise.labels.bins import Bins
    from tailwise.labels.density import LDS
    from tailwise.labels.relevance import Relevance
    from tailwise.labels.shots import Shots
    from tailwise.labels.streaming import LabelDensity
    from tailwise.losses.focal import FocalL1, FocalMSE, focal_loss
    from tailwise.losses.pointwise import L1, MSE, Huber
    from tailwise.methods.build import Method, compose
    from tailwise.methods.objective import Objective
    from tailwise.methods.stages import Stage
    from tailwise.metrics.region_metrics import region_metrics
    from tailwise.modalities.mlp import MLP
    from tailwise.regularizers.conr import ConR, conr_loss
    from tailwise.smoothing.fds import FDS
    from tailwise.training.batches import Batches
    from tailwise.training.loop import Training
    from tailwise.training.recipe import Recipe
    from tailwise.weights.by_bins import LabelWeights, lds_weights
    from tailwise.weights.by_density import density_weights

_WHERE = {
    "BalancedMAEObjective": "backends.lightgbm_objectives",
    "Batches": "training.batches",
    "Bins": "labels.bins",
    "ConR": "regularizers.conr",
    "FDS": "smoothing.fds",
    "FocalL1": "losses.focal",
    "FocalMSE": "losses.focal",
    "Huber": "losses.pointwise",
    "ImbalancedRegressor": "estimators",
    "InputError": "_checks",
    "L1": "losses.pointwise",
    "LDS": "labels.density",
    "LabelDensity": "labels.streaming",
    "LabelWeights": "weights.by_bins",
    "MLP": "modalities.mlp",
    "MSE": "losses.pointwise",
    "Method": "methods.build",
    "Objective": "methods.objective",
    "Recipe": "training.recipe",
    "Regressor": "heads.point",
    "Relevance": "labels.relevance",
    "ResampledRegressor": "estimators",
    "SERAObjective": "backends.lightgbm_objectives",
    "Shots": "labels.shots",
    "Stage": "methods.stages",
    "TableModel": "experiment.model",
    "FittedModel": "experiment.model",
    "Experiment": "experiment.spec",
    "Evaluation": "experiment.evaluate",
    "Task": "data.task",
    "evaluate": "experiment.evaluate",
    "fit": "experiment.fit",
    "prepare": "experiment.prepare",
    "Training": "training.loop",
    "WeightedRegressor": "estimators",
    "compose": "methods.build",
    "conr_loss": "regularizers.conr",
    "density_weights": "weights.by_density",
    "dial": "distributions.dialed",
    "focal_loss": "losses.focal",
    "lds_weights": "weights.by_bins",
    "region_metrics": "metrics.region_metrics",
}

__all__ = [
    "FDS",
    "L1",
    "LDS",
    "MLP",
    "MSE",
    "BalancedMAEObjective",
    "Batches",
    "Bins",
    "ConR",
    "Evaluation",
    "Experiment",
    "FittedModel",
    "FocalL1",
    "FocalMSE",
    "Huber",
    "ImbalancedRegressor",
    "InputError",
    "LabelDensity",
    "LabelWeights",
    "Method",
    "Objective",
    "Recipe",
    "Regressor",
    "Relevance",
    "ResampledRegressor",
    "SERAObjective",
    "Shots",
    "Stage",
    "TableModel",
    "Task",
    "Training",
    "WeightedRegressor",
    "compose",
    "conr_loss",
    "density_weights",
    "dial",
    "evaluate",
    "fit",
    "focal_loss",
    "lds_weights",
    "prepare",
    "region_metrics",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tailwise' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"tailwise.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
