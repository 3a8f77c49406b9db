"""Distributions of forests by shared leaves, and of models whose training rows were weighted or resampled."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.ensemble import RandomForestRegressor
from torch import nn

import tailwise
from conftest import toy_frame
from tailwise import Experiment, FittedModel, InputError, Recipe, compose, prepare
from tailwise.backends.forest_leaves import ForestLeaves
from tailwise.weights.weight_function import UniformWeights

N = 300


def rows(n=N, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, np.round(np.exp(x[:, 0]) + rng.normal(scale=0.3, size=n), 1)  # some labels are equal


def fitted(weight=None, **params):
    x, y = rows()
    return RandomForestRegressor(**{"n_estimators": 7, "random_state": 0, **params}).fit(x, y, sample_weight=weight)


def weights_by_loops(forest, x_new, weight=None):
    """``(m, n)`` weights of training rows, from the definition."""
    x, _ = rows()
    total = np.zeros((len(x_new), N))
    for tree, sample in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        counts = np.bincount(sample, minlength=N) if forest.bootstrap else (np.ones(N) if weight is None else weight)
        leaf = tree.apply(x.astype(np.float32))
        for i, at in enumerate(tree.apply(x_new.astype(np.float32))):
            inside = counts * (leaf == at)
            total[i] += inside / inside.sum() / len(forest.estimators_)
    return total


WEIGHT = np.random.default_rng(3).uniform(0.0, 2.0, N)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(
    "params",
    [{}, {"min_samples_leaf": 8}, {"bootstrap": False, "max_features": 1}, {"max_samples": 0.3}, {"max_depth": 2}],
    ids=str,
)
class TestWeights:
    def test_are_those_of_the_definition(self, params, weight):
        forest, (x, y), (x_new, _) = fitted(weight, **params), rows(), rows(40, seed=1)
        leaves = ForestLeaves.of(forest, x, y, weight, seed=0)
        predictive = leaves.predictive(forest, x_new, forest.predict(x_new))
        values, column = np.unique(y, return_inverse=True)
        expected = np.zeros((40, values.size))
        np.add.at(expected.T, column, weights_by_loops(forest, x_new, weight).T)
        np.testing.assert_allclose(predictive.cdf(values[None]), np.minimum(expected.cumsum(axis=1), 1), atol=1e-12)

    def test_have_the_prediction_as_mean(self, params, weight):
        forest, (x, y), (x_new, _) = fitted(weight, **params), rows(), rows(200, seed=1)
        pred = forest.predict(x_new)
        predictive = ForestLeaves.of(forest, x, y, weight, seed=0).predictive(forest, x_new, pred)
        np.testing.assert_allclose(predictive.mean(), pred, rtol=1e-9, atol=1e-15)


class TestManyRows:
    def test_rows_in_pieces_have_the_same_distributions(self, monkeypatch):
        forest, (x, y), (x_new, _) = fitted(), rows(), rows(50, seed=1)
        leaves, pred = ForestLeaves.of(forest, x, y, None, seed=0), forest.predict(x_new)
        once = leaves.predictive(forest, x_new, pred)
        monkeypatch.setattr("tailwise.backends.forest_leaves._AT_ONCE", 30)
        again = ForestLeaves.of(forest, x, y, None, seed=0)
        np.testing.assert_array_equal(again.leaves, leaves.leaves)
        np.testing.assert_array_equal(again.predictive(forest, x_new, pred).mean(), once.mean())

    def test_of_too_many_leaves_some_rows_are_kept(self):
        forest, (x, y), (x_new, _) = fitted(n_estimators=50), rows(), rows(100, seed=1)
        leaves = ForestLeaves.of(forest, x, y, None, seed=0, most=5000)
        assert leaves.leaves.shape == (100, 50)
        pred = forest.predict(x_new)
        mean = leaves.predictive(forest, x_new, pred).mean()
        assert 0 < np.abs(mean - pred).mean() < 0.3 * np.abs(pred.mean() - pred).mean()
        same = ForestLeaves.of(forest, x, y, None, seed=0, most=5000)
        np.testing.assert_array_equal(same.labels, leaves.labels)
        assert not np.array_equal(ForestLeaves.of(forest, x, y, None, seed=1, most=5000).labels, leaves.labels)

    def test_a_row_without_kept_neighbours_is_certain_of_the_nearest_label(self):
        forest, (x, y) = fitted(n_estimators=1), rows()
        leaves = ForestLeaves.of(forest, x, y, None, seed=0, most=3)
        pred = forest.predict(x)
        predictive = leaves.predictive(forest, x, pred)
        labels = np.sort(leaves.labels)
        alone = predictive.std() == 0
        assert alone.mean() > 0.9
        nearest = np.abs(labels - pred[:, None]).min(axis=1)
        np.testing.assert_allclose(np.abs(predictive.mean() - pred)[alone], nearest[alone], atol=1e-12)

    def test_the_weights_stay_sparse(self, monkeypatch):
        forest, (x, y) = fitted(), rows()
        leaves = ForestLeaves.of(forest, x, y, None, seed=0)
        monkeypatch.setattr(csr_array, "toarray", None)
        weights = leaves.predictive(forest, x, forest.predict(x)).weights
        assert weights.nnz < 0.2 * weights.shape[0] * weights.shape[1]


@pytest.fixture(scope="module")
def task():
    return prepare(toy_frame(600), "price")


def forest_of(task, method="vanilla", **params):
    return tailwise.fit(task, Experiment(method, model="forest", params={"n_estimators": 20, "leaves": True, **params}))


class TestFittedForest:
    def test_has_a_distribution_whose_mean_is_the_prediction(self, task):
        model, (x, _) = forest_of(task), task.rows_of("test")
        assert model.conditional is None
        np.testing.assert_allclose(model.predictive(x).mean(), model.predict(x), rtol=1e-9)

    def test_saved_and_loaded(self, task, tmp_path):
        model, (x, y) = forest_of(task), task.rows_of("test")
        model.save(tmp_path)
        again = FittedModel.load(tmp_path)
        np.testing.assert_array_equal(again.predictive(x).crps(y), model.predictive(x).crps(y))

    def test_an_altered_or_missing_file_is_refused(self, task, tmp_path):
        forest_of(task).save(tmp_path)
        file = tmp_path / "leaves.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(bytes(content))
        with pytest.raises(InputError, match=r"leaves\.safetensors was altered"):
            FittedModel.load(tmp_path)
        file.unlink()
        with pytest.raises(InputError, match="is not a complete model folder"):
            FittedModel.load(tmp_path)

    def test_a_forest_saved_without_leaves_uses_the_conditional_density(self, task, tmp_path):
        forest_of(task, "sqinv").save(tmp_path)  # as a forest of an earlier version: no leaves
        description = json.loads((tmp_path / "model.json").read_text())
        del description["reweighted"]
        assert "leaves" not in description["model"]
        (tmp_path / "model.json").write_text(json.dumps(description))
        old, (x, _) = FittedModel.load(tmp_path), task.rows_of("test")
        expected = old.conditional.predictive(old.predict(x))
        np.testing.assert_array_equal(old.predictive(x).mean(), expected.mean())


@pytest.mark.filterwarnings("ignore:.*each correct for the label distribution", "ignore:the weights are extreme")
class TestReweighting:
    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ("vanilla", False),
            ("mixture", False),
            ("conr+fds", False),
            ("isotonic", False),
            ("mixture+debias", False),
            ("cmixup", False),
            ("sqinv", True),
            ("lds", True),
            ("denseweight+mixture", True),
            ("sera", True),
            ("bmc", True),
            ("smogn", True),
            ("ro", True),
            ("rrt", True),
            ("rrt+bni", True),
            ("uvote", True),
            ("vir", True),
            ("bsam", True),
        ],
    )
    def test_methods_that_weight_or_resample(self, method, expected):
        assert compose(method).reweights is expected

    def test_own_objects(self):
        class Balancing(nn.L1Loss):
            balances = True

        assert compose("vanilla", weights=UniformWeights()).reweights
        assert compose("vanilla", loss=Balancing()).reweights
        assert not compose("vanilla", loss=nn.L1Loss()).reweights

    @pytest.mark.parametrize("method", ["sqinv", "sera", "smogn"])
    def test_a_forest_has_no_distribution_of_its_own(self, task, method, tmp_path):
        model = forest_of(task, method)
        x, _ = task.rows_of("test")
        assert model.reweighted
        assert model.model.leaves is None
        np.testing.assert_array_equal(model.predictive(x).mean(), model.conditional.predictive(model.predict(x)).mean())
        model.save(tmp_path)
        assert not (tmp_path / "leaves.safetensors").exists()
        assert FittedModel.load(tmp_path).reweighted

    @pytest.mark.parametrize("method", ["sqinv+mixture", "inv+histogram", "sqinv+pinball", "smogn+mixture", "uvote"])
    def test_a_network_uses_the_density_of_validation_rows(self, task, method):
        model = tailwise.fit(task, Experiment(method, recipe=Recipe(epochs=2, device="cpu")))
        x, _ = task.rows_of("test")
        assert model.reweighted
        known = model.predictions(x, predictive=True)
        expected = model.conditional.predictive(known.pred)
        np.testing.assert_array_equal(known.predictive.quantile(0.3), expected.quantile(0.3))

    def test_with_too_few_validation_rows_there_is_none(self):
        few = prepare(toy_frame(60), "price")
        assert few.count("val") < 20
        recipe = Recipe(epochs=1, device="cpu")
        weighted, plain = (tailwise.fit(few, Experiment(m, recipe=recipe)) for m in ("sqinv+mixture", "mixture"))
        x, _ = few.rows_of("test")
        assert plain.predictive(x).median().shape == (len(x),)
        assert weighted.predictions(x, predictive=True).predictive is None
        assert weighted.predict_std(x) is not None
        with pytest.raises(InputError, match="this model has no distributions"):
            weighted.predictive(x)
