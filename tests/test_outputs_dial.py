"""The dial of four targets and more: each target alone, tilted by the density of its own labels."""

import json

import numpy as np
import pandas as pd
import pytest

from tailwise import Experiment, InputError, Recipe, fit, prepare
from tailwise.cli.main import run
from tailwise.distributions import (
    Dial,
    Mixture,
    OutputsDial,
    SeparateTargets,
    VectorMixture,
    concatenate,
    predictive_from_arrays,
)
from tailwise.experiment.model import FittedModel
from tailwise.labels.bins import Bins

RNG = np.random.default_rng(0)
K, N = 5, 40


def labels(n=3000):
    return RNG.exponential(10.0, (n, K)) * 10.0 ** np.arange(K)


def joint():
    unit = 10.0 ** np.arange(K)
    weights = RNG.dirichlet(np.ones(3), N)
    return VectorMixture(weights, RNG.uniform(0, 40, (N, 3, K)) * unit, RNG.uniform(1, 8, (N, 3, K)) * unit)


class TestEachTargetAlone:
    @pytest.mark.parametrize("balance", [0.3, 1.0])
    def test_is_the_dial_of_that_target(self, balance):
        y, rows = labels(), joint()
        axes = [Bins.auto(y[:, k]) for k in range(K)]
        dial = OutputsDial.from_labels(y, axes)
        tilted = dial.tilted(rows, balance)
        for k in range(K):
            alone = Dial.from_labels(y[:, k], axes[k])
            expected = alone.tilted(rows.marginal(k), balance)
            np.testing.assert_array_equal(tilted.median()[:, k], expected.median())
            np.testing.assert_array_equal(tilted.marginal(k).std(), expected.std())
            decided = dial.decide(rows, balance=balance, under=3.0, over=1.0)[:, k]
            np.testing.assert_allclose(decided, alone.decide(rows.marginal(k), balance=balance, under=3.0, over=1.0))

    def test_a_balance_each(self):
        y, rows = labels(), joint()
        dial, balances = OutputsDial.from_labels(y), (0.0, 1.0, 0.5, 0.0, 0.25)
        found = dial.tilted(rows, balances)
        for k, balance in enumerate(balances):
            alone = dial.tilted(rows, balance)
            np.testing.assert_array_equal(found.marginal(k).median(), alone.marginal(k).median())
        assert dial.tilted(rows, (0.0,) * K) is rows
        for wrong, message in (((0.5, 1.0), "`balance` has 2 values, and there are 5 targets"), ((2.0,) * K, "from 0")):
            with pytest.raises(InputError, match=message):
                dial.tilted(rows, wrong)

    def test_of_labels_spread_otherwise(self):
        y, rows = labels(), joint()
        wanted = y[y[:, 0] > np.median(y[:, 0])]
        found = OutputsDial.from_labels(y).decide(rows, density=wanted)
        for k in range(K):
            alone = Dial.from_labels(y[:, k]).decide(rows.marginal(k), density=wanted[:, k])
            np.testing.assert_allclose(found[:, k], alone)

    def test_weighted_rows_count(self):
        y, rows = labels(), joint()
        weight = RNG.uniform(0, 2, len(y))
        found = OutputsDial.from_labels(y, sample_weight=weight).decide(rows, balance=1.0)
        alone = Dial.from_labels(y[:, 2], sample_weight=weight).decide(rows.marginal(2), balance=1.0)
        np.testing.assert_allclose(found[:, 2], alone)
        assert not np.allclose(found, OutputsDial.from_labels(y).decide(rows, balance=1.0))

    def test_a_balance_of_0_changes_nothing(self):
        rows = joint()
        assert OutputsDial.from_labels(labels()).tilted(rows, 0.0) is rows

    def test_is_read_back_exactly(self):
        y, rows = labels(), joint()
        dial = OutputsDial.from_labels(y)
        again = OutputsDial.from_json(json.loads(json.dumps(dial.to_json())))
        np.testing.assert_array_equal(again.decide(rows, balance=0.7), dial.decide(rows, balance=0.7))
        for ours, theirs in zip(dial.span, (y.min(axis=0), y.max(axis=0)), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda dial: OutputsDial.from_labels(np.ones(9)), "a column for each target"),
            (lambda dial: OutputsDial.from_labels(labels(), [None]), "a column for each target"),
            (lambda dial: dial.tilted(joint(), 1.5), "balance"),
            (lambda dial: dial.tilted(joint(), density=np.ones((9, 2))), r"labels \(n, 5\), got shape \(9, 2\)"),
            (lambda dial: dial.tilted(joint(), density=np.full((9, K), -1e9)), "0 on all training labels"),
        ],
    )
    def test_mistakes(self, make, message):
        with pytest.raises(InputError, match=message):
            make(OutputsDial.from_labels(labels()))


