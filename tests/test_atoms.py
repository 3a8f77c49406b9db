"""Labels with atoms: counts and labels that often are one value, in distributions and in fitted models."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, poisson

import tailwise
from tailwise import Experiment, FittedModel, InputError, Recipe, prepare
from tailwise.distributions import Empirical, Histogram, Mixture, pit
from tailwise.distributions.atoms import MOST_VALUES, Inflated, Lattice, atoms_from_json, atoms_of, with_atoms

RNG = np.random.default_rng(0)


class TestLattice:
    @pytest.mark.parametrize(
        ("labels", "first", "last", "step"),
        [
            ([0, 1, 5, 3], 0, 5, 1),
            ([1, 2, 3, 40], 1, 43, 1),
            ([-10, 0, 10, 20], -10, 20, 10),
            ([-50, -49, 50], -60, 60, 1),
            ([1.5, 2.0, 4.5], 1.5, 4.5, 0.5),
            ([0.1, 0.2, 0.4, 0.7], 0.1, 0.7, 0.1),
        ],
    )
    def test_of_labels(self, labels, first, last, step):
        values = Lattice.from_labels(labels).values
        assert (values[0], values[-1]) == pytest.approx((first, last))
        np.testing.assert_allclose(np.diff(values), step)
        assert np.isin(labels, values).all()

    def test_labels_on_none(self):
        for labels in (RNG.normal(size=50), [0.0, 1.0, 2.5, np.pi], np.arange(0, 2 * MOST_VALUES + 2), [3.0, 3.0]):
            assert Lattice.from_labels(labels) is None

    def test_masses_are_those_between_the_middles(self):
        rows = Mixture([[0.3, 0.7], [1.0, 0.0]], [[0.2, 3.0], [1.0, 1.0]], [[0.4, 1.3], [0.0, 1.0]])
        on = Lattice(np.arange(5.0)).of(rows)
        for k in range(5):
            low, high = (-np.inf if k == 0 else k - 0.5), (np.inf if k == 4 else k + 0.5)
            expected = sum(
                w * (norm.cdf(high, m, s) - norm.cdf(low, m, s)) for w, m, s in ((0.3, 0.2, 0.4), (0.7, 3.0, 1.3))
            )
            assert float(on.weights.toarray()[0, k]) == pytest.approx(expected, abs=1e-12)
        assert on.median().tolist() == [2.0, 1.0]

    def test_rounding_a_gaussian_is_calibrated(self):
        mean, scale = RNG.uniform(0, 20, 4000), RNG.uniform(0.1, 3, 4000)
        y = np.rint(RNG.normal(mean, scale)).clip(0, 20)
        on = Lattice(np.arange(21.0)).of(Mixture(np.ones((4000, 1)), mean[:, None], scale[:, None]))
        counts, _ = np.histogram(pit(on, y), 10, (0, 1))
        assert np.abs(counts / 4000 - 0.1).max() < 0.02
        for k in (3, 10):
            assert on.above(k).mean() == pytest.approx((y > k).mean(), abs=0.015)
        inner = (scale > 1) & (np.abs(mean - 10) < 10 - 4 * scale)
        np.testing.assert_allclose(on.std()[inner] ** 2, scale[inner] ** 2 + 1 / 12, rtol=2e-3)


class TestInflated:
    LABELS = np.r_[np.zeros(300), RNG.exponential(5.0, 700)]

    def test_of_labels(self):
        lowest = Inflated.from_labels(self.LABELS)
        assert (lowest.value, lowest.side) == (0.0, "lowest")
        assert 0 < lowest.reach < 0.3
        assert Inflated.from_labels(-self.LABELS).side == "highest"
        assert Inflated.from_labels(np.r_[self.LABELS, -self.LABELS]).side == "inner"
        assert Inflated.from_labels(np.r_[np.zeros(9), RNG.normal(size=100)]) is None
        assert Inflated.from_labels(RNG.normal(size=5)) is None
        assert atoms_of(RNG.normal(size=100)) is None
        assert isinstance(atoms_of(RNG.poisson(3.0, 100)), Lattice)

    @pytest.mark.parametrize("side", ["lowest", "inner", "highest"])
    def test_the_rest_keeps_its_shape(self, side):
        weights, means, scales = [[0.4, 0.35, 0.25]], [[0.0, 6.0, -5.0]], [[0.01, 2.0, 1.0]]
        rows, atoms = Mixture(weights, means, scales), Inflated(0.0, 0.1, side, 1000.0, 0.2, 0.8)
        on = atoms.of(rows)
        at, below = float(on.cdf(0.0)[0] - on.below(0.0)[0]), float(on.below(0.0)[0])
        near = {
            "lowest": rows.cdf(0.1),
            "inner": rows.cdf(0.1) - rows.below(-0.1),
            "highest": rows.above(-0.1),
        }[side][0]
        assert at == pytest.approx(1 / (1 + np.exp(-0.2 - 0.8 * np.log(near / (1 - near)))))
        assert at + below + float(on.above(0.0)[0]) == pytest.approx(1.0)
        if side == "lowest":
            assert below == 0
            expected = norm.sf(8, 6, 2) / norm.sf(0, 6, 2)
            assert float(on.above(8.0)[0]) / (1 - at) == pytest.approx(expected, rel=1e-4)
        if side == "highest":
            assert float(on.above(0.0)[0]) == 0
        if side == "inner":
            assert isinstance(on, Mixture)
        assert np.isfinite(on.crps([1.0])).all()
        assert float(on.quantile(below + at / 2)[0]) == 0.0

    def test_rows_that_are_certain(self):
        atoms = Inflated(0.0, 0.1, "lowest", 100.0)
        on = atoms.of(Mixture([[1.0], [1.0], [1.0]], [[0.0], [50.0], [-30.0]], [[0.001], [0.5], [1.0]]))
        np.testing.assert_allclose(on.above(0.0), [0.0, 1.0, 0.0], atol=2e-6)
        assert on.median().tolist() == pytest.approx([0.0, 50.0, 0.0], abs=1e-3)

    def test_the_fitted_chance_adds_up(self):
        chance = RNG.uniform(0.02, 0.98, 5000)
        y = np.where(RNG.random(5000) < chance**2, 0.0, RNG.exponential(4.0, 5000))
        rows = Mixture(
            np.stack([chance, 1 - chance], 1), np.tile([0.0, 5.0], (5000, 1)), np.tile([0.02, 1.5], (5000, 1))
        )
        atoms = Inflated.from_labels(y).calibrated(rows, y, np.ones(5000))
        on = atoms.of(rows)
        zero = 1 - on.above(0.0)
        assert zero.sum() == pytest.approx((y == 0).sum(), rel=0.002)
        for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
            part = (chance > low) & (chance <= high)
            assert zero[part].mean() == pytest.approx((y == 0)[part].mean(), abs=0.03)
        raw = 1 - Inflated.from_labels(y).of(rows).above(0.0)
        assert abs(raw.sum() / (y == 0).sum() - 1) > 0.2  # without the fit it does not

    def test_held_out_rows_are_judged_by_the_others(self):
        rows = Mixture(np.ones((50, 1)), RNG.normal(3, 1, (50, 1)), np.ones((50, 1)))
        y = np.where(np.arange(50) % 5 == 0, 0.0, 3.0)  # the first fold is all zeros, and does not know it
        atoms = Inflated(0.0, 0.5, "lowest", 100.0)
        on = with_atoms(atoms, rows, y, np.ones(50))
        others = atoms.calibrated(rows.select(y != 0), y[y != 0], np.ones(40))
        np.testing.assert_allclose(on.above(0.0)[y == 0], others.of(rows.select(y == 0)).above(0.0))
        assert len(on) == 50

    def test_other_classes_stay_as_they_are(self):
        rows = Histogram([0, 1, 2], [[0.5, 0.5]])
        atoms = Inflated(0.0, 0.1, "lowest", 100.0)
        assert atoms.of(rows) is rows
        assert atoms.calibrated(rows, [0.0], [1.0]) is atoms

    def test_bad_input(self):
        with pytest.raises(InputError, match="side must be one of"):
            Inflated(0.0, 0.1, "left", 100.0)
        with pytest.raises(InputError, match="reach must be above 0"):
            Inflated(0.0, 0.0, "lowest", 100.0)

    def test_saved_and_read(self):
        for atoms in (Inflated(0.0, 0.1, "lowest", 100.0, 0.3, 0.9), Lattice(np.arange(4.0))):
            again = atoms_from_json(json.loads(json.dumps(atoms.to_json())))
            assert again.to_json() == atoms.to_json()


def counts(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    rate = np.exp(0.5 + 0.7 * x[:, 0])
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": rng.poisson(rate).astype(float)}), rate


def rainfall(n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    dry = 1 / (1 + np.exp(-0.5 - 1.5 * x[:, 1]))
    rain = rng.gamma(1.5, 2.0 * np.exp(0.5 * x[:, 0]))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(rng.random(n) < dry, 0.0, rain)}), dry


MODELS = {
    "linear": Experiment("vanilla", model="linear"),
    "mixture": Experiment("mixture", recipe=Recipe(epochs=15, device="cpu")),
    "corrected": Experiment("mixture+isotonic", recipe=Recipe(epochs=8, device="cpu")),
}


@pytest.fixture(scope="module")
def fitted():
    models = {}

    def model(kind, name):
        if (kind, name) not in models:
            task = prepare({"counts": counts, "rain": rainfall}[kind](3000)[0], "y", split="random")
            models[kind, name] = task, tailwise.fit(task, MODELS[name])
        return models[kind, name]

    return model


@pytest.mark.parametrize(
    "name", ["linear", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mixture", "corrected"))]
)
class TestCounts:
    def test_every_decision_is_a_label(self, name, fitted):
        task, model = fitted("counts", name)
        rows, _ = task.rows_of("test")
        assert isinstance(model.predictive(rows), Empirical)
        for decision in ({"balance": 0.0}, {"balance": 1.0}, {"quantile": 0.9}, {"under": 3, "over": 1}):
            pred = model.predict(rows, **decision)
            np.testing.assert_array_equal(pred, np.rint(pred))
            assert pred.min() >= 0
        ends = model.predict_interval(rows, balance=0.0)
        np.testing.assert_array_equal(ends, np.rint(ends))
        known = model.predictions(rows, predictive=True)
        if known.std is not None:
            np.testing.assert_allclose(known.std, known.predictive.std())

    def test_saved_and_loaded(self, name, fitted, tmp_path):
        for kind in ("counts", "rain"):
            task, model = fitted(kind, name)
            folder = tmp_path / kind
            folder.mkdir()
            model.save(folder)
            again, (rows, _) = FittedModel.load(folder), task.rows_of("test")
            np.testing.assert_array_equal(again.predict(rows, balance=0.5), model.predict(rows, balance=0.5))
            ours, theirs = (one.predict_interval(rows, balance=0.5) for one in (again, model))
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
class TestCalibration:
    @pytest.mark.parametrize("name", ["mixture", "linear"])
    def test_of_counts(self, name, fitted):
        _, model = fitted("counts", name)
        frame, rate = counts(4000, seed=1)
        predictive, y = model.predictive(frame[["a", "b"]]), frame["y"].to_numpy()
        shares, _ = np.histogram(pit(predictive, y), 10, (0, 1))
        assert np.abs(shares / 4000 - 0.1).max() < 0.06
        blurred = replace(model, atoms=None).predictive(frame[["a", "b"]])
        assert predictive.crps(y).mean() < blurred.crps(y).mean()
        for k in (0, 2, 5):
            chance = predictive.above(k)
            assert chance.mean() == pytest.approx((y > k).mean(), abs=0.06)
            assert np.abs(chance - poisson.sf(k, rate)).mean() < 0.08
            np.testing.assert_allclose(chance, blurred.above(k + 0.5), atol=1e-9)

    @pytest.mark.parametrize("name", ["mixture", "linear", "corrected"])
    def test_of_rainfall(self, name, fitted):
        _, model = fitted("rain", name)
        frame, dry = rainfall(4000, seed=1)
        predictive, y = model.predictive(frame[["a", "b"]]), frame["y"].to_numpy()
        wet = predictive.above(0.0)
        assert (predictive.below(0.0) == 0).all()
        assert wet.mean() == pytest.approx((y > 0).mean(), abs=0.05)  # of some 400 held-out rows
        groups = np.digitize(wet, [0.2, 0.4, 0.6, 0.8])
        for group in np.unique(groups):
            rows = groups == group
            if rows.sum() > 200:
                assert wet[rows].mean() == pytest.approx((y > 0)[rows].mean(), abs=0.15)
        if name == "mixture":
            assert np.abs(wet - (1 - dry)).mean() < 0.1
        median = model.predict(frame[["a", "b"]], balance=0.0)
        np.testing.assert_array_equal(median == 0, wet <= 0.5)
        if name != "corrected":  # isotonic regression is constant beyond the held-out predictions: too light a tail
            shares, _ = np.histogram(pit(predictive, y), 10, (0, 1))
            assert np.abs(shares / 4000 - 0.1).max() < 0.05
