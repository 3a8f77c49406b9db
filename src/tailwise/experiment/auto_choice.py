"""Choose a method for a table, and give the reason."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tailwise._checks import InputError, did_you_mean, positive, whole
from tailwise.data.task import Task
from tailwise.experiment.auto_candidates import VANILLA, candidates_for
from tailwise.experiment.one_standard_error import TOLERANCE, Ground, Score, judge
from tailwise.experiment.out_of_fold import Inner, Train, Trained, fold_of_rows, out_of_fold
from tailwise.experiment.spec import AUTO_METHOD, Experiment
from tailwise.methods.build import Method
from tailwise.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class AutoSettings:
    """Limits of ``method="auto"``.

    Args:
        folds: number of folds of the inner cross-validation; each candidate that is not a correction is trained once a
            fold.
        epochs: maximum number of epochs of a stage of an inner training; by default those of the final training.
        budget: seconds after which no inner training except vanilla's is started. With a budget the choice depends on
            the speed of the machine; without one, only on the seed.

    Raises:
        InputError: a number out of range.
    """

    folds: int = 4
    epochs: int | None = None
    budget: float | None = None

    def __post_init__(self) -> None:
        whole(self.folds, "auto.folds", least=2, most=50)
        if self.epochs is not None:
            whole(self.epochs, "auto.epochs", least=1)
        if self.budget is not None:
            positive(self.budget, "auto.budget")

    @classmethod
    def from_params(cls, params: Mapping[str, Mapping[str, Any]], model: str = "network") -> Self:
        """Read ``{"auto": {"folds": 5}}``, the settings of ``method="auto"``.

        Raises:
            InputError: parameters of parts, which ``auto`` chooses itself; a parameter that does not exist or does not
                fit the model.
        """
        for part in params:
            if part != AUTO_METHOD:
                raise InputError(
                    f"parameters are given for {part!r}, but method 'auto' chooses parts and their parameters; "
                    "it takes auto.folds, auto.epochs and auto.budget"
                )
        given = params.get(AUTO_METHOD, {})
        known = list(cls.__dataclass_fields__)
        for name in given:
            if name not in known:
                raise InputError(f"'auto' has no parameter {name!r}{did_you_mean(name, known)}")
        if given.get("epochs") is not None and model != "network":
            raise InputError(f"auto.epochs is for networks; `model={model!r}` takes auto.folds and auto.budget")
        return cls(**given)

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe of inner trainings."""
        return recipe if self.epochs is None else replace(recipe, epochs=self.epochs)

    def shortened(self, method: Method) -> Method:
        """Return the method with the epochs of its stages limited to ``epochs``."""
        most = self.epochs
        if most is None:
            return method
        stages = [replace(s, epochs=None if s.epochs is None else min(s.epochs, most)) for s in method.stages]
        return replace(method, stages=tuple(stages))


