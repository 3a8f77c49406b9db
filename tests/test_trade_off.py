import numpy as np
import pandas as pd

import tailwise
from tailwise import Shots
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


def test_an_interval_of_few_unequal_errors_does_not_fall_below_0():
    y = np.repeat([0.0, 10.0], [50, 3])
    near = Mixture(np.ones((53, 1)), np.r_[np.zeros(50), 10.0, 10.0, 1.0][:, None], np.full((53, 1), 0.1))
    curve = trade_off(y, near, Dial.from_labels(y), Shots.from_labels(y, many=20, few=5), balances=(0,))
    few = curve.points[0].mae["few"]
    assert few.value == 3.0
    assert few.low == 0.0
    assert few.high > 6.0
