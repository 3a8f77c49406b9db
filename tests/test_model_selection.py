import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from tailwise import Bins, InputError, Shots
from tailwise.metrics.errors import balanced_mean_absolute_error
from tailwise.model_selection import (
    SCORERS,
    StratifiedRegressionGroupKFold,
    StratifiedRegressionKFold,
    region_error,
    region_scorers,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 3))
Y = 10 * np.exp(X[:, 0]) + RNG.normal(size=600)


def folds_of(folds, y, groups=None):
    return [test for _, test in folds.split(np.zeros((len(y), 1)), y, groups)]


class TestFolds:
    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.integers(0, 5), min_size=7, max_size=60), st.integers(2, 7), st.booleans(), st.integers(0, 9))
    def test_every_row_is_tested_once_and_neighbours_are_shared(self, labels, k, shuffle, seed):
        y = np.array(labels, dtype=float)
        tests = folds_of(StratifiedRegressionKFold(k, shuffle=shuffle, random_state=seed), y)
        assert sorted(np.concatenate(tests).tolist()) == list(range(len(y)))
        for value in range(6):
            held = [int((y[test] <= value).sum()) for test in tests]
            assert max(held) - min(held) <= 1

    def test_a_region_with_as_many_rows_as_folds_is_in_every_fold(self):
        y = np.concatenate([RNG.normal(0, 1, 500), np.full(5, 80.0), np.full(5, -70.0)])
        for test in folds_of(StratifiedRegressionKFold(5, random_state=1), y):
            assert (y[test] == 80).sum() == (y[test] == -70).sum() == 1

    def test_seeds(self):
        folds = [folds_of(StratifiedRegressionKFold(5, random_state=seed), Y) for seed in (0, 0, 1)]
        assert all(np.array_equal(a, b) for a, b in zip(folds[0], folds[1], strict=True))
        assert any(not np.array_equal(a, b) for a, b in zip(folds[0], folds[2], strict=True))

    def test_groups_stay_together_and_rare_values_are_spread(self):
        groups = np.repeat(np.arange(200), 3)
        y = np.where(groups % 20 == 0, 90.0, RNG.normal(10, 2, 600))
        tests = folds_of(StratifiedRegressionGroupKFold(5, random_state=0), y, groups)
        assert sorted(np.concatenate(tests).tolist()) == list(range(600))
        seen = [set(groups[test]) for test in tests]
        assert not any(a & b for i, a in enumerate(seen) for b in seen[:i])
        assert [(y[test] == 90).sum() for test in tests] == [6] * 5

    @pytest.mark.parametrize(
        ("make", "y", "groups", "said"),
        [
            (lambda: StratifiedRegressionKFold(1), Y, None, "n_splits"),
            (lambda: StratifiedRegressionKFold(5), Y[:4], None, "y has 4 rows, fewer than the 5 folds"),
            (lambda: StratifiedRegressionKFold(5), None, None, "y is missing"),
            (lambda: StratifiedRegressionKFold(5), np.where(Y > 5, np.nan, Y), None, "NaN"),
            (lambda: StratifiedRegressionGroupKFold(5), Y, None, "groups is missing"),
            (lambda: StratifiedRegressionGroupKFold(5), Y, np.zeros(600), "1 groups, fewer than the 5 folds"),
        ],
    )
    def test_mistakes(self, make, y, groups, said):
        with pytest.raises(InputError, match=said):
            list(make().split(X if y is None else X[: len(y)], y, groups))

    def test_constant_targets(self):
        groups = np.arange(20) // 2
        assert len(folds_of(StratifiedRegressionGroupKFold(5), np.ones(20), groups)) == 5
        assert len(folds_of(StratifiedRegressionKFold(5), np.ones(20))) == 5


class TestScorers:
    def test_are_the_negative_errors(self):
        scorers = region_scorers(Y)
        model = Ridge().fit(X, Y)
        pred, shots = model.predict(X), Shots.from_labels(Y, Bins.auto(Y))
        assert set(scorers) == set(SCORERS) - {"zero_shot_mae"}
        assert scorers["mae"](model, X, Y) == pytest.approx(-np.abs(pred - Y).mean())
        assert scorers["balanced_mae"](model, X, Y) == pytest.approx(-balanced_mean_absolute_error(Y, pred, shots.bins))
        few = shots.codes(Y) == 2
        assert scorers["few_shot_mae"](model, X, Y) == pytest.approx(-np.abs(pred - Y)[few].mean())
        assert scorers["sera"](model, X, Y) < 0
        again = pickle.loads(pickle.dumps(scorers["few_shot_mae"]))
        assert again(model, X, Y) == scorers["few_shot_mae"](model, X, Y)

    def test_choose_by_region(self):
        search = GridSearchCV(
            Ridge(),
            {"alpha": [0.1, 1e6]},
            scoring=region_scorers(Y),
            refit="few_shot_mae",
            cv=StratifiedRegressionKFold(4, random_state=0),
        ).fit(X, Y)
        assert search.best_params_ == {"alpha": 0.1}
        scores = cross_val_score(
            DummyRegressor(), X, Y, cv=StratifiedRegressionKFold(4), scoring=region_scorers(Y)["few_shot_mae"]
        )
        assert np.isfinite(scores).all()

    def test_a_fold_without_rows_of_a_region_is_an_error(self):
        shots = Shots.from_labels(Y, Bins.auto(Y))
        common = shots.codes(Y) == 0
        with pytest.raises(InputError, match=r"few_shot_mae: none of the \d+ rows to score is few-shot; use fewer"):
            region_error(Y[common], Y[common], name="few_shot_mae", shots=shots)
        order = np.argsort(shots.codes(Y), kind="stable")  # the first of the folds has no rare row
        folds, scorer = KFold(4), region_scorers(Y)["few_shot_mae"]
        with pytest.raises(InputError, match="is few-shot"):
            cross_val_score(DummyRegressor(), X[order], Y[order], cv=folds, scoring=scorer, error_score="raise")

    def test_without_extremes_there_is_no_sera(self):
        assert "sera" not in region_scorers(np.arange(100.0))

    def test_mistakes(self):
        bins = Bins.auto(Y)
        with pytest.raises(InputError, match="bins or shots, not both"):
            region_scorers(Y, bins=bins, shots=Shots.from_labels(Y, bins))
        with pytest.raises(InputError, match="name must be"):
            region_error(Y, Y, name="no", shots=Shots.from_labels(Y, bins))
        with pytest.raises(InputError, match="needs a relevance"):
            region_error(Y, Y, name="sera", shots=Shots.from_labels(Y, bins))