@dataclass(frozen=True)
class Choice:
    """The chosen method and the reason.

    Args:
        candidate: chosen method.
        reason: one or two sentences.
        record: plain values: settings, scores of each candidate with standard errors, and the chosen method.
    """

    candidate: Experiment
    reason: str
    record: dict[str, Any]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Read a record."""
        chosen = record["chosen"]
        return cls(Experiment(chosen["method"], method_params=chosen["parameters"]), record["reason"], dict(record))


def choose_method(
    table: Task,
    train: Train,
    settings: AutoSettings,
    *,
    model: str = "network",
    groups: NDArray[np.generic] | None = None,
    like: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Choice:
    """Choose among the candidates of the model by cross-validation on training and validation rows.

    The test rows are not used. Each candidate is trained with each fold left out and predicts that fold; see
    :func:`tailwise.experiment.one_standard_error.judge` for the rule.

    The overall error is estimated for the distribution of the test rows. In the balanced split, rare values are more
    frequent among the test rows than among the training rows, so the mean of all out-of-fold errors would be biased.
    Within a bin, training, validation and test rows have the same distribution: errors are averaged over all rows of a
    bin, and bins are weighted by their fraction of the rows in ``like``.

    Args:
        table: a prepared table.
        train: from a task and a method to a model; see :func:`tailwise.experiment.fit.choose`.
        settings: folds, epochs and budget.
        model: one of :data:`tailwise.backends.names.MODELS`.
        groups: ``(n,)`` group of each row; all rows of a group are in one fold.
        like: ``(n,)`` mask of rows with the label distribution of the rows to be predicted; by default the validation
            rows, and after a random split the training rows too.
        seed: random seed of the folds.

    Raises:
        InputError: too few rows or groups, or vanilla cannot be trained.
    """
    started = time.perf_counter()
    candidates = candidates_for(model)
    fold = fold_of_rows(table, settings.folds, groups=groups, seed=seed)
    rows = fold >= 0
    if like is None:
        like = rows if table.split == "random" else table.part == "val"

    def inner(rows: Task, method: Method) -> Trained:
        return train(rows, settings.shortened(method))

    with warnings.catch_warnings():  # the final training repeats the warnings of the chosen method
        warnings.simplefilter("ignore", UserWarning)
        results = list(out_of_fold(table, fold, candidates, inner, budget=settings.budget))
    done = [one for one in results if one.pred is not None]
    bins = table.shots.bins
    counts = bins.histogram(table.y[like])
    ground = Ground(table.y[rows], fold[rows], bins.index(table.y[rows]), counts / counts.sum())
    scores, chosen = judge(ground, [one.pred for one in done if one.pred is not None])
    picked = done[chosen].candidate
    reason = _reason(done, scores, chosen) + _left_out(results, candidates, settings)
    record = {
        "chosen": {
            "method": picked.method,
            "parameters": {part: dict(given) for part, given in picked.method_params.items()},
        },
        "reason": reason,
        "settings": asdict(settings),
        "folds": int(fold.max()) + 1,
        "rows": int(rows.sum()),
        "tolerance": TOLERANCE,
        "seconds": time.perf_counter() - started,
        "candidates": _candidates(
            candidates, results, dict(zip([one.candidate.method_name for one in done], scores, strict=True))
        ),
    }
    return Choice(picked, reason, record)


def without_rows(n: int) -> Choice:
    """Return vanilla, for a table with too few rows to compare methods."""
    reason = f"vanilla: {n} rows are too few to compare methods"
    return Choice(VANILLA, reason, {"chosen": {"method": VANILLA.method, "parameters": {}}, "reason": reason})


def _reason(done: Sequence[Inner], scores: Sequence[Score], chosen: int) -> str:
    name, score, base = done[chosen].candidate.method_name, scores[chosen], scores[0]
    refused = [one.candidate.method_name for one, each in zip(done, scores, strict=True) if not each.eligible]
    guard = f"; may cost more than {TOLERANCE:.0%} overall: {', '.join(refused)}" if refused else ""
    if chosen == 0:
        return f"vanilla: no other that is safe overall has a balanced error lower by a standard error{guard}"
    gain = score.balanced / base.balanced - 1 if base.balanced else 0.0
    return (
        f"{name}: balanced error {gain:+.0%} against vanilla and within a standard error of the best, overall "
        f"{score.change:+.1%} ± {score.change_error:.1%}{guard}"
    )


def _left_out(results: Sequence[Inner], candidates: Sequence[Experiment], settings: AutoSettings) -> str:
    remarks = [f"; {one.candidate.method_name} failed: {one.failed}" for one in results if one.failed is not None]
    if len(results) < len(candidates):
        names = ", ".join(candidate.method_name for candidate in candidates[len(results) :])
        remarks.append(f"; the budget of {settings.budget:g} s ended before {names}")
    return "".join(remarks)


def _candidates(
    candidates: Sequence[Experiment], results: Sequence[Inner], scores: Mapping[str, Score]
) -> list[dict[str, Any]]:
    """Return a record of each candidate, including those that were not trained."""
    listed = []
    for place, candidate in enumerate(candidates):
        line: dict[str, Any] = {"name": candidate.method_name}
        if place >= len(results):
            line["left_out"] = "the budget ended first"
        else:
            line["seconds"] = results[place].seconds
            score = scores.get(candidate.method_name)
            line |= {"failed": results[place].failed} if score is None else asdict(score)
        listed.append(line)
    return listed
