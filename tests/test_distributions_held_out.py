import json

import numpy as np
import pytest

from tailwise import InputError
from tailwise.distributions import (
    ConditionalDensity,
    Dial,
    DialedModel,
    Empirical,
    Mixture,
    cross_fitted,
    dial,
    mixture_of,
    pinball,
    pit,
    predictive_from_arrays,
    score_regions,
)
from tailwise.distributions.scores import reliability

NAN = float("nan")


def held_out(n=2000, seed=0):
    """Skewed labels, and predictions pulled to the middle with an error that grows."""
    rng = np.random.default_rng(seed)
    y = rng.gamma(2.0, 10.0, n)
    return y, 8 + 0.6 * (y + rng.normal(0, 1 + 0.15 * y, n))


class TestConditionalDensity:
    @pytest.mark.parametrize("n", [100, 1000, 4000])
    def test_it_is_better_than_one_gaussian_and_covers(self, n):
        y, pred = held_out(n)
        y_new, pred_new = held_out(4000, seed=1)
        fitted = ConditionalDensity.fit(y, pred).predictive(pred_new)
        plain = Mixture(
            np.ones((4000, 1)), (pred_new + (y - pred).mean())[:, None], np.full((4000, 1), (y - pred).std())
        )
        assert fitted.crps(y_new).mean() < (0.93 if n > 100 else 0.97) * plain.crps(y_new).mean()
        low, high = fitted.interval(0.9)
        assert ((low <= y_new) & (y_new <= high)).mean() == pytest.approx(0.9, abs=0.02 if n > 100 else 0.06)

    def test_a_known_density(self):
        rng = np.random.default_rng(0)
        pred = rng.uniform(0, 10, 5000)
        y = 2 * pred + rng.normal(0, 0.2 + 0.1 * pred)
        fitted = ConditionalDensity.fit(y, pred).predictive([1.0, 5.0, 9.0])
        np.testing.assert_allclose(fitted.mean(), [2, 10, 18], atol=0.12)
        np.testing.assert_allclose(fitted.std(), [0.3, 0.7, 1.1], rtol=0.15)

    def test_beyond_the_held_out_predictions_the_error_stays_the_same(self):
        y, pred = held_out()
        fitted = ConditionalDensity.fit(y, pred)
        far = fitted.predictive([pred.max(), pred.max() + 100])
        np.testing.assert_allclose(far.mean()[1], far.mean()[0] + 100)
        np.testing.assert_allclose(far.std()[1], far.std()[0])

    def test_units_do_not_matter(self):
        y, pred = held_out(500)
        one, other = ConditionalDensity.fit(y, pred), ConditionalDensity.fit(3 + 1000 * y, 3 + 1000 * pred)
        assert one.neighbours == other.neighbours
        levels = [0.1, 0.5, 0.9]
        np.testing.assert_allclose(
            other.predictive(3 + 1000 * pred).quantile(levels),
            3 + 1000 * one.predictive(pred).quantile(levels),
            rtol=1e-6,
        )

    def test_the_order_of_rows_does_not_matter(self):
        y, pred = held_out(300)
        order = np.random.default_rng(0).permutation(300)
        one, other = ConditionalDensity.fit(y, pred), ConditionalDensity.fit(y[order], pred[order])
        np.testing.assert_allclose(one.offsets, other.offsets, atol=1e-9)

    def test_weights_draw_rows_back_to_how_they_come(self):
        y, pred = held_out(4000)
        rng = np.random.default_rng(0)
        kept = rng.random(4000) < np.where(y < 20, 0.3, 1.0)
        weight = np.where(y < 20, 1 / 0.3, 1.0)[kept]
        everything = ConditionalDensity.fit(y, pred, neighbours=500).predictive([20.0]).mean()
        plain = ConditionalDensity.fit(y[kept], pred[kept], neighbours=500).predictive([20.0]).mean()
        weighted = (
            ConditionalDensity.fit(y[kept], pred[kept], sample_weight=weight, neighbours=500).predictive([20.0]).mean()
        )
        assert abs(weighted - everything) < abs(plain - everything) / 2

    @pytest.mark.parametrize("case", ["exact", "constant", "two values", "tiny", "huge", "outlier"])
    def test_odd_rows_give_finite_distributions(self, case):
        rng = np.random.default_rng(0)
        y = rng.normal(size=60)
        pred = {"exact": y, "constant": np.zeros(60), "two values": np.sign(y), "outlier": y}.get(
            case, y + rng.normal(size=60)
        )
        scale = {"tiny": 1e-150, "huge": 1e150}.get(case, 1.0)
        y, pred = y * scale, pred * scale
        if case == "outlier":
            pred = np.append(pred[:-1], 1e9)
        dist = ConditionalDensity.fit(y, pred).predictive(pred)
        assert np.isfinite(dist.quantile([0.01, 0.5, 0.99])).all()
        assert np.isfinite(dist.crps(y)).all()

    def test_arrays_round_trip(self, tmp_path):
        y, pred = held_out(200)
        fitted = ConditionalDensity.fit(y, pred)
        np.savez(tmp_path / "density.npz", **fitted.to_arrays())
        with np.load(tmp_path / "density.npz") as arrays:
            again = ConditionalDensity.from_arrays(arrays)
        assert again.neighbours == fitted.neighbours
        np.testing.assert_array_equal(again.predictive(pred).means, fitted.predictive(pred).means)


