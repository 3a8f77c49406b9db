"""Levels of quality: what is trained where neither a method nor a model is named."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from tailwise._checks import one_of
from tailwise.experiment.spec import AUTO_BALANCE, Experiment
from tailwise.training.recipe import Recipe

if TYPE_CHECKING:
    from tailwise.data.task import Task

Quality = Literal["fast", "good", "best"]
QUALITIES: Mapping[str, str] = {
    "fast": "one network that predicts distributions, about as slow as a plain network",
    "good": "a stack of three models by four folds, two to three times as slow on two cores",
    "best": "a stack of five models by eight folds, slower still",
}
DEFAULT_QUALITY: Quality = "good"
FEWEST_ROWS = 30  # of a stack
DEFAULT_METHOD = "sqinv+lds"  # of one network: of images, texts and signals, several targets, very small tables


def experiment_for(
    quality: str,
    recipe: Recipe | None = None,
    *,
    balance: float | Literal["auto"] = AUTO_BALANCE,
    within: float = 0.0,
    params: Mapping[str, Any] | None = None,
) -> Experiment:
    """Return the experiment of a level of quality.

    Args:
        quality: one of :data:`QUALITIES`.
        recipe: settings of the training.
        balance: from 0 to 1, or ``"auto"``.
        within: with a balance of ``"auto"``, see :class:`tailwise.experiment.spec.Experiment`.
        params: of the stack, see :class:`tailwise.backends.stack.stack_settings.StackSettings`; not of ``"fast"``.

    Raises:
        InputError: a quality that does not exist.

    Example:
        >>> experiment_for("fast").method, experiment_for("good").params
        ('mixture', {'quality': 'good'})
    """
    one_of(quality, "`quality`", tuple(QUALITIES))
    recipe = Recipe() if recipe is None else recipe
    if quality == "fast":
        return Experiment("mixture", recipe=recipe, balance=balance, within=within)
    settings = {"quality": quality, **(params or {})}
    return Experiment("vanilla", "stack", params=settings, recipe=recipe, balance=balance, within=within)


def default_for(task: "Task", recipe: Recipe | None = None) -> Experiment:
    """Return what is trained on a task if nothing is said: the stack, or one network where a stack cannot be trained.

    One network is trained on several targets, images, texts and signals, rows that are not in memory or fewer than 30.
    Where labels are censored it has their likelihood.

    Args:
        task: the data.
        recipe: settings of the training.
    """
    rows = task.count("train") + task.count("val")
    stacked = len(task.schema.targets) == 1 and not task.schema.media and task.rows.in_memory and rows >= FEWEST_ROWS
    recipe = Recipe() if recipe is None else recipe
    from tailwise.labels.bin_grid import BinGrid  # needs SciPy, which `--help` does not load

    if len(task.schema.targets) > BinGrid.MOST_AXES:
        return Experiment("vanilla", recipe=recipe)  # weights by the cells of a grid are for few targets
    if not stacked:
        return Experiment(method_of_one(censored=task.censoring is not None), recipe=recipe)
    return experiment_for(DEFAULT_QUALITY, recipe)


def method_of_one(*, censored: bool) -> str:
    """Return the method of one network for which none is named.

    Args:
        censored: whether labels are censored, which takes a likelihood of such labels.
    """
    if not censored:
        return DEFAULT_METHOD
    from tailwise.labels.censoring import CENSORED_METHOD  # needs NumPy, which `--help` does not load

    return CENSORED_METHOD
