"""Exported networks: predictions as the model's, for tables of every kind; what cannot be exported is refused."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import tailwise
from conftest import toy_frame
from tailwise import Experiment, InputError, Recipe, prepare
from tailwise.cli.main import run
from tailwise.deploy import export as exporting
from tailwise.deploy.export import DESCRIPTION, export, inputs_of
from tailwise.runs import artifact

FEW = Recipe(epochs=1, device="cpu")


@pytest.fixture(scope="module")
def task():
    return prepare(toy_frame(400), "price")


@pytest.fixture(scope="module")
def model(task):
    return tailwise.fit(task, Experiment("mixture", encoder="mlp-ple", recipe=FEW))


def rows_of(path, inputs):
    if path.suffix == ".pt2":
        files = {DESCRIPTION: ""}
        program = torch.export.load(io.BytesIO(path.read_bytes()), extra_files=files).module()
        outputs = program(**{name: torch.from_numpy(values) for name, values in inputs.items()})
        return [output.detach().numpy() for output in outputs], json.loads(files[DESCRIPTION])
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes())
    return session.run(None, inputs), json.loads(session.get_modelmeta().custom_metadata_map[DESCRIPTION])


@pytest.mark.parametrize("suffix", [pytest.param(".onnx", marks=pytest.mark.slow), ".pt2"])
def test_predictions_are_those_of_the_model(model, tmp_path, suffix):
    exported = export(model, tmp_path / f"model{suffix}")
    assert exported.rows == 256
    frame = toy_frame(37, seed=5).drop(columns="price")
    frame.loc[0, "x1"], frame.loc[1, "city"], frame.loc[2, "built"] = 1e6, "atlantis", None
    (pred, std), described = rows_of(exported.path, inputs_of(model, frame))
    expected = model.predictions(frame, quiet=True)
    np.testing.assert_allclose(pred, expected.pred, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(std, expected.std, rtol=1e-4, atol=1e-3)
    assert described["codes"] == {"city": ["(missing)", "lima", "oslo", "pune"]}
    assert described["numbers"][:3] == ["x1", "x2", "new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"model{suffix}"]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["mlp", "mlp-plr", "tabm", "tabm-ple"])
@pytest.mark.parametrize("columns", [["x1", "x2"], ["city"], ["x1", "city", "built"]], ids=str)
def test_every_encoder_and_kind_of_column(encoder, columns, tmp_path):
    small = prepare(toy_frame(200)[[*columns, "price"]], "price")
    fitted = tailwise.fit(small, Experiment("vanilla", encoder=encoder, recipe=FEW))
    for suffix in (".onnx", ".pt2"):
        assert export(fitted, tmp_path / f"m{suffix}").path.stat().st_size > 1000


@pytest.mark.slow
def test_several_targets(tmp_path):
    frame = toy_frame(300).assign(cost=lambda f: f["price"] * 0.5 + f["x1"])
    fitted = tailwise.fit(prepare(frame, ["price", "cost"]), Experiment("vanilla", recipe=FEW))
    assert export(fitted, tmp_path / "m.onnx").difference < 0.01


def test_rare_categories_share_an_input(tmp_path):
    frame = toy_frame(400)
    frame["code"] = [f"c{i % 300}" for i in range(400)]
    fitted = tailwise.fit(prepare(frame, "price", nominal=["code"]), Experiment("vanilla", encoder="mlp", recipe=FEW))
    assert export(fitted, tmp_path / "m.pt2").difference < 0.01


def test_rows_of_ones_own(model, tmp_path):
    assert export(model, tmp_path / "m.pt2", rows=toy_frame(11, seed=2)).rows == 11
    assert export(model, tmp_path / "one.pt2", rows=toy_frame(1, seed=2)).rows == 1
    with pytest.raises(InputError, match="there is no row to compare predictions on; give `rows` some"):
        export(model, tmp_path / "none.pt2", rows=toy_frame(11).head(0))
    assert not (tmp_path / "none.pt2").exists()


def test_a_network_that_differs_is_not_written(model, tmp_path, monkeypatch):
    graph_of = exporting.graph_of

    def other(fitted):
        graph = graph_of(fitted)
        graph.numbers.shift += 1
        return graph

    monkeypatch.setattr(exporting, "graph_of", other)
    with pytest.raises(InputError, match=r"differ by .* it is not written"):
        export(model, tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: replace(m, balance=0.5), "predicts at balance 0.5"),
        (lambda m: replace(m, correction=object()), "corrects its predictions"),
        (lambda m: replace(m, inputs=object()), "reads texts, images or signals"),
        (lambda m: replace(m, model=object()), "is no network but a object, which cannot be exported; serve it with"),
    ],
)
def test_what_cannot_be_exported(model, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        export(change(model), tmp_path / "m.onnx")


def test_the_command(task, model, tmp_path, capsys):
    folder = artifact.write(tmp_path / "run", task, Experiment("mixture", encoder="mlp-ple", recipe=FEW), model)
    pd.DataFrame(toy_frame(30)).to_csv(tmp_path / "new.csv", index=False)
    words = ["export", str(folder), str(tmp_path / "m.pt2")]
    assert run([*words, "--data", str(tmp_path / "new.csv")]) == 0
    assert "predictions on 30 rows differ from the run's by at most" in " ".join(capsys.readouterr().out.split())
    assert run(words) == 2
    assert "exists; pass --overwrite" in capsys.readouterr().err
    assert run(["export", str(folder), str(tmp_path / "m.h5")]) == 2
    assert "FILE must end in .onnx or .pt2" in capsys.readouterr().err