class TestDial:
    def test_it_lowers_the_error_of_rare_values(self):
        y, pred = held_out(3000)
        y_new, pred_new = held_out(6000, seed=1)
        rare = y_new > 45
        decide = dial(y, pred, y_train=y)
        errors = {a: np.abs(decide(pred_new, balance=a) - y_new) for a in (0, 0.5, 1)}
        assert errors[0].mean() < np.abs(pred_new - y_new).mean()
        assert errors[1][rare].mean() < errors[0.5][rare].mean() < errors[0][rare].mean()
        np.testing.assert_array_equal(decide(pred_new), decide(pred_new, balance=0.5))
        assert (decide(pred_new, density=(30.0, 50.0)) >= 30).all()

    def test_json_round_trip(self):
        y, pred = held_out(200)
        decide = dial(y, pred, balance=0.3)
        again = DialedModel.from_json(json.loads(json.dumps(decide.to_json())))
        np.testing.assert_allclose(again(pred, under=2, over=1), decide(pred, under=2, over=1), rtol=1e-13)
        assert again.to_json() == decide.to_json()

    def test_cross_fitting_judges_no_row_by_its_own_label(self):
        y, pred = held_out(200)
        fold = np.arange(200) % 4
        before = cross_fitted(y, pred, fold)
        changed = y.copy()
        changed[fold == 2] += 1e3
        after = cross_fitted(changed, pred, fold)
        np.testing.assert_array_equal(before.means[fold == 2], after.means[fold == 2])
        assert (before.means[fold != 2] != after.means[fold != 2]).any()
        assert len(cross_fitted(y, pred, 3)) == 200

    def test_groups_stay_whole_and_a_reference_group_is_fitted_alone(self):
        y, pred = held_out(300)
        person, healthy = np.arange(300) // 3, np.arange(300) % 300 < 200
        before = cross_fitted(y, pred, group=person, reference=healthy)
        changed = y.copy()
        changed[~healthy] += 1e3
        np.testing.assert_array_equal(before.means, cross_fitted(changed, pred, group=person, reference=healthy).means)
        changed = np.where(person == 7, y + 1e3, y)
        after = cross_fitted(changed, pred, group=person, reference=healthy)
        same = (before.means == after.means).all(axis=1)
        assert same[person == 7].all()
        assert same.sum() < 100
        assert not same[~healthy & (person != 66)].any()  # person 66 has rows on both sides
        whole = ConditionalDensity.fit(y[healthy], pred[healthy]).predictive(pred)
        outside = ~healthy & (person != 66)
        np.testing.assert_array_equal(before.means[outside], whole.means[outside])
        assert (before.means[~healthy & (person == 66)] != whole.means[~healthy & (person == 66)]).any()

    def test_weights_count_in_the_density_of_labels_unless_training_labels_are_given(self):
        y, pred = held_out(200)
        weight = np.linspace(0.5, 2, 200)
        expected = Dial.from_labels(y, sample_weight=weight).to_json()
        assert dial(y, pred, sample_weight=weight).dial.to_json() == expected
        assert dial(y, pred, sample_weight=weight, y_train=y).dial.to_json() == Dial.from_labels(y).to_json()


class TestScores:
    def test_calibrated_distributions(self):
        rng = np.random.default_rng(0)
        mean, scale = rng.normal(size=(4000, 1)), rng.uniform(0.5, 2, (4000, 1))
        y = (mean + scale * rng.normal(size=(4000, 1)))[:, 0]
        dist = Mixture(np.ones((4000, 1)), mean, scale)
        scores = score_regions(dist, y, {"all": y == y, "none": y > 1e9}, thresholds=[0.5], confidence=[0.5, 0.9])
        whole = scores["all"]
        assert scores["none"].to_json() == {"n": 0}
        assert whole.crps == pytest.approx(dist.crps(y).mean())
        assert whole.coverage[0.9] == pytest.approx(0.9, abs=0.02)
        assert whole.width[0.5] == pytest.approx(2 * 0.6745 * scale.mean(), rel=1e-3)
        np.testing.assert_allclose(whole.pit, 0.1, atol=0.02)
        assert whole.reliability[0].error < 0.03
        assert sum(whole.reliability[0].n) == 4000
        json.dumps(whole.to_json(), allow_nan=False)
        narrow = score_regions(Mixture(np.ones((4000, 1)), mean, scale / 3), y)["all"]
        assert narrow.pit[0] > 0.25
        assert narrow.crps > whole.crps
        assert narrow.log_score > whole.log_score

    def test_pinball_is_minimized_by_the_quantile_and_integrates_to_the_crps(self):
        dist, y = Mixture([[1.0]], [[0.0]], [[1.0]]), [0.7]
        levels = (np.arange(2000) + 0.5) / 2000
        assert 2 * pinball(y, dist.quantile(levels), levels).mean() == pytest.approx(dist.crps(y)[0], rel=1e-3)

    def test_the_pit_of_atoms_is_uniform(self):
        rng = np.random.default_rng(0)
        chance = rng.dirichlet(np.ones(4), 5000)
        y = (chance.cumsum(axis=1) < rng.random((5000, 1))).sum(axis=1).astype(float)
        values = pit(Empirical(np.arange(4.0), chance), y, seed=3)
        np.testing.assert_allclose(np.histogram(values, 10, (0, 1))[0] / 5000, 0.1, atol=0.02)
        np.testing.assert_array_equal(values, pit(Empirical(np.arange(4.0), chance), y, seed=3))

    def test_reliability_of_wrong_chances(self):
        y = np.arange(100.0)
        wrong = reliability(np.full(100, 0.9), y, 49.5)
        assert wrong.error == pytest.approx(0.4)
        assert wrong.brier == pytest.approx(0.5 * 0.81 + 0.5 * 0.01)


