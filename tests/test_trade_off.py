from dataclasses import replace

import numpy as np
import pandas as pd

import tailwise
from tailwise import Shots
from tailwise._numbers import number
from tailwise.cli.show_trade_off import trade_off_table
from tailwise.distributions import Dial, Mixture
from tailwise.experiment.spec import Experiment
from tailwise.experiment.trade_off import trade_off
from tailwise.training.recipe import Recipe


def test_the_curve_of_several_targets_is_that_of_distances():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    frame = pd.DataFrame({"p": x[:, 0], "q": x[:, 1], "a": np.exp(x[:, 0]), "b": x[:, 1] ** 2})
    task = tailwise.prepare(frame, ["a", "b"])
    model = tailwise.fit(task, Experiment("mixture", recipe=Recipe(epochs=2, device="cpu")))
    evaluation = tailwise.evaluate(model, task, resamples=0)
    assert evaluation.trade_off is not None
    assert not evaluation.trade_off.scores
    rows, y = task.rows_of("test")
    for point in evaluation.trade_off.points:
        np.testing.assert_array_equal(point.pred, model.predict(rows, balance=point.balance))
        distances = np.sqrt(((point.pred - y) ** 2).sum(axis=1))
        np.testing.assert_allclose(point.mae["all"].value, distances.mean())
        assert not point.bias


def test_the_table_of_the_dial_begins_with_the_headline():
    y = np.repeat([0.0, 10.0], [90, 10])
    rows = np.repeat([0.0, 10.0], 50)  # as many rare ones as common ones: a balanced split
    near = Mixture(np.ones((100, 1)), np.where(rows > 5, 7.0, 0.0)[:, None], np.full((100, 1), 0.01))
    curve = trade_off(rows, near, Dial.from_labels(y), Shots.from_labels(y, many=20, few=5), balances=(0, 1))
    first = curve.points[0]
    assert abs(first.as_rows_come - 0.1 * first.mae["medium"].value) < 1e-9
    assert first.as_rows_come < 0.3 * first.mae["all"].value
    assert first.to_json()["as_rows_come"] == first.as_rows_come
    assert {"all", "medium"} <= set(first.to_json()["mae"])
    table = trade_off_table(curve, title="dial", as_given=(rows, rows + 1, Shots.from_labels(y, many=20, few=5)))
    headings = [str(column.header) for column in table.columns]
    assert headings == ["balance", "As rows come", "Many", "Medium", "bMAE"]
    assert list(table.columns[1].cells)[:2] == ["1", number(first.as_rows_come)]
    of_maps = replace(first, as_rows_come=None)
    assert list(of_maps.shown) == ["all", "many", "medium"]
    assert "as_rows_come" not in of_maps.to_json()


def test_an_interval_of_few_unequal_errors_does_not_fall_below_0():
    y = np.repeat([0.0, 10.0], [50, 3])
    near = Mixture(np.ones((53, 1)), np.r_[np.zeros(50), 10.0, 10.0, 1.0][:, None], np.full((53, 1), 0.1))
    curve = trade_off(y, near, Dial.from_labels(y), Shots.from_labels(y, many=20, few=5), balances=(0,))
    few = curve.points[0].mae["few"]
    assert few.value == 3.0
    assert few.low == 0.0
    assert few.high > 6.0
