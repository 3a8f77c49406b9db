import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tailwise import Bins, InputError, lds_weights
from tailwise.estimators import ImbalancedRegressor, RegionalRegressor, ResampledRegressor, WeightedRegressor
from tailwise.methods.label_weights import label_weights
from tailwise.model_selection import region_scorers
from tailwise.sampling import SMOGN, RandomOverSampler, RandomUnderSampler

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 3))
Y = 10 * np.exp(X[:, 0]) + RNG.normal(size=500)

pytestmark = [
    pytest.mark.filterwarnings("ignore:the weights are extreme"),
    pytest.mark.filterwarnings("ignore:no row is rare"),
    pytest.mark.filterwarnings("ignore:only . different rare rows"),
]

FAST = {"epochs": 4, "encoder_params": {"widths": (16,)}, "random_state": 0}
BY_ROWS = "labels are counted by rows: a row given twice is twice as common, a row of weight 2 is not"

BY_QUANTILES = "regions are those of rows: a row of weight 2 counts once in the quantiles of the labels"


DRAWN = "rows are drawn by their weight, so a weight of 2 is a row given twice only on average"


ROUNDED = "float32 sums of many rows differ from those of a few in their last digits, by more than 1e-7"


def expected_to_fail(estimator):
    reason = {WeightedRegressor: BY_ROWS, RegionalRegressor: BY_QUANTILES, ImbalancedRegressor: DRAWN}.get(
        type(estimator)
    )
    kinds = ("dense", "sparse") if reason in (BY_ROWS, BY_QUANTILES) else ("dense",) if reason else ()
    failed = {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in kinds}
    wide = isinstance(estimator, ImbalancedRegressor) and estimator.encoder_params is None  # two layers of 256
    return failed | ({"check_methods_subset_invariance": ROUNDED} if wide else {})


@parametrize_with_checks(
    [
        WeightedRegressor(Ridge()),
        WeightedRegressor(HistGradientBoostingRegressor(max_iter=5), weights="denseweight"),
        WeightedRegressor(RandomForestRegressor(n_estimators=5, random_state=0), weights="inv"),
        RegionalRegressor(Ridge()),
        RegionalRegressor(HistGradientBoostingRegressor(max_iter=30)),
        ResampledRegressor(Ridge(), SMOGN(random_state=0)),
        ResampledRegressor(HistGradientBoostingRegressor(max_iter=5), RandomOverSampler(random_state=0)),
        ImbalancedRegressor(epochs=40, lr=0.02, encoder_params={"widths": (32,)}, random_state=0),
        ImbalancedRegressor(quality="fast", epochs=40, lr=0.02, random_state=0),
    ],
    expected_failed_checks=expected_to_fail,
)
@pytest.mark.slow
def test_is_an_estimator_of_scikit_learn(estimator, check):
    check(estimator)