Y, PRED = held_out(60)
DIST = Mixture(np.ones((60, 1)), PRED[:, None], np.ones((60, 1)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dial(Y[:10], PRED[:10]), "y_val has 10 rows; .* at least 20"),
        (lambda: dial(Y, PRED[:-1]), "must have one shape"),
        (lambda: dial(Y, PRED, balance=2), "balance must be"),
        (lambda: dial(np.append(Y[:-1], NAN), PRED), "y_val has 1 labels that are NaN"),
        (lambda: dial(Y, PRED, sample_weight=np.zeros(60)), "sample_weight must be above 0"),
        (lambda: dial(Y, PRED)([NAN]), "pred has 1 labels"),
        (lambda: dial([], []), "y_val is empty"),
        (lambda: ConditionalDensity.fit(Y, PRED, neighbours=1), "neighbours must be a whole number"),
        (lambda: ConditionalDensity.from_arrays({"nodes": [1.0]}), "lack 'offsets'"),
        (lambda: cross_fitted(Y, PRED, 1), "folds must be a whole number"),
        (lambda: cross_fitted(Y, PRED, np.zeros(60)), "at least two folds"),
        (lambda: cross_fitted(Y, PRED, np.arange(59)), "one value a row"),
        (lambda: cross_fitted(Y[:22], PRED[:22]), "17 rows are left to fit"),
        (lambda: cross_fitted(Y, PRED, np.arange(60), group=Y), "give one of them"),
        (lambda: cross_fitted(Y, PRED, group=np.zeros(60)), "at least 2 groups"),
        (lambda: cross_fitted(Y, PRED, group=np.arange(59)), "group must have shape"),
        (lambda: cross_fitted(Y, PRED, reference=np.ones(60)), "reference must be .60,. bools"),
        (lambda: score_regions(DIST, Y[:-1]), "y_true must have one label a row"),
        (lambda: score_regions(DIST, Y, {"few": np.ones(3, dtype=bool)}), "region 'few' must be a mask"),
        (lambda: score_regions(DIST, Y, thresholds=["high"]), "threshold must be a finite number"),
        (lambda: score_regions(DIST, Y, levels=[0.0]), "levels must be between 0 and 1"),
        (lambda: pinball([1.0], [[1.0, 2.0]], [0.5]), "one column a level"),
        (lambda: reliability([2.0], [1.0], 0.0), "chance must be from 0 to 1"),
        (lambda: mixture_of([]), "predictives is empty"),
        (lambda: mixture_of([DIST, Empirical([1.0], np.ones((60, 1)))]), "of one class, got Empirical, Mixture"),
        (lambda: mixture_of([DIST, DIST.select(slice(3))]), "same number of rows"),
        (lambda: mixture_of([DIST, DIST], [1.0]), "weights must have shape"),
        (lambda: predictive_from_arrays("gamma", {}), "kind must be one of"),
        (lambda: predictive_from_arrays("mixture", {"weights": [[1.0]]}), "lack 'means'"),
        (
            lambda: predictive_from_arrays(
                "empirical", {"values": [1.0], "data": [1.0], "indices": [5], "indptr": [0, 1]}
            ),
            "CSR array",
        ),
    ],
)
def test_mistakes_are_one_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_the_example_of_the_readme():
    """``decide`` as README.md shows it, of a model that pulls predictions to the middle."""
    y, pred = held_out(3000)
    y_val, pred_val, new, truth = y[:1000], pred[:1000], pred[1000:], y[1000:]
    decide = dial(y_val, pred_val, y_train=y)
    common, rare, careful = decide(new, balance=0), decide(new, balance=1), decide(new, under=10, over=1)
    high = truth > np.quantile(y, 0.98)
    assert np.abs(common - truth).mean() < np.abs(new - truth).mean()
    assert np.abs(rare - truth)[high].mean() < np.abs(common - truth)[high].mean()
    assert (careful >= decide(new)).all()
    assert (truth > careful).mean() < 1 / 11 + 0.03
