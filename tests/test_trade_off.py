import numpy as np
import pandas as pd

import tailwise
from tailwise.experiment.spec import Experiment
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