class TestRegionalRegressor:
    def test_is_the_blend_of_regressors_of_three_ranges(self):
        low, high, overlap, band = 5.0, 30.0, 2.0, 4.0
        ours = RegionalRegressor(Ridge(), boundaries=(low, high), overlap=overlap, band=band).fit(X, Y)
        everywhere = Ridge().fit(X, Y)
        ranges = [(-np.inf, low + overlap), (low - overlap, high + overlap), (high - overlap, np.inf)]
        rows = [(a <= Y) & (b > Y) for a, b in ranges]
        experts = [Ridge().fit(X[inside], Y[inside]).predict(X) for inside in rows]
        for i, g in enumerate(everywhere.predict(X)):
            if g <= low - band:
                plain = experts[0][i]
            elif g < low + band:
                share = (g - low + band) / (2 * band)
                plain = (1 - share) * experts[0][i] + share * experts[1][i]
            elif g <= high - band:
                plain = experts[1][i]
            elif g < high + band:
                share = (g - high + band) / (2 * band)
                plain = (1 - share) * experts[1][i] + share * experts[2][i]
            else:
                plain = experts[2][i]
            assert ours.predict(X)[i] == pytest.approx(plain)

    def test_rare_values_are_met_better_than_by_one_linear_model(self):
        few = np.quantile(Y, 0.9) < Y
        plain, ours = Ridge().fit(X, Y), RegionalRegressor(Ridge()).fit(X, Y)
        assert np.abs(ours.predict(X) - Y)[few].mean() < 0.8 * np.abs(plain.predict(X) - Y)[few].mean()
        assert len(ours.experts_) == 3

    def test_equal_labels_leave_the_model_of_all_rows(self):
        y = np.where(np.arange(500) < 5, Y, 1.0)
        ours = RegionalRegressor(Ridge()).fit(X, y)
        assert ours.experts_ == []
        np.testing.assert_array_equal(ours.predict(X), Ridge().fit(X, y).predict(X))

    def test_a_band_of_zero_and_weights(self):
        weight = RNG.random(500)
        ours = RegionalRegressor(Ridge(), band=0).fit(pd.DataFrame(X), pd.Series(Y), sample_weight=weight)
        assert np.isfinite(ours.predict(pd.DataFrame(X))).all()
        with pytest.raises(InputError, match="takes no sample_weight"):
            RegionalRegressor(KNeighborsRegressor()).fit(X, Y, sample_weight=weight)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"boundaries": (3, 1)}, "two increasing labels"),
            ({"boundaries": (1, 3), "band": 2.0}, "at most half the distance of the boundaries, 1"),
            ({"boundaries": (900, 1000)}, "no training row to the centre region"),
            ({"overlap": -1}, "overlap must be"),
        ],
    )
    def test_mistakes_are_refused(self, params, message):
        with pytest.raises(InputError, match=message):
            RegionalRegressor(Ridge(), **params).fit(X, Y)


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


def snippets():
    page = (Path(__file__).parents[1] / "docs" / "sklearn.md").read_text()
    return [part.split("```")[0] for part in page.split("```python\n")[1:]]


@pytest.mark.parametrize("i", range(len(snippets())))
@pytest.mark.slow
def test_the_page_about_scikit_learn_runs(i, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippets()[i], names)
    if "search" in names:
        assert names["search"].best_params_["weights"] in ("sqinv", "sqinv+lds", "denseweight")


