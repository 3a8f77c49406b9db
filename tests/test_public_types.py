"""Public signatures say which types they take and give; ``Any`` stays only where a reason is listed."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cached_property

import tailwise

JSON = "values of a JSON document"
PARAMETERS = "parameters of parts and networks, each with its own type"
FITTED = "passed on to the estimator's `fit`, which may be of any library"
ALLOWED = {
    **dict.fromkeys(
        (
            *(f"{kind}.from_json(saved)" for kind in ("Bins", "Experiment", "LabelDensity", "Relevance", "Shots")),
            *(f"{kind}.to_json ->" for kind in ("Bins", "Experiment", "LabelDensity", "Relevance", "Shots")),
            "Evaluation.metrics_json ->",
            "Task(choices)",
            "Training.restore(numbers)",
            "Training.state ->",
        ),
        JSON,
    ),
    **dict.fromkeys(
        (
            *(f"{loss}.head ->" for loss in ("FocalL1", "FocalMSE", "Huber", "L1", "MSE")),
            "Experiment(method_params)",
            "Experiment(params)",
            "Experiment.changes ->",
            "Experiment.with_recipe(changes)",
            "ImbalancedRegressor(encoder_params)",
            "ImbalancedRegressor(method_params)",
            "WeightedRegressor(weight_params)",
            "compose(params)",
        ),
        PARAMETERS,
    ),
    "ResampledRegressor.fit(fit_params)": FITTED,
    "WeightedRegressor.fit(fit_params)": FITTED,
    "Shots.population ->": "whole counts of rows, or sums of their weights",
    "Stage(objects)": "a caller's own pieces, of another type for each slot",
    "WeightedRegressor(weights)": "the name of weights, or weights of any class",
    "prepare(missing)": "values of cells: numbers, texts or dates",
}


def annotated(name: str, function: object) -> Iterator[str]:
    """Signature entries of a function annotated with ``Any``, as ``name(parameter)`` or ``name ->``."""
    try:
        node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]
    except (TypeError, OSError):
        return
    if isinstance(node, ast.FunctionDef):
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        yield from (f"{name}({a.arg})" for a in every if a.annotation is not None and has_any(a.annotation))
        if node.returns is not None and has_any(node.returns):
            yield f"{name} ->"


def has_any(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    return any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation))


def of_class(name: str, kind: type) -> Iterator[str]:
    for member in sorted({m for m in dir(kind) if not m.startswith("_")} | {"__init__", "__call__"}):
        owner = next((c for c in kind.__mro__ if member in vars(c)), None)
        if owner is None or owner.__module__.partition(".")[0] != "tailwise":
            continue
        value = vars(owner)[member]
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, cached_property):
            value = value.func
        shown = name if member == "__init__" else f"{name}.{member}"
        if callable(value):
            yield from annotated(shown, value)
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] == "tailwise" and "__dataclass_fields__" in vars(base):
            yield from (f"{name}({field})" for field in fields_with_any(base))


def fields_with_any(kind: type) -> list[str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body
    of_fields = [node for node in body if isinstance(node, ast.AnnAssign) and has_any(node.annotation)]
    return [node.target.id for node in of_fields if not node.target.id.startswith("_")]


def public() -> list[str]:
    found: list[str] = []
    for name in sorted(tailwise.__all__):
        value = getattr(tailwise, name)
        if inspect.isclass(value):
            found += of_class(name, value)
        elif callable(value):
            found += annotated(name, value)
    return found


def test_any_stays_only_where_listed():
    assert sorted(set(public()) - set(ALLOWED)) == [], "give the parameter or result a type, or list it with a reason"


def test_the_list_has_nothing_that_is_gone():
    assert sorted(set(ALLOWED) - set(public())) == []


def test_any_is_seen():
    def takes(x: "dict[str, Any]", y: int) -> "Any": ...  # noqa: F821

    assert list(annotated("takes", takes)) == ["takes(x)", "takes ->"]
