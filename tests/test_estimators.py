import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from tailwise import Bins, InputError, lds_weights
from tailwise.estimators import WeightedRegressor
from tailwise.methods.label_weights import label_weights

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 3))
Y = 10 * np.exp(X[:, 0]) + RNG.normal(size=500)

pytestmark = pytest.mark.filterwarnings("ignore:the weights are extreme")

BY_ROWS = "labels are counted by rows: a row given twice is twice as common, a row of weight 2 is not"


def not_by_weight(_):
    return {f"check_sample_weight_equivalence_on_{kind}_data": BY_ROWS for kind in ("dense", "sparse")}


@parametrize_with_checks(
    [
        WeightedRegressor(Ridge()),
        WeightedRegressor(HistGradientBoostingRegressor(max_iter=5), weights="denseweight"),
        WeightedRegressor(RandomForestRegressor(n_estimators=5, random_state=0), weights="inv"),
    ],
    expected_failed_checks=not_by_weight,
)
def test_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


class TestWeightedRegressor:
    def test_is_the_estimator_with_those_weights(self):
        bins = Bins.auto(Y)
        ours = WeightedRegressor(Ridge(), weights="sqinv+lds", weight_params={"lds": {"sigma": 1.0}}).fit(X, Y)
        weight = lds_weights(Y, bins, sigma=1.0).sample_weight(Y)
        plain = Ridge().fit(X, Y, sample_weight=weight)
        np.testing.assert_allclose(ours.predict(X), plain.predict(X))
        np.testing.assert_allclose(ours.weights_.sample_weight(Y), weight)
        assert weight.mean() == pytest.approx(1.0)

    def test_own_sample_weights_multiply(self):
        own = RNG.random(500)
        ours = WeightedRegressor(Ridge(), weights="inv").fit(X, Y, sample_weight=own)
        weight = label_weights("inv", Y).sample_weight(Y) * own
        np.testing.assert_allclose(ours.predict(X), Ridge().fit(X, Y, sample_weight=weight).predict(X))

    def test_helps_where_labels_are_few(self):
        rare = np.quantile(Y, 0.97) < Y
        errors = [
            np.abs(model.fit(X, Y).predict(X)[rare] - Y[rare]).mean()
            for model in (Ridge(), WeightedRegressor(Ridge(), weights="inv"))
        ]
        assert errors[1] < 0.9 * errors[0]

    def test_works_with_scikit_learn(self):
        frame = pd.DataFrame(X, columns=list("abc"))
        search = GridSearchCV(WeightedRegressor(Ridge()), {"weights": ["inv", "sqinv+lds"], "estimator__alpha": [0.1]})
        best = search.fit(frame, Y).best_estimator_
        assert best.feature_names_in_.tolist() == list("abc")
        again = pickle.loads(pickle.dumps(best))
        np.testing.assert_array_equal(again.predict(frame), best.predict(frame))
        assert clone(best).get_params()["estimator__alpha"] == 0.1

    def test_an_object_gives_the_weights(self):
        class Even:
            def sample_weight(self, y):
                return np.ones(len(y))

        ours = WeightedRegressor(Ridge(), weights=Even()).fit(X, Y)
        np.testing.assert_allclose(ours.predict(X), Ridge().fit(X, Y).predict(X))

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            (WeightedRegressor(KNeighborsRegressor()), "KNeighborsRegressor takes no sample_weight"),
            (WeightedRegressor(weights="fds"), "must be parts that give weights"),
            (WeightedRegressor(weights="sqinv+conr"), "'conr' acts in the training of a network"),
            (WeightedRegressor(weights="lsd"), "unknown method part 'lsd'"),
            (WeightedRegressor(weights=3), r"or have sample_weight\(y\), got 3"),
            (WeightedRegressor(weights="inv", weight_params={"lds": {}}), "'lds', which is not part of 'inv'"),
        ],
    )
    def test_mistakes(self, model, said):
        with pytest.raises(InputError, match=said):
            model.fit(X, Y)

    def test_constant_labels_weigh_the_same(self):
        assert WeightedRegressor(Ridge()).fit(X, np.ones(500)).weights_.sample_weight([1.0]).tolist() == [1.0]


def test_the_page_about_scikit_learn_runs():
    page = (Path(__file__).parents[1] / "docs" / "sklearn.md").read_text()
    names = {}
    exec(page.split("```python\n")[1].split("```")[0], names)
    assert names["search"].best_params_["weights"] in ("sqinv", "sqinv+lds", "denseweight")
