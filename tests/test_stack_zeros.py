"""A stack on a target with many zeros: its chance of 0, and its density of labels above 0."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm

from tailwise import Experiment, FittedModel, ImbalancedRegressor, InputError, Recipe, evaluate, fit, prepare
from tailwise.backends.stack.experts import EXPERTS
from tailwise.backends.stack.fitting import StackFitting, folds_of
from tailwise.backends.stack.hurdle_experts import enough_of_both, has_many_zeros, hurdle_experts, seen_by
from tailwise.backends.stack.stack_settings import StackSettings
from tailwise.backends.stack.trained_fold import without_fold
from tailwise.backends.stack.zero_chance import ZeroChance
from tailwise.cli.flags import with_flags
from tailwise.distributions import Mixture
from tailwise.distributions.above_zero import zero_or_above
from tailwise.estimators.described_experiment import experiment_of
from tailwise.search.aim import Aim
from tailwise.search.space import Space
from tailwise.search.study import Search

SMALL = {"experts": ("linear", "network"), "folds": 2, "jobs": 1}
QUICK = Recipe(epochs=2, device="cpu")


def payments(n, seed=0):
    """80 % of the rows pay nothing; whether one pays depends on x, how much on z."""
    rng = np.random.default_rng(seed)
    x, z, other = rng.normal(size=(3, n))
    pays = rng.random(n) < expit(-2.1 + 1.5 * x)
    paid = np.where(pays, np.exp(3 + 0.7 * z + 0.4 * rng.normal(size=n)), 0.0)
    return pd.DataFrame({"x": x, "z": z, "other": other, "paid": paid})


def small(**changes):
    return Experiment("vanilla", "stack", params=SMALL, recipe=QUICK, balance="auto", **changes)


@pytest.fixture(scope="module")
def task():
    return prepare(payments(500), "paid", split="random")


class TestDistribution:
    above = Mixture([[0.3, 0.7], [0.5, 0.5]], [[-1.0, 5.0], [2.0, 30.0]], [[2.0, 3.0], [0.5, 8.0]])

    def test_is_the_closed_form(self):
        known = zero_or_above([0.8, 0.1], self.above, far=1e4)
        for row, zero in enumerate((0.8, 0.1)):
            weights, means, scales = (getattr(self.above, name)[row] for name in ("weights", "means", "scales"))
            mass = weights @ norm.sf(0, means, scales)
            density = (1 - zero) * (weights @ norm.pdf(4.0, means, scales)) / mass
            beyond = (1 - zero) * (weights @ norm.sf(4.0, means, scales)) / mass
            one = known.select([row])
            assert one.log_score([4.0])[0] == pytest.approx(-np.log(density))
            assert one.log_score([0.0])[0] == pytest.approx(-np.log(zero))
            assert one.above(4.0)[0] == pytest.approx(beyond)
        np.testing.assert_allclose(known.cdf(0.0) + known.above(0.0), 1, rtol=1e-12)
        assert known.below(0.0).max() == 0
        assert np.isposinf(known.log_score([-1.0, -1.0])).all()

    def test_a_mixture_without_mass_above_0_is_certain_of_0(self):
        known = zero_or_above([0.2], Mixture([[1.0]], [[-50.0]], [[1.0]]), far=10.0)
        assert known.cdf(0.0).tolist() == [1.0]
        assert known.mean().tolist() == [0.0]

    @pytest.mark.parametrize(
        ("chance", "far"), [([0.5], 1.0), ([0.5, 1.5], 1.0), ([0.5, -0.1], 1.0), ([0.5, 0.5], 0.0)]
    )
    def test_mistakes(self, chance, far):
        with pytest.raises(InputError):
            zero_or_above(chance, self.above, far)


class TestZeroChance:
    def rows(self, n=400):
        rng = np.random.default_rng(1)
        truth = rng.normal(scale=2.0, size=n)
        chances = expit(np.column_stack([2 * truth + 1, truth + rng.normal(size=n)]))
        return chances, rng.random(n) < expit(truth), np.arange(n) % 3, rng.uniform(0.5, 2.0, n)

    def test_is_the_largest_penalized_likelihood(self):
        chances, is_zero, fold, weight = self.rows()
        fitted = ZeroChance.fit(chances, is_zero, fold, weight)
        columns = np.column_stack([np.ones(len(fold)), logit(np.clip(chances, 0.005, 0.995))])

        def loss(beta, used):
            p = expit(columns[used] @ beta)
            score = weight[used] / weight.mean() * np.log(np.where(is_zero[used], p, 1 - p))
            return -score.sum() + ((beta - [0.0, 0.5, 0.5]) ** 2).sum() / 2

        for number in range(3):
            reference = minimize(loss, np.array([0.0, 0.5, 0.5]), (fold != number,), tol=1e-10).x
            np.testing.assert_allclose(fitted.coefficients[number], reference, atol=1e-4)

    def test_a_row_is_judged_by_the_member_that_left_it_out(self):
        chances, is_zero, fold, _ = self.rows()
        other = np.where(fold == 0, ~is_zero, is_zero)
        one, two = (ZeroChance.fit(chances, labels, fold).out_of_fold(chances, fold) for labels in (is_zero, other))
        np.testing.assert_array_equal(one[fold == 0], two[fold == 0])
        assert np.abs(one - two)[fold > 0].max() > 0.05

    def test_forward_in_time_it_knows_earlier_folds_alone(self):
        chances, is_zero, fold, _ = self.rows()
        fold = np.sort(fold)
        later = np.where(fold == 2, ~is_zero, is_zero)
        one, two = (ZeroChance.fit(chances, labels, fold, forward=True) for labels in (is_zero, later))
        np.testing.assert_array_equal(one.coefficients, two.coefficients)

    def test_is_saved_bit_for_bit(self):
        chances, is_zero, fold, weight = self.rows()
        fitted = ZeroChance.fit(chances, is_zero, fold, weight)
        loaded = ZeroChance.from_json(json.loads(json.dumps(fitted.to_json())))
        np.testing.assert_array_equal(loaded.chance(chances), fitted.chance(chances))

    def test_chances_outside_0_to_1_and_labels_of_one_kind_stay_finite(self):
        chances, _, fold, _ = self.rows()
        fitted = ZeroChance.fit(3 * chances - 1, np.ones(len(fold), dtype=bool), fold)
        assert (fitted.chance(3 * chances - 1) > 0.9).all()
        assert np.isfinite(fitted.coefficients).all()


class TestExperts:
    def fold(self, task):
        return folds_of(task, StackSettings.from_params(SMALL), 0)

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            (lambda y: y, True),
            (lambda y: y - 1, False),  # negative labels
            (lambda y: np.where(y == 0, np.arange(len(y)) % 7 + 0.1, y), False),  # no zeros
            (lambda y: np.round(np.minimum(y, 50)), False),  # counts
        ],
    )
    def test_which_targets_have_a_hurdle(self, task, labels, expected):
        changed = replace(task, y=labels(task.y))
        assert has_many_zeros(changed, self.fold(task)) is expected

    @pytest.mark.parametrize("few", ["zeros", "labels above 0"])
    def test_folds_with_too_few_of_one_kind(self, task, few):
        fold = self.fold(task)
        assert enough_of_both(task, fold)
        rows = np.flatnonzero((fold == 1) & ((task.y == 0) if few == "zeros" else (task.y > 0)))[9:]
        y = task.y.copy()
        y[rows] = np.linspace(1, 2, len(rows)) if few == "zeros" else 0.0
        assert not enough_of_both(replace(task, y=y), fold)

    def test_a_training_says_once_that_it_has_a_hurdle(self):
        rows = prepare(payments(500), "paid", split="random")
        settings = StackSettings.from_params(SMALL)
        assert all(StackFitting(rows, QUICK, settings).hurdle for _ in range(2))
        (note,) = [note for note in rows.notes if note.startswith("stack:")]
        zeros = (rows.y[np.isin(rows.part, ["train", "val"])] == 0).mean()
        assert f"{zeros:.0%} of the labels are 0" in note
        assert "--set model.hurdle=false turns that off" in with_flags(note)

    def test_is_turned_off(self):
        rows = prepare(payments(500), "paid", split="random")
        off = StackFitting(rows, QUICK, StackSettings.from_params(SMALL | {"hurdle": False}))
        assert not off.hurdle
        assert [expert.name for expert in off.experts] == ["linear", "network"]
        assert not any(note.startswith("stack:") for note in rows.notes)

    def test_an_estimator_turns_it_off(self):
        def experiment(**given):
            return experiment_of(ImbalancedRegressor(**given), 400, 0)

        assert "hurdle" not in experiment().params
        assert experiment(hurdle=False).params == {"quality": "good", "hurdle": False}
        assert experiment(hurdle=False, quality="best", jobs=1).params["hurdle"] is False
        for one_network in ({"quality": "fast"}, {"method": "vanilla"}, {"encoder": "mlp"}):
            with pytest.raises(InputError, match="`hurdle=False` is for a stack, and one network is trained"):
                experiment(hurdle=False, **one_network)
        with pytest.raises(InputError, match="`hurdle` must be true or false, got 'no'"):
            experiment(hurdle="no")

    def test_a_search_says_so_without_a_setting_that_it_lacks(self, task, tmp_path):
        pytest.importorskip("optuna", reason="the extra `tune` is not installed")
        rows = replace(task, notes=["known"])

        def notes(model):
            space, folder = Space.of([], model, []), tmp_path / model
            folder.mkdir()
            found = Search(rows, space, Aim("bmae", None), QUICK, settings={}, folder=folder)
            return found.notes_on_training()

        assert notes("network") == []
        (note,) = notes("stack")
        assert note.endswith("the chance of 0 is learned apart from the labels above 0")

    def test_a_checkpoint_of_a_stack_without_a_hurdle_is_refused(self, task):
        without = StackFitting(task, QUICK, StackSettings.from_params(SMALL | {"hurdle": False}))
        next(without.epochs())
        with pytest.raises(InputError, match="the checkpoint does not fit this run"):
            StackFitting(task, QUICK, StackSettings.from_params(SMALL)).restore(*without.state())

    def test_a_setting_that_is_not_true_or_false(self):
        with pytest.raises(InputError, match=r"`model\.hurdle` must be true or false, got 'no'"):
            StackSettings.from_params({"hurdle": "no"})

    def test_a_training_says_that_rows_are_too_few(self):
        small_task = prepare(payments(70), "paid", split="random")
        assert not StackFitting(small_task, QUICK, StackSettings.from_params(SMALL)).hurdle
        assert "the chance of 0 is not learned apart" in small_task.notes[-1]

    def test_what_each_learns_from(self, task):
        fold = self.fold(task)
        plain, *_, whether, linear, network = hurdle_experts([EXPERTS["linear"], EXPERTS["network"]])
        assert [linear.name, network.name] == ["linear above 0", "network above 0"]
        assert without_fold(*seen_by(plain, task, fold), 0).y is task.y
        inner = without_fold(*seen_by(whether, task, fold), 0)
        np.testing.assert_array_equal(inner.rows_of("val")[1], task.y[fold == 0] == 0)
        inner = without_fold(*seen_by(linear, task, fold), 0)
        np.testing.assert_array_equal(inner.rows_of("val")[1], task.y[(fold == 0) & (task.y > 0)])
        np.testing.assert_array_equal(inner.rows_of("train")[1], task.y[(fold == 1) & (task.y > 0)])


@pytest.fixture(scope="module", params=[None, "log1p"])
def fitted(task, request):
    return fit(task, small(transform=request.param))


@pytest.mark.slow
class TestTraining:
    def test_every_distribution_has_a_chance_of_0_and_nothing_below(self, fitted, task):
        known = fitted.predictive(task.rows_of("test")[0])
        np.testing.assert_allclose(known.cdf(0.0) + known.above(0.0), 1, rtol=1e-12)
        assert known.below(0.0).max() == 0
        assert (known.cdf(0.0) > 0).all()
        assert (known.above(0.0) > 0).all()

    def test_the_dial_acts(self, fitted, task):
        rows = task.rows_of("test")[0]
        means = [fitted.predict(rows, balance=balance, loss="squared").mean() for balance in (0.0, 0.5, 1.0)]
        assert means[0] < means[1] < means[2]
        assert fitted.predict(rows, balance=1.0).min() >= 0

    def test_zeros_are_reported_apart(self, fitted, task):
        regions = evaluate(fitted, task, resamples=0).regions
        y = task.rows_of("test")[1]
        assert regions["exactly 0"].n == (y == 0).sum()
        assert regions["other than 0"].n == (y > 0).sum()

    def test_is_saved_and_loaded_bit_for_bit(self, fitted, task, tmp_path):
        rows = task.rows_of("test")[0]
        one, two = tmp_path / "one", tmp_path / "two"
        one.mkdir()
        two.mkdir()
        fitted.save(one)
        loaded = FittedModel.load(one)
        loaded.save(two)
        files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
        assert files == sorted(path.relative_to(two) for path in two.rglob("*") if path.is_file())
        for file in files:
            assert (one / file).read_bytes() == (two / file).read_bytes(), file
        for balance in (None, 0.0, 1.0):
            np.testing.assert_array_equal(loaded.predict(rows, balance=balance), fitted.predict(rows, balance=balance))
        known, again = (model.predictive(rows) for model in (fitted, loaded))
        np.testing.assert_array_equal(again.above(0.0), known.above(0.0))
        np.testing.assert_array_equal(again.quantile([0.1, 0.85, 0.99]), known.quantile([0.1, 0.85, 0.99]))
        np.testing.assert_array_equal(again.mean(), known.mean())
        np.testing.assert_array_equal(loaded.held_out.distributions.mean(), fitted.held_out.distributions.mean())

    def test_goes_on_after_an_interruption(self, task):
        settings = StackSettings.from_params(SMALL)
        whole, stopped = (StackFitting(task, QUICK, settings) for _ in range(2))
        every = list(whole.epochs())
        epochs = stopped.epochs()
        for _ in range(5):
            next(epochs)
        continued = StackFitting(task, QUICK, settings)
        continued.restore(*stopped.state())
        assert len(list(continued.epochs())) == len(every) - 5
        rows = task.rows_of("test")[0]
        one, two = (
            running.predictor.outputs(next(running.inputs.pieces(task.schema, rows)), predictive=True).predictive
            for running in (whole, continued)
        )
        np.testing.assert_array_equal(one.above(0.0), two.above(0.0))
        np.testing.assert_array_equal(one.mean(), two.mean())

    def test_time_looks_forward(self):
        frame = payments(900).assign(day=pd.date_range("2026-01-01", periods=900).astype(str))
        by_time = prepare(frame, "paid", time="day")
        model = fit(by_time, small())
        known = model.predictive(by_time.rows_of("test")[0])
        np.testing.assert_allclose(known.cdf(0.0) + known.above(0.0), 1, rtol=1e-12)
        assert known.below(0.0).max() == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_chance_of_0_is_calibrated_and_the_distributions_are_better_than_with_an_atom_alone(seed):
    """Against the stack without a hurdle, whose mixture gets an atom at 0 afterwards."""
    rows, new = prepare(payments(700, seed), "paid", split="random", seed=seed), payments(4000, 100 + seed)
    y = new["paid"].to_numpy()
    settings = {"experts": ("lightgbm", "network"), "folds": 3, "jobs": 1}
    experiment = Experiment("vanilla", "stack", params=settings, recipe=Recipe(epochs=15, seed=seed), balance=0.0)
    hurdle = fit(rows, experiment)
    atom = fit(rows, replace(experiment, params=settings | {"hurdle": False}))
    ours, theirs = (model.predictive(new) for model in (hurdle, atom))
    assert ours.crps(y).mean() < theirs.crps(y).mean()
    assert ours.log_score(y).mean() < theirs.log_score(y).mean()

    held = hurdle.held_out  # out of fold
    zero = held.distributions.cdf(0.0)
    for part in np.array_split(np.argsort(zero), 4):
        error = np.sqrt((zero[part] * (1 - zero[part])).sum()) / len(part)  # of the fraction, if the chances are right
        assert abs((held.y[part] == 0).mean() - zero[part].mean()) < 3 * error