class TestImbalancedRegressor:
    @pytest.fixture
    def frame(self, toy):
        toy["city"] = toy["city"].astype("category")
        return toy.drop(columns="price"), toy["price"]

    @pytest.mark.parametrize("method", ["vanilla", "sqinv+lds+fds+conr", "rrt+lds", "uvote", "smogn", "isotonic"])
    @pytest.mark.slow
    def test_any_method(self, method, frame):
        params = {"rrt": {"epochs": 1}} if "rrt" in method else {}
        model = ImbalancedRegressor(method, method_params=params, **FAST).fit(*frame)
        assert np.isfinite(model.predict(frame[0])).all()
        assert model.history_[0].validation["bmae"] > 0

    @pytest.mark.slow
    def test_is_what_the_training_gives(self, frame):
        X, y = frame
        model = ImbalancedRegressor(**{**FAST, "epochs": 60}).fit(X, y)
        assert model.score(X, y) > 0.5
        np.testing.assert_array_equal(
            ImbalancedRegressor(**{**FAST, "epochs": 60}).fit(X, y).predict(X), model.predict(X)
        )

    def test_the_global_generator_is_left_alone(self, frame):
        torch.manual_seed(3)
        expected = torch.rand(1)
        torch.manual_seed(3)
        ImbalancedRegressor(**FAST).fit(*frame)
        assert torch.equal(torch.rand(1), expected)

    def test_save_and_load(self, frame, tmp_path):
        X, y = frame
        model = ImbalancedRegressor(
            "sqinv", encoder="tabm-ple", epochs=1, random_state=0, n_bins=15, encoder_params={"members": 2, "width": 4}
        ).fit(X, y)
        model.save(tmp_path / "model")
        again = ImbalancedRegressor.load(tmp_path / "model")
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        np.testing.assert_array_equal(again.predict_interval(X, 0.8), model.predict_interval(X, 0.8))
        assert again.get_params() == model.get_params()
        assert again.n_features_in_ == X.shape[1]
        with pytest.raises(InputError, match="is not empty"):
            model.save(tmp_path / "model")
        with pytest.raises(InputError, match=r"model\.json' cannot be read"):
            ImbalancedRegressor.load(tmp_path)
        (tmp_path / "model" / "estimator.json").unlink()
        with pytest.raises(InputError, match="holds no saved ImbalancedRegressor; for the model of a run"):
            ImbalancedRegressor.load(tmp_path / "model")

    @pytest.mark.slow
    def test_pickle_clone_search_and_jobs(self, frame):
        X, y = frame
        search = GridSearchCV(
            ImbalancedRegressor(**FAST),
            {"method": ["vanilla", "sqinv"]},
            cv=2,
            n_jobs=2,
            scoring=region_scorers(y)["balanced_mae"],
        ).fit(X, y)
        best = search.best_estimator_
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(best)).predict(X), best.predict(X))
        assert clone(best).get_params() == best.get_params()

    def test_groups_are_not_divided(self, frame, monkeypatch):
        X, y = frame
        groups = np.arange(len(y)) // 10
        model = ImbalancedRegressor(**FAST)
        table = model._task(model._frame(X, reset=True), y.to_numpy(), groups, None, None, None, 0)
        sides = [set(groups[table.row[table.part == part]]) for part in ("train", "val")]
        assert not sides[0] & sides[1]
        assert min(map(len, sides)) > 0

    def test_validation_rows_of_ones_own(self, frame):
        X, y = frame
        model = ImbalancedRegressor(**FAST).fit(X[:300], y[:300], eval_set=(X[300:], y[300:]))
        assert len(model.model_.intervals.residuals[0]) == 100
        assert model.shots_.counts.sum() == 300

    def test_rows_of_weight_0_are_not_seen(self, frame):
        X, y = frame
        weight = np.r_[np.ones(300), np.zeros(100)]
        spoilt = y.where(weight > 0, 1e6)
        model = ImbalancedRegressor(**FAST).fit(X, spoilt, sample_weight=weight)
        assert model.shots_.bins.edges.max() < 1e4
        with pytest.raises(ValueError, match="at least one non-zero"):
            ImbalancedRegressor(**FAST).fit(X, y, sample_weight=0 * weight)

    @pytest.mark.slow
    def test_weights_draw_rows(self, frame):
        X, y = frame
        rare = (y > y.quantile(0.9)).to_numpy()
        plain, weighted = (
            ImbalancedRegressor("vanilla", **{**FAST, "epochs": 30}).fit(X, y, sample_weight=w)
            for w in (None, np.where(rare, 30.0, 1.0))
        )
        errors = [np.abs(m.predict(X) - y)[rare].mean() for m in (plain, weighted)]
        assert errors[1] < errors[0]

    def test_few_rows(self):
        X, y = RNG.normal(size=(12, 2)), np.arange(12.0)
        model = ImbalancedRegressor(**FAST).fit(X, y)
        assert model.predict(X).shape == (12,)
        with pytest.raises(InputError, match="trained without held-out rows to calibrate intervals"):
            model.predict_interval(X)

    @pytest.mark.parametrize(
        ("params", "y", "said"),
        [
            ({"method": "sqinv+con"}, None, "unknown method part 'con'"),
            ({"encoder": "tabn"}, None, "encoder must be one of 'auto', 'mlp'"),
            ({"encoder_params": {"width": 3}}, None, "has no parameter 'width'"),
            ({"bin_width": 1.0, "n_bins": 3}, None, "give `bin_width` or `n_bins`, not both"),
            ({"lr": -1}, None, "`lr` must be"),
            ({}, np.zeros(400), "the target is constant"),
            ({}, np.full(400, np.nan), "NaN|finite"),
        ],
    )
    def test_mistakes(self, params, y, said, frame):
        with pytest.raises(ValueError, match=said):
            ImbalancedRegressor(**{**FAST, **params}).fit(frame[0], frame[1] if y is None else y)

    def test_columns_must_be_those_of_fit(self, frame):
        model = ImbalancedRegressor(**FAST).fit(*frame)
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame[0].rename(columns={"x1": "x3"}))

    @pytest.mark.slow
    def test_intervals_hold_on_rows_as_they_come(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(6000, 2))
        y = np.exp(X[:, 0] + rng.normal(size=6000) / 3)
        model = ImbalancedRegressor("sqinv+lds", epochs=8, random_state=0).fit(X[:3000], y[:3000])
        ends, pred = model.predict_interval(X[3000:], 0.9), model.predict(X[3000:])
        inside = (ends[:, 0] <= y[3000:]) & (y[3000:] <= ends[:, 1])
        assert 0.87 < inside.mean() < 0.94
        regions = np.asarray(model.model_.intervals.categories)[model.shots_.codes(pred)]
        for region in np.unique(regions):
            here = regions == region
            if here.sum() > 100:
                assert inside[here].mean() > 0.8

    @pytest.mark.slow
    def test_an_array_may_follow_a_frame(self):
        frame = pd.DataFrame(X, columns=list("abc"))
        model = ImbalancedRegressor(**FAST).fit(frame, Y)
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            np.testing.assert_array_equal(model.predict(X), model.predict(frame))
        other = ImbalancedRegressor(**FAST).fit(X, Y, eval_set=(X[:50], Y[:50]))
        assert other.predict(X).shape == (500,)

    def test_categories_written_as_numbers_are_nominal(self):
        frame = pd.DataFrame({"a": X[:, 0], "code": pd.Categorical(RNG.integers(1, 5, 500))})
        assert dict(
            zip(frame, [c.kind for c in ImbalancedRegressor(**FAST).fit(frame, Y).model_.schema.columns], strict=True)
        ) == {"a": "numeric", "code": "nominal"}
        coded = np.column_stack([X[:, 0], RNG.integers(1, 5, 500)])
        model = ImbalancedRegressor(nominal=["x1"], **FAST).fit(coded, Y)
        assert model.model_.schema.columns[1].kind == "nominal"
        assert np.isfinite(model.predict(coded)).all()

    def test_two_rows(self):
        assert ImbalancedRegressor(**FAST).fit(X[:2], [1.0, 3.0]).predict(X[:2]).shape == (2,)

    def test_numbers_of_numpy_are_saved(self, tmp_path):
        given = {"epochs": np.int64(1), "random_state": np.int64(3), "encoder_params": {"widths": (np.int64(8), 4)}}
        ImbalancedRegressor(**given).fit(X, Y).save(tmp_path / "m")
        again = ImbalancedRegressor.load(tmp_path / "m").get_params()
        assert (again["epochs"], again["random_state"], again["encoder_params"]) == (1, 3, {"widths": (8, 4)})

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"eval_set": [(X, Y)]}, "eval_set must be a pair"),
            ({"groups": np.zeros(500)}, "groups must name at least 2 groups"),
            ({"groups": np.zeros(7), "sample_weight": np.ones(500)}, "inconsistent numbers of samples"),
        ],
    )
    def test_mistakes_of_fit(self, given, said):
        with pytest.raises(ValueError, match=said):
            ImbalancedRegressor(**FAST).fit(X, Y, **given)

    def test_infinity_and_dropped_columns_are_told(self, frame):
        X, y = frame
        with pytest.raises(ValueError, match="contains infinity"):
            ImbalancedRegressor(**FAST).fit(X.assign(x1=np.inf), y)
        with pytest.warns(UserWarning, match="column 'id' is not an input: identifier"):
            ImbalancedRegressor(**FAST).fit(X.assign(id=[f"k{i}" for i in range(len(X))]), y)

    def test_metadata_routing(self, frame):
        X, y = frame
        with config_context(enable_metadata_routing=True):
            model = ImbalancedRegressor(**FAST).set_fit_request(groups=True, sample_weight=True, eval_set=False)
            model.set_score_request(sample_weight=True)
            groups = np.arange(len(y)) // 4
            scores = cross_validate(model, X, y, cv=2, params={"groups": groups, "sample_weight": np.ones(len(y))})
        assert np.isfinite(scores["test_score"]).all()