class TestSeparateTargets:
    def test_parts_are_those_that_were_given(self):
        rows = joint()
        apart = SeparateTargets([rows.marginal(k) for k in range(K)])
        np.testing.assert_array_equal(apart.quantile([0.1, 0.9]), rows.quantile([0.1, 0.9]))
        np.testing.assert_array_equal(apart.crps(rows.mean()), rows.crps(rows.mean()))
        chosen = np.arange(N) % 3 == 0
        np.testing.assert_array_equal(apart.select(chosen).mean(), rows.mean()[chosen])
        shift, scale = np.arange(K), 2.0 + np.arange(K)
        np.testing.assert_allclose(apart.affine(shift, scale).mean(), shift + scale * rows.mean())

    def test_are_saved_read_and_put_together(self):
        rows = OutputsDial.from_labels(labels()).tilted(joint(), 0.5)
        again = predictive_from_arrays(rows.kind, rows.to_arrays())
        np.testing.assert_array_equal(again.median(), rows.median())
        both = concatenate([rows.select(slice(0, 7)), rows.select(slice(7, N))])
        np.testing.assert_allclose(both.median(), rows.median())
        fewer = SeparateTargets([rows.marginal(0)])
        with pytest.raises(InputError, match="of one class"):
            concatenate([rows, fewer])

    def test_say_nothing_of_targets_together(self):
        apart = SeparateTargets([Mixture([[1.0]], [[0.0]], [[1.0]])] * 2)
        with pytest.raises(InputError, match="no joint density"):
            apart.log_score(np.zeros((1, 2)))
        with pytest.raises(InputError, match="no joint distribution to multiply by"):
            apart.tilt(lambda y: y)

    def test_have_as_many_rows(self):
        one, two = (Mixture([[1.0]] * n, [[0.0]] * n, [[1.0]] * n) for n in (1, 2))
        with pytest.raises(InputError, match=r"of as many rows, at least one of them, got rows \[1, 2\]"):
            SeparateTargets([one, two])
        with pytest.raises(InputError, match=r"got rows \[\]"):
            SeparateTargets([])


def frame(n=400):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    targets = {f"y{k}": 10.0**k * (np.exp(x[:, k % 3]) + rng.normal(0, 0.5, n)) for k in range(4)}
    return pd.DataFrame({f"x{j}": x[:, j] for j in range(3)} | targets)


NAMES = [f"y{k}" for k in range(4)]


class TestModel:
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls):
        return fit(prepare(frame(), NAMES), Experiment("mixture", recipe=Recipe(epochs=15, device="cpu")))

    def test_predicts_rare_values_higher_at_balance_1(self, model, tmp_path):
        table = frame()
        common, rare = (model.predict(table, balance=balance) for balance in (0.0, 1.0))
        top = table[NAMES].to_numpy() > table[NAMES].quantile(0.95).to_numpy()
        for k in range(4):
            assert (rare - common)[top[:, k], k].mean() > 0
        model.save(tmp_path)
        np.testing.assert_array_equal(FittedModel.load(tmp_path).predict(table, balance=1.0), rare)

    def test_predictions_stay_within_reach_of_the_labels(self, model):
        table = frame()
        table.loc[0, "x0"] = 1e9
        with pytest.warns(UserWarning, match="far"):
            pred = model.predict(table, balance=1.0)
        low, high = model.limits
        assert (pred >= low).all()
        assert (pred <= high).all()


