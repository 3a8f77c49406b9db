"""Inputs far outside the training range give no absurd predictions, and a note names row and column."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tailwise import Experiment, FittedModel, evaluate, fit, prepare
from tailwise.data.reach import Reach
from tailwise.distributions.label_density import REACH
from tailwise.metrics.heavy_rows import notes_on_heavy_row
from tailwise.training.recipe import Recipe


def table(n=300):
    rng = np.random.default_rng(0)
    x, z = rng.uniform(0, 10, n), rng.normal(size=n)
    return pd.DataFrame({"x": x, "z": z, "y": 30 + 20 * x + 5 * z})


@pytest.fixture(scope="module", params=["network", "linear"])
def fitted(request):
    task = prepare(table(), "y")
    return task, fit(task, Experiment("vanilla", model=request.param, recipe=Recipe(epochs=3)))


def limits(task):
    y = task.y[task.part == "train"]
    margin = REACH * (y.max() - y.min())
    return y.min() - margin, y.max() + margin


class TestPredictions:
    def test_one_wrong_cell_gives_no_absurd_prediction_and_is_named(self, fitted):
        task, model = fitted
        new = table()[["x", "z"]].head(20).copy()
        plain = model.predict(new)
        new.loc[6, "x"] = 9_999_000.0
        low, high = limits(task)
        with pytest.warns(UserWarning, match="far from the training labels") as caught:
            pred = model.predict(new)
        assert low <= pred.min() <= pred.max() <= high + 1e-9
        assert np.array_equal(np.delete(pred, 6), np.delete(plain, 6))
        if pred[6] == high:
            (note,) = {str(warning.message) for warning in caught}
            assert note.startswith("row 7: prediction ")
            assert "far from the training labels" in note
            assert "its column 'x' is" in note
        else:
            pytest.fail("the prediction was not at the limit")

    def test_several_rows_are_one_note(self, fitted):
        _, model = fitted
        if model.inputs.reach is not None:
            model = replace(model, inputs=replace(model.inputs, reach=None))
        with pytest.warns(UserWarning, match=r"; 2 other rows are bounded too") as caught:
            model.predict(pd.DataFrame({"x": [1e7, 2e7, 5.0, 3e7], "z": 0.0}))
        assert len(caught) == 1

    def test_bounds_can_be_switched_off(self, fitted):
        _, model = fitted
        model = replace(model, bounded=False)
        if model.inputs.reach is not None:
            model = replace(model, inputs=replace(model.inputs, reach=None))
        assert model.predict(pd.DataFrame({"x": [1e7], "z": 0.0}))[0] > 1e4

    def test_saved_models_keep_their_limits_and_older_ones_have_none(self, fitted, tmp_path):
        _, model = fitted
        model.save(tmp_path)
        new = pd.DataFrame({"x": [5.0, 10.5], "z": [0.0, 1.0]})
        assert FittedModel.load(tmp_path).predict(new).tolist() == model.predict(new).tolist()
        assert FittedModel.load(tmp_path).inputs.reach == model.inputs.reach
        path = tmp_path / "model.json"
        saved = json.loads(path.read_text())
        saved["inputs"] = None
        del saved["schema"]["seen"], saved["schema"]["readings"]
        path.write_text(json.dumps(saved))
        older = FittedModel.load(tmp_path)
        assert older.inputs.reach is None
        assert older.predict(new[:1]).tolist() == model.predict(new[:1]).tolist()


class TestReach:
    def test_numbers_inside_stay_bit_for_bit(self):
        features = pd.DataFrame({"a": [0.1, 0.7, np.nan], "c": ["x", "y", None], "empty": np.nan})
        reach = Reach.of(features)
        assert Reach.from_json(json.loads(json.dumps(reach.to_json()))).clamped(features).equals(features)
        assert reach.clamped(features) is features

    def test_numbers_outside_are_at_the_limit_and_empty_columns_stay_empty(self):
        reach = Reach.of(pd.DataFrame({"a": [1.0, 3.0], "empty": [np.nan, np.nan], "same": 5.0}))
        inside = reach.clamped(pd.DataFrame({"a": [-9.0, 9.0], "empty": [1.0, 2.0], "same": [1.0, 9.0]}))
        assert inside["a"].tolist() == [-1.0, 5.0]
        assert inside["empty"].isna().all()
        assert inside["same"].tolist() == [5.0, 5.0]

    def test_a_network_sees_numbers_at_the_limit(self):
        model = fit(prepare(table(), "y"), Experiment("vanilla", recipe=Recipe(epochs=1)))
        high = model.inputs.reach.high["x"]
        at, beyond = pd.DataFrame({"x": [high], "z": 0.0}), pd.DataFrame({"x": [high + 1e6], "z": 0.0})
        model = replace(model, bounded=False)
        assert model.predict(at) == model.predict(beyond)


class TestHeavyRows:
    def test_one_row_is_named(self):
        y = np.zeros(100)
        pred = np.where(np.arange(100) == 3, 50.0, 1.0)
        (note,) = notes_on_heavy_row(y, pred, np.arange(100, 200))
        assert note.startswith("row 104 carries 34% of the absolute and 96% of the squared error")
        assert notes_on_heavy_row(y, np.ones(100), range(100)) == []
        assert notes_on_heavy_row(y[:40], pred[:40], range(40)) == []
        assert notes_on_heavy_row(y, y, range(100)) == []
        assert len(notes_on_heavy_row(np.zeros((100, 2)), np.stack([pred, pred], 1), range(100))) == 1

    def test_an_evaluation_has_the_note(self):
        frame = table().assign(split=np.resize(["train", "val", "test"], 300))
        frame.loc[frame.index == 299, "y"] = 5000.0
        task = prepare(frame, "y", split="column")
        assert task.part[299] == "test"
        notes = evaluate(fit(task, Experiment("vanilla", model="linear")), task).notes
        assert len([note for note in notes if note.startswith("row 300 carries")]) == 1