class TestResampledRegressor:
    def test_is_the_estimator_on_those_rows(self):
        sampler = RandomOverSampler(random_state=0)
        rows, labels = sampler.fit_resample(X, Y)
        ours = ResampledRegressor(Ridge(), sampler).fit(X, Y)
        np.testing.assert_allclose(ours.predict(X), Ridge().fit(rows, labels).predict(X))

    def test_helps_where_labels_are_few(self):
        rare = np.quantile(Y, 0.97) < Y
        plain = Ridge().fit(X, Y)
        ours = ResampledRegressor(Ridge(), SMOGN(random_state=0)).fit(X, Y)
        errors = [np.abs(model.predict(X)[rare] - Y[rare]).mean() for model in (plain, ours)]
        assert errors[1] < 0.9 * errors[0]

    def test_weights_follow_their_rows(self):
        weight = RNG.random(500)
        sampler = RandomUnderSampler(random_state=0)
        rows, labels = sampler.fit_resample(X, Y)
        ours = ResampledRegressor(Ridge(), sampler).fit(X, Y, sample_weight=weight)
        theirs = Ridge().fit(rows, labels, sample_weight=weight[sampler.sample_indices_])
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X))

    def test_frames_keep_names_and_categories(self):
        frame = pd.DataFrame(X, columns=list("abc")).assign(c=pd.Categorical(np.where(X[:, 2] > 0, "x", "y")))
        model = ResampledRegressor(HistGradientBoostingRegressor(max_iter=5, categorical_features="from_dtype"))
        assert model.fit(frame, Y).feature_names_in_.tolist() == list("abc")
        assert model.predict(frame).shape == (500,)

    def test_search_reaches_both(self):
        search = GridSearchCV(
            ResampledRegressor(Ridge(), SMOGN(random_state=0)),
            {"resampler__k": [3, 5], "estimator__alpha": [0.1]},
            cv=2,
        ).fit(X, Y)
        assert search.best_estimator_.resampler_.k in (3, 5)

    def test_refuses_what_does_not_resample(self):
        with pytest.raises(InputError, match="resampler must have fit_resample"):
            ResampledRegressor(Ridge(), Ridge()).fit(X, Y)


