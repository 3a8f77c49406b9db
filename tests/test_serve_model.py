"""The server of a model: answers, refusals in one line, limits."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import httpx
import numpy as np
import pandas as pd
import pytest

import tailwise
from conftest import toy_frame
from tailwise import Experiment, InputError, Recipe, prepare
from tailwise.cli.main import run
from tailwise.deploy.answers import Answers
from tailwise.deploy.server import Limits, application
from tailwise.runs import artifact

ROW = {"x1": 0.5, "x2": None, "city": "lima", "new": True, "built": "2020-05-01"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "run"
    task = prepare(toy_frame(400), "price")
    experiment = Experiment("mixture", recipe=Recipe(epochs=2, device="cpu"))
    return artifact.write(folder, task, experiment, tailwise.fit(task, experiment))


@pytest.fixture(scope="module")
def answers(run_folder):
    return Answers.of_run(run_folder, most_rows=50)


def ask(answers, method, path, *, limits=None, hosts=(), host="localhost", **request):
    async def asked():
        transport = httpx.ASGITransport(
            application(answers, limits or Limits(), hosts=hosts), raise_app_exceptions=False
        )
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, **request)

    return asyncio.run(asked())


def predicted(answers, wanted, **more):
    return ask(answers, "POST", "/predict", content=json.dumps(wanted), **more)


class TestAnswers:
    def test_predictions_are_those_of_the_model(self, answers):
        frame = toy_frame(20, seed=3).drop(columns="price")
        rows = json.loads(frame.to_json(orient="records"))
        answer = predicted(answers, rows).json()
        np.testing.assert_allclose([one["prediction"] for one in answer["predictions"]], answers.model.predict(frame))
        assert set(answer["predictions"][0]) == {"prediction", "std", "region"}
        assert answer["notes"] == answers.model.notes_on_unseen(frame)

    def test_questions(self, answers):
        wanted = {"rows": [ROW], "balance": 0.7, "quantile": [0.1, 0.9], "above": 30, "below": [5], "interval": 0.9}
        (one,) = predicted(answers, wanted).json()["predictions"]
        frame = pd.DataFrame([ROW])
        assert one["prediction"] == pytest.approx(answers.model.predict(frame, balance=0.7)[0])
        expected = answers.model.predict_interval(frame, 0.9, balance=0.7)[0]
        assert [one["low"], one["high"]] == pytest.approx(expected.tolist())
        tilted = answers.model.predictive(frame, balance=0.7)
        assert one["quantile_0.1"] == pytest.approx(tilted.quantile(0.1)[0])
        assert one["above_30"] == pytest.approx(tilted.above(30)[0])
        assert one["below_5"] == pytest.approx(tilted.below(5)[0])

    def test_a_declared_density_and_costs(self, answers):
        wanted = {"rows": [ROW], "density": [0, 60], "under": 9, "over": 1}
        expected = answers.model.predict(pd.DataFrame([ROW]), density=(0.0, 60.0), under=9, over=1)
        assert predicted(answers, wanted).json()["predictions"][0]["prediction"] == pytest.approx(expected[0])

    def test_extra_columns_and_unseen_values_are_told(self, answers):
        notes = predicted(answers, [{**ROW, "id": "a7", "city": "atlantis"}]).json()["notes"]
        assert notes[0] == "1 column the model was not trained on, ignored: 'id'"
        assert "no training row had: 'city'" in notes[1]

    def test_schema(self, answers):
        described = ask(answers, "GET", "/schema").json()
        columns = {column["name"]: column for column in described["columns"]}
        assert columns["city"] == {"name": "city", "kind": "nominal", "levels": ["lima", "oslo", "pune"]}
        assert columns["x1"]["low"] < 0 < columns["x1"]["high"]
        assert "2020-01-01" <= columns["built"]["low"] < columns["built"]["high"] < "2022-01-01"
        assert columns["new"] == {"name": "new", "kind": "boolean"}
        assert described["targets"] == ["price"]
        assert described["distributions"] is True
        assert described["intervals"] is True
        assert (described["most_rows"], described["most_bytes"]) == (50, 10_000_000)

    def test_the_root_lists_the_paths(self, answers):
        listed = ask(answers, "GET", "/").json()
        assert listed["run"] == "run"
        assert list(listed["paths"]) == ["POST /predict", "GET /schema", "GET /health"]

    def test_health(self, answers):
        assert ask(answers, "GET", "/health").json() == {"status": "ok", "run": "run"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ({"row": []}, "a request has no field 'row'; did you mean 'rows'?"),
            ("text", "must be a list of rows"),
            ([], "rows must be a list of at least one row"),
            ([1], "row 1 must be an object"),
            ([ROW, {**ROW, "x1": "tall"}], "column 'x1' is numeric, but 1 cell is not, e.g. 'tall' in row 2"),
            ([{**ROW, "x1": [1]}], "column 'x1' holds list values"),
            ([{**ROW, "x1": {}}], "column 'x1' holds dict values"),
            ([ROW] * 51, "the request has 51 rows, and at most 50 are taken"),
            ({"rows": [ROW], "balance": 2}, "balance"),
            ({"rows": [ROW], "balance": "half"}, "`balance` takes numbers, got 'half'"),
            ({"rows": [ROW], "balance": True}, "`balance` takes numbers, got 'True'"),
            ({"rows": [ROW], "loss": "cubic"}, "loss must be one of"),
            ({"rows": [ROW], "loss": ["absolute"]}, "loss must be one of"),
            ({"rows": [ROW], "under": 3}, "costs need both"),
            ({"rows": [ROW], "quantile": 1.5}, "`quantile` takes levels between 0 and 1"),
            ({"rows": [ROW], "interval": 1}, "`interval` must be a fraction"),
            ({"rows": [ROW], "density": [5]}, "`density` must be a range"),
            ({"rows": [ROW], "density": [5, 9], "balance": 1}, "give `balance` or `density`"),
            ({"rows": [ROW], "above": [{}]}, "`above` takes numbers"),
        ],
    )
    def test_one_line(self, answers, wanted, message):
        answer = predicted(answers, wanted)
        assert answer.status_code == 422
        assert list(answer.json()) == ["error"]
        assert message in answer.json()["error"]
        assert "\n" not in answer.json()["error"]

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "the request is no JSON"),
            (b"\xff", "the request is no JSON"),
            (b"[" * 100_000, "the request is no JSON"),
            (b'[{"x1": NaN}]', "the request has NaN"),
            (b'[{"x1": 1e999}]', "too large"),
            (b'[{"x1": ' + b"9" * 5000 + b"}]", "too large"),
        ],
    )
    def test_odd_json(self, answers, body, message):
        answer = ask(answers, "POST", "/predict", content=body)
        assert answer.status_code == 422
        assert message in answer.json()["error"]

    def test_a_missing_column_is_named_with_its_row(self, answers):
        row = {name: value for name, value in ROW.items() if name != "city"}
        error = predicted(answers, [ROW, {**row, "citty": "lima"}]).json()["error"]
        assert error == "row 2 lacks 'city'; write null where a value is missing; did you mean 'citty'?"

    def test_too_many_bytes(self, answers):
        answer = predicted(answers, [ROW], limits=Limits(size=20))
        assert (answer.status_code, answer.json()) == (
            413,
            {"error": "the request has more than 20 bytes; send fewer rows at once"},
        )

    def test_an_answer_that_takes_too_long(self, answers, monkeypatch):
        monkeypatch.setattr(Answers, "to", lambda self, body: time.sleep(0.5))
        answer = predicted(answers, [ROW], limits=Limits(seconds=0.05))
        assert (answer.status_code, answer.json()) == (503, {"error": "no answer within 0.05 seconds"})

    def test_a_body_that_does_not_arrive(self, answers):
        async def body():
            yield b"["
            await asyncio.sleep(5)

        answer = ask(answers, "POST", "/predict", content=body(), limits=Limits(seconds=0.05))
        assert (answer.status_code, answer.json()) == (408, {"error": "no request within 0.05 seconds"})

    def test_errors_of_the_program_stay_inside(self, answers, monkeypatch):
        def fail(self, body):
            raise RuntimeError("secret")

        monkeypatch.setattr(Answers, "to", fail)
        answer = predicted(answers, [ROW])
        assert answer.status_code == 500
        assert "secret" not in answer.text

    @pytest.mark.parametrize(
        ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/predict", 405), ("POST", "/health", 405)]
    )
    def test_other_addresses(self, answers, method, path, status):
        answer = ask(answers, method, path)
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]

    def test_a_name_of_another_server(self, answers):
        answer = ask(answers, "GET", "/schema", hosts=("localhost:8322",), host="evil.example")
        assert answer.status_code == 421
        assert ask(answers, "GET", "/health", hosts=("localhost:8322",), host="localhost:8322").status_code == 200


class TestCommand:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--port", "70000"], "--port must be a whole number"),
            (["--max-rows", "0"], "--max-rows must be a whole number of at least 1"),
            (["--max-size", "-1"], "--max-size must be a finite number above 0"),
            (["--timeout", "0"], "--timeout must be"),
            (["--host", " "], "--host must name an address"),
            (["--host", "300.0.0.1", "--port", "0"], "is not an address of this machine"),
        ],
    )
    def test_bad_options(self, run_folder, capsys, words, message):
        assert run(["serve-model", str(run_folder), *words]) == 2
        assert message in capsys.readouterr().err

    def test_no_run(self, tmp_path, capsys):
        assert run(["serve-model", str(tmp_path)]) == 2
        assert "holds no run" in capsys.readouterr().err

    def test_runs_on_files_are_refused(self, run_folder, monkeypatch):
        from tailwise.data.columns import Medium
        from tailwise.experiment.model import FittedModel

        loaded = FittedModel.load(run_folder / "model")
        object.__setattr__(loaded.schema, "media", (Medium("image", ("photo",)),))
        monkeypatch.setattr(FittedModel, "load", lambda folder: loaded)
        with pytest.raises(InputError, match="a request must not read files of this machine"):
            Answers.of_run(run_folder)

    @pytest.mark.slow
    def test_over_a_socket(self, run_folder):
        words = [sys.executable, "-m", "tailwise", "serve-model", str(run_folder), "--port", "0"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
            try:
                address = server.stdout.readline().split(" at ")[1].split()[0]
                with urllib.request.urlopen(address + "health") as answer:
                    assert json.load(answer)["status"] == "ok"
                wanted = urllib.request.Request(address + "predict", json.dumps([ROW]).encode())
                with urllib.request.urlopen(wanted) as answer:
                    assert len(json.load(answer)["predictions"]) == 1
                with pytest.raises(urllib.error.HTTPError, match="421"):
                    urllib.request.urlopen(urllib.request.Request(address + "health", headers={"Host": "evil.example"}))
            finally:
                server.terminate()
            assert "Traceback" not in server.stderr.read()
