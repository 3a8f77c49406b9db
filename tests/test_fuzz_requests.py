"""Requests of any form to ``serve-model``: an answer, or a refusal in one line."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tailwise
from conftest import toy_frame
from fuzzing import LONGEST, examples
from tailwise import Experiment, Recipe, prepare
from tailwise.deploy.answers import Answers
from tailwise.runs import artifact
from test_serve_model import ROW, ask

MODELS = {
    "linear": Experiment("vanilla", "linear"),
    "mixture": Experiment("mixture", recipe=Recipe(epochs=1, device="cpu")),
    "trees": Experiment("vanilla", "lightgbm", params={"n_estimators": 2}),
}
TEXT = st.text(max_size=4)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-3, 3),
    st.sampled_from([0, 0.5, 0.9, 1, 10**30, -(10**400), 1e308, -1e308, 1e-320]),
)
CELLS = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXT,
    st.sampled_from(
        ["", "lima", "2020-05-01", "31/12/2020", "9999-99-99", "1,5", "nan", "inf", "-", "\0", [], {}, [1]]
    ),
)
VALUES = st.one_of(NUMBERS, CELLS, st.lists(st.one_of(NUMBERS, CELLS), max_size=3))
FIELDS = ("balance", "loss", "under", "over", "density", "quantile", "above", "below", "interval", "rows", "nope")
METHODS = ("GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS")
PATHS = ("/", "/predict", "/schema", "/health", "/nope", "//predict", "/predict/..", "/%00", "/docs", "/openapi.json")


@st.composite
def bodies(draw):
    """The bytes of a body: mostly JSON that the server may understand."""
    rows = []
    for _ in range(draw(st.integers(0, 3))):
        row = dict(ROW)
        for name in draw(st.lists(st.sampled_from([*ROW, "new column"]), max_size=3)):
            row[name] = draw(CELLS)
        if draw(st.integers(0, 5)) == 0:
            row.pop(draw(st.sampled_from(list(row))))
        rows.append(row)
    wanted = {"rows": rows}
    usual = {"balance": 0.5, "density": [0, 60], "quantile": [0.1], "above": 30, "interval": 0.9, "loss": "squared"}
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=3)):
        known = usual.get(name)
        wanted[name] = known if known is not None and draw(st.booleans()) else draw(VALUES)
    body = json.dumps(wanted if draw(st.booleans()) else rows if draw(st.booleans()) else draw(VALUES)).encode()
    match draw(st.integers(0, 12)):
        case 0:
            return body[: draw(st.integers(0, len(body)))]
        case 1:
            return draw(st.binary(max_size=40))
        case 2:
            return b"[" * 5000
        case _:
            return body


def finite(value):
    """Whether all numbers of an answer are numbers that JSON has."""
    if isinstance(value, float):
        return math.isfinite(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(finite(one) for one in inner)


@pytest.fixture(scope="module", params=MODELS)
def answers(request, tmp_path_factory):
    folder, task = tmp_path_factory.mktemp("asked") / "run", prepare(toy_frame(300), "price")
    experiment = MODELS[request.param]
    return Answers.of_run(artifact.write(folder, task, experiment, tailwise.fit(task, experiment)), most_rows=2)


def test_predict(answers):
    @examples(40)
    @given(bodies())
    def try_one(body):
        answer = ask(answers, "POST", "/predict", content=body)
        assert answer.status_code in (200, 400, 413, 422), (body, answer.text)
        told = answer.json()
        if answer.status_code == 200:
            assert len(told["predictions"]) in (1, 2), body
            assert finite(told), (body, told)
        else:
            assert "\n" not in told["error"], body
            assert len(told["error"]) <= LONGEST, body

    try_one()


def test_paths(answers):
    @examples(20)
    @given(st.sampled_from(METHODS), st.one_of(st.sampled_from(PATHS), st.text("ab/.%0", max_size=6)), bodies())
    def try_one(method, path, body):
        answer = ask(answers, method, "/" + path.lstrip("/"), content=body)
        assert answer.status_code < 500, (method, path, body, answer.text)

    try_one()