@pytest.mark.parametrize(
    "make", [WeightedRegressor, lambda e: ResampledRegressor(e, RandomOverSampler(random_state=0))]
)
def test_parameters_of_fit_are_routed(make):
    with config_context(enable_metadata_routing=True):
        inner = HistGradientBoostingRegressor(max_iter=3).set_fit_request(
            X_val=True, y_val=True, sample_weight_val=False
        )
        model = make(inner).fit(X, Y, X_val=X[:50], y_val=Y[:50])
        with pytest.raises(TypeError, match="unexpected argument"):
            make(inner).fit(X, Y, nonsense=1)
    assert model.predict(X).shape == Y.shape


def test_the_pipeline_of_imbalanced_learn():
    pipeline = pytest.importorskip("imblearn.pipeline", reason="imbalanced-learn is not installed")
    steps = [("scale", StandardScaler()), ("resample", SMOGN(random_state=0)), ("model", Ridge())]
    search = GridSearchCV(pipeline.Pipeline(steps), {"resample__k": [3, 5]}, cv=3).fit(X, Y)
    assert np.isfinite(cross_val_score(search.best_estimator_, X, Y, cv=3)).all()
    rows, labels = SMOGN(random_state=0, k=search.best_params_["resample__k"]).fit_resample(
        StandardScaler().fit_transform(X), Y
    )
    by_hand = Ridge().fit(rows, labels).predict(StandardScaler().fit(X).transform(X))
    np.testing.assert_allclose(search.predict(X), by_hand)