def test_a_balance_each_needs_a_dial_each(tmp_path, capsys):
    table = frame()
    mixture = Experiment("mixture", encoder="mlp", recipe=Recipe(epochs=1, device="cpu"))
    table["same"] = 2 * table["y0"]
    many, two = (fit(prepare(table, list(names)), mixture) for names in (NAMES, ("y0", "same")))
    pred = many.predict(table, balance=(1.0, 0.0, 0.0, 0.5))
    np.testing.assert_array_equal(pred[:, 0], many.predict(table, balance=1.0)[:, 0])
    np.testing.assert_array_equal(pred[:, 3], many.predict(table, balance=0.5)[:, 3])
    with pytest.raises(InputError, match="one dial for all combinations of its 2 targets"):
        two.predict(table, balance=(1.0, 0.0))


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    data, out = tmp_path / "t.csv", tmp_path / "run"
    frame().to_csv(data, index=False)
    targets = [word for name in NAMES for word in ("-t", name)]
    words = ["train", str(data), *targets, "--epochs", "3", "--device", "cpu", "-o", str(out)]
    assert run([*words, "--balance", "0.5"]) == 2
    assert "use --method mixture" in capsys.readouterr().err
    assert run([*words, "-m", "mixture", "--balance", "0.5"]) == 0
    assert "mixture at balance 0.5" in capsys.readouterr().out
    assert [point["balance"] for point in json.loads((out / "trade_off.json").read_text())["curve"]][2] == 0.5
    page = " ".join((out / "report.html").read_text().split())
    assert "as if every value of each of y0, y1, y2, y3 were equally likely" in page
    assert "MAE on the test rows in standard deviations of the targets" in page
    assert "share a bin of the rarest label" in page
    files = [tmp_path / name for name in ("stored.csv", "half.csv", "labels.csv")]
    for file, options in zip(files, ([], ["--balance", "0.5"], ["--density", f"labels:{data}"]), strict=True):
        assert run(["predict", str(out), str(data), "-o", str(file), *options]) == 0
    columns = [f"prediction_{name}" for name in NAMES]
    stored, half, spread = (pd.read_csv(file)[columns] for file in files)
    pd.testing.assert_frame_equal(stored, half)
    each = ["predict", str(out), str(data), "-o", str(tmp_path / "each.csv"), "--overwrite"]
    assert run([*each, "--target-balance", "y0=1", "--target-balance", "y2=1", "--balance", "0.5"]) == 0
    ours, whole = (
        pd.read_csv(tmp_path / "each.csv")[columns],
        FittedModel.load(out / "model").predict(frame(), balance=1.0),
    )
    np.testing.assert_allclose(ours.to_numpy()[:, [0, 2]], whole[:, [0, 2]])
    pd.testing.assert_frame_equal(ours[columns[1]].to_frame(), half[columns[1]].to_frame())
    capsys.readouterr()
    for options, message in (
        (["--target-balance", "y9=1"], "--target-balance takes TARGET=BALANCE such as y0=0.5, got 'y9=1'"),
        (["--target-balance", "y0=high"], "such as y0=0.5, got 'y0=high'"),
        (["--target-balance", "y0=1", "--target-balance", "y0=1"], "names 'y0' twice"),
        (["--target-balance", "y0=3"], "balance must be a number from 0"),
        (["--target-balance", "y0=1", "--density", f"labels:{data}"], "give --target-balance or --density, not both"),
    ):
        assert run([*each, *options]) == 2
        assert message in capsys.readouterr().err
    # Labels spread as the training rows are: nearly those of balance 0.
    common = FittedModel.load(out / "model").predict(frame(), balance=0.0)
    assert np.abs(spread - common).mean().max() < np.abs(half - common).mean().max()
    saved = json.loads((out / "model" / "model.json").read_text())
    saved["dial"]["densities"][1]["edges"] = "wide"
    (out / "model" / "model.json").write_text(json.dumps(saved))
    capsys.readouterr()
    assert run(["predict", str(out), str(data), "-o", str(tmp_path / "p.csv")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
