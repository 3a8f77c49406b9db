"""The stack: its combiner, its folds, and what comes out of a training."""

import json
import pickle
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_limits

import tailwise
from conftest import toy_frame
from tailwise import Bins, Experiment, FittedModel, ImbalancedRegressor, InputError, Recipe, Shots, prepare
from tailwise.backends.stack import combiner as combiner_module
from tailwise.backends.stack.combiner import Combiner, CombinerRecipe
from tailwise.backends.stack.experts import EXPERTS, PLAIN
from tailwise.backends.stack.fitting import StackFitting, folds_of
from tailwise.backends.stack.stack_settings import QUALITIES, StackSettings
from tailwise.distributions import Decision, Dial, Mixture
from tailwise.experiment import quality
from tailwise.experiment.balance_choice import CANDIDATES, choose_balance
from tailwise.experiment.fit import start
from tailwise.experiment.leaderboard import CONSTANT, STACK
from tailwise.experiment.quality import default_for, experiment_for
from tailwise.metrics.region_errors import error_as_rows_come

SMALL = {"experts": ("linear", "network"), "folds": 2, "jobs": 1}
PAIR = {"experts": ("lightgbm", "network"), "folds": 2, "jobs": 1}
QUICK = Recipe(epochs=2, device="cpu")
LOW, HIGH = -5.0, 55.0  # the range of predictions that a combiner below takes


def small(**params):
    """A stack that trains in about a second."""
    return Experiment("vanilla", "stack", params={**SMALL, **params}, recipe=QUICK, balance="auto")


def noisy(n=1200, seed=0):
    """Points of one expert, the scale of the noise around them, and labels."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.0, 50.0, n)
    scale = 1.0 + 0.06 * points
    return points[:, None], scale, points + scale * rng.normal(size=n)


def fitted_combiner(columns, y, fold, **recipe):
    return Combiner.fit(
        columns, y, fold, n_experts=columns.shape[1], reach=(LOW, HIGH), recipe=CombinerRecipe(**recipe)
    )


def assert_same_mixtures(one, other):
    for name in ("weights", "means", "scales"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.fixture(scope="module")
def combiner():
    columns, _, y = noisy()
    return fitted_combiner(columns, y, np.arange(len(y)) % 3, epochs=40)


class TestCombiner:
    def test_recovers_noise_around_one_expert(self, combiner):
        columns, scale, _ = noisy(seed=1)
        rows = combiner.predictive(columns)
        assert np.abs(rows.mean() - columns[:, 0]).mean() < 0.3
        assert np.abs(rows.std() / scale - 1).mean() < 0.1
        assert np.corrcoef(rows.std(), scale)[0, 1] > 0.97

    def test_prefers_the_better_expert(self):
        columns, _, y = noisy(400)
        noise = np.random.default_rng(3).normal(scale=15.0, size=len(y))
        both = np.column_stack([columns[:, 0] + noise, columns[:, 0]])
        rows = fitted_combiner(both, y, np.arange(len(y)) % 2, epochs=50).predictive(both)
        assert np.abs(rows.mean() - columns[:, 0]).mean() < 0.2 * np.abs(noise).mean()

    def test_a_row_is_predicted_by_the_member_that_left_it_out(self):
        columns, _, y = noisy(400)
        fold = np.arange(len(y)) % 2
        reversed_labels = y.copy()
        reversed_labels[fold == 0] = y[fold == 0][::-1]
        one, other = (
            fitted_combiner(columns, labels, fold, epochs=1).out_of_fold(columns, fold).means
            for labels in (y, reversed_labels)
        )
        np.testing.assert_allclose(one[fold == 0], other[fold == 0], rtol=1e-5)
        assert np.abs(one - other)[fold == 1].max() > 1e-3

    def test_members_are_averaged_for_new_rows(self, combiner):
        columns = noisy(50)[0]
        rows = combiner.predictive(columns)
        members = [combiner.out_of_fold(columns, np.full(50, member)) for member in range(3)]
        np.testing.assert_allclose(rows.mean(), np.mean([one.mean() for one in members], axis=0), rtol=1e-6)
        np.testing.assert_allclose(rows.cdf(20.0), np.mean([one.cdf(20.0) for one in members], axis=0), atol=1e-6)

    def test_rows_are_independent_of_each_other(self, combiner, monkeypatch):
        columns, fold = noisy(101)[0], np.arange(101) % 3
        order = np.random.default_rng(0).permutation(101)
        whole, crossed = combiner.predictive(columns), combiner.out_of_fold(columns, fold)
        np.testing.assert_allclose(combiner.predictive(columns[order]).means, whole.means[order], rtol=1e-5)
        np.testing.assert_allclose(
            combiner.out_of_fold(columns[order], fold[order]).means, crossed.means[order], rtol=1e-5
        )
        monkeypatch.setattr(combiner_module, "_ROWS_AT_ONCE", 7)
        np.testing.assert_allclose(combiner.predictive(columns).means, whole.means, rtol=1e-5)
        np.testing.assert_allclose(combiner.out_of_fold(columns, fold).scales, crossed.scales, rtol=1e-5)

    def test_predictions_beyond_the_reach_are_clipped(self, combiner):
        far, ends = (np.array([[-value], [value]]) for value in (1e6, HIGH))
        ends[0] = LOW
        assert_same_mixtures(combiner.predictive(far), combiner.predictive(ends))
        assert_same_mixtures(combiner.predictive(np.array([[np.inf]])), combiner.predictive(ends[1:]))
        dial = Dial.from_labels(noisy()[2])
        for balance in (0.0, 0.5, 1.0):
            decided = Decision(balance=balance).of(combiner.predictive(far), dial)
            shift = combiner.recipe.shift * combiner.scale
            assert (decided > LOW - shift).all()
            assert (decided < HIGH + shift).all()

    def test_is_saved_bit_for_bit(self, combiner, tmp_path):
        columns, fold = noisy(60)[0], np.arange(60) % 3
        description = json.loads(json.dumps(combiner.save(tmp_path)))
        loaded = Combiner.load(tmp_path, description)
        assert [file.name for file in tmp_path.iterdir()] == ["combiner.safetensors"]
        assert_same_mixtures(loaded.predictive(columns), combiner.predictive(columns))
        assert_same_mixtures(loaded.out_of_fold(columns, fold), combiner.out_of_fold(columns, fold))
        assert loaded.recipe == combiner.recipe

    def test_does_not_depend_on_the_number_of_threads(self):
        columns, _, y = noisy(500)
        before, mixtures = torch.get_num_threads(), []
        try:
            for threads in (1, 4):
                torch.set_num_threads(threads)
                fitted = fitted_combiner(columns, y, np.arange(len(y)) % 2, epochs=3)
                mixtures.append(fitted.predictive(np.tile(columns, (10, 1))))
                assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
        assert_same_mixtures(*mixtures)

    def test_repeats_itself_and_leaves_the_global_generator_alone(self):
        columns, _, y = noisy(200)
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        one, other = (
            fitted_combiner(columns, y, np.arange(len(y)) % 2, epochs=2).predictive(columns) for _ in range(2)
        )
        assert torch.equal(torch.rand(1), expected)
        assert_same_mixtures(one, other)
        another_seed = fitted_combiner(columns, y, np.arange(len(y)) % 2, epochs=2, seed=1).predictive(columns)
        assert not np.array_equal(one.means, another_seed.means)


class TestFolds:
    def test_are_stratified_over_the_target(self):
        task = prepare(toy_frame(), "price")
        fold = folds_of(task, StackSettings(), seed=0)
        used = fold >= 0
        assert sorted(np.unique(fold[used])) == [0, 1, 2, 3]
        order = np.argsort(task.y[used])
        highest = fold[used][order[-8:]]
        assert np.ptp(np.bincount(highest, minlength=4)) <= 2
        assert np.ptp(np.bincount(fold[used])) <= 1

    def test_keep_groups_whole(self, toy):
        task = prepare(toy.assign(house=np.arange(len(toy)) // 5), "price", group="house")
        fold = folds_of(task, StackSettings(), seed=0)
        used = fold >= 0
        assert pd.Series(fold[used]).groupby(task.group[used]).nunique().max() == 1
        assert len(np.unique(fold[used])) == 4

    def test_are_no_more_than_groups(self, toy):
        task = replace(prepare(toy, "price"), group=np.arange(len(toy)) % 3)
        assert folds_of(task, StackSettings(folds=8), seed=0).max() == 2
        with pytest.raises(InputError, match="rows of at least 2 groups, got 1"):
            folds_of(replace(task, group=np.zeros(len(toy))), StackSettings(), seed=0)

    def test_leave_out_test_rows_and_masked_rows(self, toy):
        task = prepare(toy, "price", mask_target=[(40.0, 60.0)])
        fold = folds_of(task, StackSettings(), seed=0)
        assert (task.part == "masked").any()
        np.testing.assert_array_equal(fold >= 0, np.isin(task.part, ("train", "val")))

    def test_follow_the_seed(self, toy):
        task = prepare(toy, "price")
        one, same, other = (folds_of(task, StackSettings(), seed) for seed in (0, 0, 1))
        np.testing.assert_array_equal(one, same)
        assert (one != other).any()

    @pytest.mark.parametrize(("rows", "folds", "expected"), [(400, None, 4), (30, None, 3), (400, 6, 6), (12, 9, 2)])
    def test_have_at_least_ten_rows(self, rows, folds, expected):
        assert StackSettings(folds=folds).folds_for(rows) == expected


class TestSettings:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"quality": "better"}, "`quality` must be one of 'good', 'best', got 'better'"),
            ({"experts": ("network", "lightgmb")}, "an expert of a stack must be one of 'lightgbm'"),
            ({"experts": ("lightgbm", "forest")}, "must include 'network', got lightgbm, forest"),
            ({"experts": "lightgbm"}, "must include 'network', got lightgbm"),
            ({"folds": 1}, "`folds` must be"),
            ({"jobs": 0}, "`jobs` must be"),
            ({"seconds": 0}, "`seconds` must be a finite number above 0, got 0"),
            ({"fold": 3}, "a stack has no parameter 'fold'; it has quality, experts, folds"),
        ],
    )
    def test_mistakes(self, params, message):
        with pytest.raises(InputError, match=message):
            StackSettings.from_params(params)

    def test_levels_name_known_experts_and_the_plain_network(self):
        for names, _ in QUALITIES.values():
            assert PLAIN in names
            assert set(names) <= set(EXPERTS)
        assert set(quality.QUALITIES) == {"fast", *QUALITIES}

    def test_workers(self, monkeypatch):
        assert StackSettings(jobs=3).workers == 3
        assert StackSettings().workers >= 1
        monkeypatch.delattr("os.sched_getaffinity", raising=False)
        assert StackSettings(jobs=3).workers == 3

    def test_an_expert_takes_the_recipe_of_the_stack_where_it_is_given(self):
        expert = EXPERTS["network"]
        own = Recipe(criterion="mae", epochs=40)
        assert expert.recipe_for(Recipe(), 6000) == replace(own, batch_size=128, lr=2e-3)
        assert expert.recipe_for(Recipe(), 100_000).batch_size == 256
        assert expert.recipe_for(Recipe(), 2000) == own  # a default batch of 32 rows
        assert expert.recipe_for(Recipe(lr=1e-4), 6000) == replace(own, lr=1e-4)
        assert expert.recipe_for(Recipe(batch_size=64), 6000) == replace(own, batch_size=64)
        assert expert.recipe_for(Recipe(criterion="bmae", epochs=3), 50).epochs == 3
        assert expert.recipe_for(Recipe(epochs=60), 50).epochs == 60  # given, though it is the number of one network
        assert expert.recipe_for(Recipe(lr=1e-3), 6000) == replace(own, lr=1e-3)  # given, so not doubled

    def test_a_given_default_is_kept_where_it_matters(self):
        given = Recipe(epochs=60, lr=1e-3)
        stack = Experiment("vanilla", "stack", recipe=given)
        auto = Experiment("auto", recipe=given)
        assert Experiment.from_json(stack.to_json()) == stack
        assert Experiment.from_json(auto.to_json()) == auto
        assert Experiment("lds", recipe=given).to_json() == Experiment("lds").to_json()  # as older versions wrote it
        assert Experiment("lds", recipe=given).recipe.learning_rate == Recipe().learning_rate == 1e-3


class TestRefused:
    @pytest.fixture
    def task(self, toy):
        return prepare(toy, "price")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"method": "sqinv+lds"}, "without 'sqinv\\+lds'; leave it out"),
            ({"encoder": "mlp"}, "a stack has no encoder of its own; leave `encoder` out"),
            ({"params": {"experts": ("forest",)}}, "must include 'network'"),
            ({"recipe": Recipe(device="abacus")}, "`device` must be"),
            ({"recipe": Recipe(device="cpu", precision="fp16")}, "precision 'fp16' needs a GPU"),
        ],
    )
    def test_before_training(self, task, changes, message):
        experiment = replace(Experiment("vanilla", "stack"), **changes)
        with pytest.raises(InputError, match=message) as error:
            start(task, experiment)
        assert "\n" not in str(error.value)

    def test_few_rows(self, toy):
        task = prepare(toy[:32], "price", split="random")
        n = task.count("train") + task.count("val")
        assert n < 30
        with pytest.raises(InputError, match=f"a stack needs at least 30 rows to train on, got {n}"):
            start(task, experiment_for("good"))

    def test_several_targets(self, toy):
        with pytest.raises(InputError, match="predicts one target, and there are 2"):
            start(prepare(toy, ["price", "x1"]), experiment_for("good"))

    def test_experts_that_are_not_installed(self, task, monkeypatch):
        monkeypatch.setitem(sys.modules, "catboost", None)
        with pytest.raises(InputError, match=r"needs catboost: pip install 'tailwise\[catboost\]'"):
            start(task, experiment_for("best"))

    @pytest.mark.parametrize("name", ["good", "best"])
    def test_an_experiment_of_a_level(self, name):
        experiment = experiment_for(name, balance=0.5, params={"jobs": 2})
        assert experiment.params == {"quality": name, "jobs": 2}
        assert Experiment.from_json(json.loads(json.dumps(experiment.to_json()))) == experiment
        assert experiment.name == experiment.label("vanilla") == "stack at balance 0.5"
        with pytest.raises(InputError, match="`quality` must be one of 'fast', 'good', 'best'"):
            experiment_for(name.upper())

    @pytest.mark.parametrize(
        ("within", "message"), [(-1, "`within` must be a finite number of at least 0"), (np.nan, "`within`")]
    )
    def test_within(self, within, message):
        with pytest.raises(InputError, match=message):
            experiment_for("good", within=within)


class TestDefault:
    def test_a_table(self, toy):
        assert default_for(prepare(toy, "price")) == experiment_for("good")

    def test_what_a_stack_cannot_train(self, toy):
        for task in (prepare(toy, ["price", "x1"]), prepare(toy[:32], "price", split="random")):
            assert default_for(task) == Experiment("sqinv+lds")


def split_frame(seed=0):
    """The toy table with a column of its parts."""
    parts = np.random.default_rng(seed).permutation(["train"] * 90 + ["val"] * 20 + ["test"] * 40)
    return toy_frame(150).assign(split=parts)


@pytest.fixture(scope="module")
def task():
    return prepare(split_frame(), "price")


@pytest.fixture(scope="module")
def fitted(task):
    return tailwise.fit(task, small())


def predictions(model, task, part="test"):
    rows, _ = task.rows_of(part)
    return model.predict(rows), model.predictive(rows)


@pytest.mark.slow
class TestTraining:
    def test_has_a_leaderboard_and_distributions(self, fitted, task):
        names = [one.name for one in fitted.leaderboard.standings]
        assert names == [STACK, "linear", "network", CONSTANT]
        assert fitted.leaderboard.choice.balance == fitted.balance
        assert [line.split(",")[0] for line in fitted.leaderboard.verdict] == ["Against a plain network"]
        rows, _ = task.rows_of("test")
        np.testing.assert_array_equal(
            fitted.predict(rows, balance=0.7),
            Decision(balance=0.7).of(fitted.predictive(rows, balance=0.0), fitted.dial),
        )
        assert fitted.predict_interval(rows).shape == (40, 2)
        assert fitted.features(rows) is None

    def test_the_leaderboard_judges_predictions_out_of_fold(self, task):
        running = start(task, small())
        list(running.fitting.epochs())
        model, validated = running.finish()
        oof, fold = running.fitting.out_of_fold, running.fitting.fold
        assert (oof.rows == (fold >= 0)).all()
        for standing in model.leaderboard.standings[1:-1]:
            trained = [one for one in running.fitting.trained if one.expert == standing.name]
            errors = np.concatenate([np.abs(one.columns[:, 0] - task.y[fold == one.fold]) for one in trained])
            mean = sum(standing.mae[name] * (task.shots.names(task.y[oof.rows]) == name).sum() for name in standing.mae)
            assert mean == pytest.approx(errors.sum())
        constant = model.leaderboard.standings[-1]
        y = task.y[oof.rows]
        assert constant.as_rows_come == pytest.approx(error_as_rows_come(y, np.full(len(y), np.median(y)), task.shots))
        assert len(validated.pred) == task.count("val")

    def test_balance_is_within_the_error_of_the_plain_network(self, fitted):
        choice, by_name = fitted.leaderboard.choice, {one.name: one for one in fitted.leaderboard.standings}
        plain = [by_name[name].as_rows_come for name in ("network", "lightgbm") if name in by_name]
        assert choice.bound == pytest.approx(min(plain))
        stack = by_name[STACK].as_rows_come
        assert stack <= choice.bound or stack == pytest.approx(min(choice.as_rows_come))
        assert by_name[STACK].evenly == pytest.approx(choice.evenly[CANDIDATES.index(choice.balance)])

    def test_a_given_balance_is_not_chosen(self, task):
        model = tailwise.fit(task, replace(small(), balance=0.25))
        assert model.balance == 0.25
        assert model.leaderboard.choice is None

    def test_is_saved_without_pickle_and_loaded_bit_for_bit(self, fitted, task, tmp_path, monkeypatch):
        fitted.save(tmp_path)
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert {file.suffix for file in files} <= {".json", ".safetensors", ".skops", ".txt"}

        def refuse(*given, **named):
            raise AssertionError("a pickle was loaded")

        for name in ("load", "loads", "Unpickler"):
            monkeypatch.setattr(pickle, name, refuse)
        loaded = FittedModel.load(tmp_path)
        monkeypatch.undo()
        for one, other in zip(predictions(loaded, task), predictions(fitted, task), strict=True):
            if isinstance(one, np.ndarray):
                np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_array_equal(one.quantile(0.9), other.quantile(0.9))
        assert loaded.leaderboard == fitted.leaderboard
        assert loaded.predict(split_frame()[:0].drop(columns=["price", "split"])).shape == (0,)

    @pytest.mark.parametrize("name", ["0/expert.json", "combiner.safetensors", "3/preprocess.skops"])
    def test_a_file_that_is_missing_or_altered(self, fitted, tmp_path, name):
        fitted.save(tmp_path)
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(InputError, match="is not a complete model folder"):
            FittedModel.load(tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(InputError, match="is not a complete model folder"):
            FittedModel.load(tmp_path)

    def test_test_rows_and_masked_rows_are_not_used(self, fitted, task):
        frame = split_frame()
        is_test = frame["split"] == "test"
        spoilt = frame.assign(price=frame["price"].where(~is_test, 1e5), x1=frame["x1"].where(~is_test, 77.0))
        model = tailwise.fit(prepare(spoilt, "price"), small())
        np.testing.assert_array_equal(predictions(model, task)[0], predictions(fitted, task)[0])
        masked = replace(prepare(frame, "price"), part=np.where(is_test, "masked", prepare(frame, "price").part))
        model = tailwise.fit(masked, small())
        np.testing.assert_array_equal(predictions(model, task)[0], predictions(fitted, task)[0])

    def test_weights_are_those_of_the_rows_of_each_fold(self, task):
        weight = np.random.default_rng(0).exponential(size=len(task.y))
        weighted, plain = (
            tailwise.fit(replace(task, weight=given), small()).leaderboard.standings[1] for given in (weight, None)
        )
        doubled = tailwise.fit(replace(task, weight=2 * weight), small()).leaderboard.standings[1]
        assert weighted.name == "linear"
        assert weighted.as_rows_come != plain.as_rows_come
        assert weighted.as_rows_come == pytest.approx(doubled.as_rows_come)

    def test_goes_on_after_an_interruption(self, task):
        whole = start(task, small(**PAIR))
        assert len(list(whole.fitting.epochs())) == 4
        for done in (1, 3, 4):
            cut = start(task, small(**PAIR))
            epochs = cut.fitting.epochs()
            for _ in range(done):
                next(epochs)
            tensors, numbers = cut.fitting.state()
            epochs.close()
            again = start(task, small(**PAIR))
            again.fitting.restore(tensors, json.loads(json.dumps(numbers)))
            assert len(list(again.fitting.epochs())) == 4 - done
            for one, other in zip(again.fitting.trained, whole.fitting.trained, strict=True):
                assert (one.expert, one.fold) == (other.expert, other.fold)
                np.testing.assert_array_equal(one.columns, other.columns)
            models = [running.finish()[0] for running in (again, whole)]
            assert models[0].leaderboard == models[1].leaderboard
            mixtures = [predictions(model, task)[1] for model in models]
            np.testing.assert_array_equal(mixtures[0].quantile(0.3), mixtures[1].quantile(0.3))

    def test_the_state_of_another_training_is_refused(self, task):
        fitting = start(task, small()).fitting
        assert isinstance(fitting, StackFitting)
        with pytest.raises(RuntimeError, match="when epochs\\(\\) has ended"):
            _ = fitting.predictor
        with pytest.raises(InputError, match="the checkpoint does not fit this run; choose another `out`"):
            fitting.restore({}, {"trained": [{"expert": "linear", "fold": 0, "seconds": 1.0}]})

    def test_parallel_trainings_give_the_same(self, task):
        one, two = (tailwise.fit(task, small(**{**PAIR, "jobs": jobs})) for jobs in (1, 2))
        np.testing.assert_array_equal(predictions(one, task)[0], predictions(two, task)[0])
        assert one.leaderboard == two.leaderboard

    def test_experts_do_not_depend_on_the_number_of_threads(self, task):
        before, models = torch.get_num_threads(), []
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                with threadpool_limits(threads):
                    models.append(tailwise.fit(task, small(**PAIR)))
        finally:
            torch.set_num_threads(before)
        assert models[0].leaderboard == models[1].leaderboard

    @pytest.mark.parametrize("seconds", [1e-6, 1.0])
    def test_a_time_limit_ends_with_every_fold(self, task, seconds):
        slow = Recipe(epochs=100_000, patience=None, device="cpu")
        running = start(task, replace(small(**PAIR, seconds=seconds), recipe=slow))
        epochs = list(running.fitting.epochs())
        assert [(epoch.stage, epoch.epoch) for epoch in epochs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert np.isfinite(predictions(running.finish()[0], task)[0]).all()

    def test_an_error_in_an_expert_is_one_line(self, task):
        diverging = replace(small(**{**SMALL, "jobs": 2}), recipe=Recipe(epochs=2, lr=1e15, device="cpu"))
        with pytest.raises(InputError, match="smaller `lr`") as error:
            tailwise.fit(task, diverging)
        assert "\n" not in str(error.value)


def skewed_rows(seed):
    """Labels, points of a model that shrinks them, and its distributions."""
    rng = np.random.default_rng(seed)
    y = rng.exponential(10.0, 800)
    points = 4 + 0.6 * y + rng.normal(scale=2.0, size=y.size)
    return y, points, Mixture(np.ones((y.size, 1)), points[:, None], np.full((y.size, 1), 4.0))


class TestChooseBalance:
    @pytest.mark.parametrize("seed", range(4))
    def test_keeps_the_bound_and_is_the_best_within_it(self, seed):
        y, points, rows = skewed_rows(seed)
        dial, shots = Dial.from_labels(y), Shots.from_labels(y)
        plain = points + np.random.default_rng(9).normal(scale=1.0 + seed, size=y.size)
        for within in (0.0, 0.03, 0.3):
            choice = choose_balance(y, rows, dial, shots, plain=plain, within=within)
            assert choice.bound == pytest.approx(error_as_rows_come(y, plain, shots) * (1 + within))
            place = CANDIDATES.index(choice.balance)
            decided = Decision(balance=choice.balance).of(rows, dial)
            assert choice.as_rows_come[place] == pytest.approx(error_as_rows_come(y, decided, shots))
            both = choose_balance(y, rows, dial, shots, plain=np.stack([plain + 5.0, plain]), within=within)
            assert both == choice  # the lower of the two errors
            allowed = [i for i, error in enumerate(choice.as_rows_come) if error <= choice.bound]
            assert place in allowed
            assert choice.evenly[place] == min(choice.evenly[i] for i in allowed)
            why = [reason for *_, reason in choice.reasons]
            assert [i for i, reason in enumerate(why) if reason == "chosen"] == [place]
            assert [i for i, reason in enumerate(why) if reason == "higher evenly"] == [
                i for i in allowed if i != place
            ]

    @pytest.mark.parametrize("seed", range(4))
    def test_a_wider_bound_is_never_worse_evenly_over_values(self, seed):
        y, _, rows = skewed_rows(seed)
        dial, shots = Dial.from_labels(y), Shots.from_labels(y)
        choices = [choose_balance(y, rows, dial, shots, within=within) for within in (0.0, 0.02, 0.1, 0.3, 2.0)]
        errors = [choice.evenly[CANDIDATES.index(choice.balance)] for choice in choices]
        assert errors == sorted(errors, reverse=True)
        assert errors[-1] == min(choices[0].evenly)
        assert choices[0].as_rows_come == choices[-1].as_rows_come

    def test_without_a_candidate_in_the_bound_the_lowest_error_as_rows_come(self):
        y, _, rows = skewed_rows(0)
        choice = choose_balance(y, rows, Dial.from_labels(y), Shots.from_labels(y), plain=y)
        assert choice.bound == 0.0
        assert choice.balance == CANDIDATES[int(np.argmin(choice.as_rows_come))]


@pytest.mark.parametrize("seed", range(5))
def test_error_as_rows_come_is_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    y_train, y = np.minimum(rng.exponential(10.0, 300), 79.0), rng.uniform(0.0, 80.0, 60)
    pred = y + rng.normal(size=60)
    shots = Shots.from_labels(y_train, Bins.from_edges(np.arange(0.0, 85.0, 5.0)))
    total = weight = 0.0
    for low in range(0, 80, 5):
        errors = [abs(p - t) for p, t in zip(pred, y, strict=True) if low <= t < low + 5]
        n_train = sum(low <= t < low + 5 for t in y_train)
        if errors:
            total += n_train * sum(errors) / len(errors)
            weight += n_train
    assert error_as_rows_come(y, pred, shots) == pytest.approx(total / weight)


def test_error_as_rows_come_of_bins_without_training_rows():
    shots = Shots.from_labels([1.0] * 9, Bins.from_edges([0.5, 1.5, 2.5]))
    assert error_as_rows_come([2.0, 2.0], [3.0, 5.0], shots) == 2.0


GOOD = {"quality": "good", "epochs": 2, "jobs": 1, "device": "cpu", "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    frame = toy_frame(150)
    return frame[["x1", "x2", "city"]].assign(city=frame["city"].astype("category")), frame["price"]


@pytest.fixture(scope="module")
def good(rows):
    return ImbalancedRegressor(**GOOD).fit(*rows)


@pytest.mark.slow
class TestEstimator:
    def test_is_the_default(self, good, rows):
        X, y = rows
        default = ImbalancedRegressor(epochs=2, device="cpu", random_state=0).fit(X, y)
        np.testing.assert_array_equal(default.predict(X), good.predict(X))
        assert len(good.history_) == 12

    def test_save_load_and_clone(self, good, rows, tmp_path):
        X, _ = rows
        good.save(tmp_path / "m")
        loaded = ImbalancedRegressor.load(tmp_path / "m")
        for balance in (None, 0.0, 0.8):
            np.testing.assert_array_equal(loaded.predict(X, balance=balance), good.predict(X, balance=balance))
        np.testing.assert_array_equal(loaded.predict_interval(X), good.predict_interval(X))
        np.testing.assert_array_equal(loaded.predict_quantiles(X, [0.1, 0.9]), good.predict_quantiles(X, [0.1, 0.9]))
        assert loaded.get_params() == clone(good).get_params() == good.get_params()
        pickled = pickle.loads(pickle.dumps(good))
        np.testing.assert_array_equal(pickled.predict(X), good.predict(X))

    def test_the_global_generator_is_left_alone(self, rows):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        ImbalancedRegressor(**{**GOOD, "epochs": 1}).fit(*rows)
        assert torch.equal(torch.rand(1), expected)

    def test_rows_of_weight_0_are_not_seen(self, rows):
        X, y = rows
        weight = np.r_[np.ones(100), np.zeros(50)]
        spoilt = y.where(weight > 0, 1e6)
        model = ImbalancedRegressor(**{**GOOD, "epochs": 1}).fit(X, spoilt, sample_weight=weight)
        assert model.predict(X).max() < 1e4

    def test_groups_and_rows_of_the_caller(self, rows, monkeypatch):
        X, y = rows
        folds = []

        def remember(task, settings, seed):
            folds.append((task, folds_of(task, settings, seed)))
            return folds[-1][1]

        monkeypatch.setattr("tailwise.backends.stack.fitting.folds_of", remember)
        groups = np.arange(110) // 5
        model = ImbalancedRegressor(**{**GOOD, "epochs": 1})
        model.fit(X[:110], y[:110], groups=groups, eval_set=(X[110:], y[110:]))
        ((task, fold),) = folds
        assert (fold >= 0).all()
        assert len(fold) == 150
        assert pd.Series(fold).groupby(task.group).nunique().max() == 1
        assert np.isfinite(model.predict(X)).all()

    def test_fast_is_one_network_with_distributions(self, rows):
        X, y = rows
        model = ImbalancedRegressor(quality="fast", epochs=2, device="cpu", random_state=0).fit(X, y)
        assert model.model_.leaderboard is None
        assert model.model_.encoder == "mlp"
        assert model.predict_quantiles(X, [0.1, 0.9]).shape == (150, 2)
        assert np.isfinite(model.predict(X, balance=0.5)).all()

    def test_a_given_balance_and_its_bound(self, rows):
        model = ImbalancedRegressor(**{**GOOD, "epochs": 1}, balance=0.5).fit(*rows)
        assert model.model_.balance == 0.5
        wide = ImbalancedRegressor(**{**GOOD, "epochs": 1}, within=1.0).fit(*rows)
        choice = wide.model_.leaderboard.choice
        assert max(choice.as_rows_come) <= choice.bound
        assert choice.evenly[CANDIDATES.index(choice.balance)] == min(choice.evenly)

    def test_an_array_with_missing_numbers(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 2))
        X[::9, 1] = np.nan
        model = ImbalancedRegressor(**{**GOOD, "epochs": 1}).fit(X, np.exp(X[:, 0]))
        assert np.isfinite(model.predict(X)).all()


class TestEstimatorMistakes:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"quality": "good", "method": "vanilla"}, "`quality` is without `method`, `encoder` and their parameters"),
            ({"quality": "good", "encoder": "mlp"}, "`quality` is without `method`"),
            ({"quality": "fast", "encoder_params": {"widths": (8,)}}, "`quality` is without `method`"),
            ({"quality": "goood"}, "`quality` must be one of"),
            ({"jobs": 0}, "`jobs` must be"),
            ({"within": -0.1}, "`within` must be"),
            ({"balance": 2.0}, "balance"),
        ],
    )
    def test_are_told_before_training(self, params, message):
        X = np.random.default_rng(0).normal(size=(60, 2))
        with pytest.raises(InputError, match=message):
            ImbalancedRegressor(**params).fit(X, X[:, 0])

    def test_a_stack_of_few_rows(self):
        X = np.random.default_rng(0).normal(size=(29, 2))
        with pytest.raises(InputError, match="a stack needs at least 30 rows to train on, got 29"):
            ImbalancedRegressor(quality="good").fit(X, X[:, 0])
        model = ImbalancedRegressor(epochs=1, random_state=0).fit(X, X[:, 0])
        assert model.model_.leaderboard is None
        assert model.history_[0].terms


def test_auto_is_the_default_for_the_task():
    task = prepare(pd.DataFrame({"x": np.arange(200.0), "y": np.arange(200.0) ** 2}), "y")
    running = start(task, Experiment("auto", recipe=Recipe(epochs=2, seed=3)))
    assert running.experiment == experiment_for("good", Recipe(epochs=2, seed=3))
    with pytest.raises(InputError, match="'auto' is the default for a table"):
        start(task, Experiment("auto", model="lightgbm"))
    with pytest.raises(InputError, match="'auto' is the default for a task"):
        Experiment("auto").compose()


def test_a_combiner_stops_in_time():
    columns, _, y = noisy(4_000)
    fold = np.arange(len(y)) % 4
    whole, short = (
        Combiner.fit(
            columns,
            y,
            fold,
            n_experts=1,
            reach=(-1e3, 1e3),
            recipe=CombinerRecipe(epochs=40, patience=40),
            seconds=limit,
        )
        for limit in (None, 1e-6)
    )
    scores = [-one.out_of_fold(columns, fold).log_score(y).mean() for one in (whole, short)]
    assert scores[0] > scores[1]
