import numpy as np
import pytest

from tailwise import Bins, InputError
from tailwise.calibration.corrections import Correction, Debias, Fitting, Isotonic, Quantile, truncated_gaussian

RNG = np.random.default_rng(0)


def shrunk_predictions(n=4000):
    """Skewed training labels, and predictions pulled to their mean as a network trained on squared error pulls them."""
    y_train = RNG.normal(50, 5, n)
    y_val = RNG.uniform(35, 65, 1500)
    noise = 5.0
    seen = y_val + RNG.normal(0, noise, y_val.size)
    # the mean of p_train(y | seen) for a Gaussian prior and Gaussian noise
    pred = (seen * 25 + 50 * noise**2) / (25 + noise**2)
    return y_train, y_val, pred


def fitting():
    y_train, y_val, pred = shrunk_predictions()
    return Fitting(y_train, Bins.width(y_train, 0.5), y_val, pred)


def test_debias_undoes_the_prior():
    f = fitting()
    # p_train(y | x) of this network has variance 1 / (1/25 + 1/25)
    sigma = np.sqrt(12.5)
    correct = Debias(sigma=sigma).fit(f)
    middle = np.abs(f.y_val - 50) < 8
    before = np.polyfit(f.y_val[middle], f.pred_val[middle], 1)[0]
    after = np.polyfit(f.y_val[middle], correct(f.pred_val)[middle], 1)[0]
    assert before == pytest.approx(0.5, abs=0.05)
    assert after == pytest.approx(1.0, abs=0.12)


def integrated(pred, sigma, bins, y, steps=400):
    """The posterior mean, by the midpoint rule with many steps in each bin."""
    from tailwise import LDS

    counts = bins.histogram(y)
    density = LDS().effective(counts, power=1.0) / bins.widths
    log_terms, places = [], []
    for b in range(bins.n_bins):
        if counts[b]:
            nodes = bins.edges[b] + (np.arange(steps) + 0.5) / steps * bins.widths[b]
            log_terms.append(-((pred - nodes) ** 2) / (2 * sigma**2) + np.log(bins.widths[b] / density[b]))
            places.append(nodes)
    share = np.exp(np.concatenate(log_terms) - np.max(log_terms))
    return (share * np.concatenate(places)).sum() / share.sum()


@pytest.mark.parametrize("sigma", [0.1, 0.5, 3.0, 500.0])
def test_debias_against_a_plain_integral(sigma):
    f = fitting()
    correct = Debias(sigma=sigma).fit(f)
    for pred in (36.2, 44.0, 45.1, 50.3, 65.1):
        assert correct([pred])[0] == pytest.approx(integrated(pred, sigma, f.bins, f.y_train), abs=2e-3 + 1e-3 * sigma)


@pytest.mark.parametrize("sigma", [1e-18, 1e-9, 1e9, 1e18])
def test_debias_of_any_sigma_is_finite_without_a_warning(sigma):
    y = np.random.default_rng(0).gamma(2.0, 10.0, 200)
    with np.errstate(all="raise", under="ignore"):
        corrected = Debias(sigma=sigma).fit(Fitting(y, Bins.auto(y), y, y + 1))(y)
    assert np.isfinite(corrected).all()
    assert (corrected >= 0).all()


def test_debias_jumps_over_labels_without_rows_where_both_sides_are_alike():
    y = np.concatenate([np.linspace(0, 9.99, 500), np.linspace(60, 69.99, 500)])
    correct = Debias(sigma=0.5).fit(Fitting(y, Bins.width(y, 10.0), y, y))
    assert correct([25.0, 34.0, 36.0, 45.0]).round().tolist() == [10.0, 10.0, 60.0, 60.0]


@pytest.mark.parametrize("widths", [1e-6, 0.01, 0.016, 0.1, 0.3, 0.5, 1.0, 3.0, 10.0, 100.0, 1e6])
def test_debias_of_uniform_labels_never_raises_the_error(widths):
    y = np.arange(0.005, 100, 0.01)
    sigma = 10 * widths
    pred = y + np.random.default_rng(1).normal(0, sigma, y.size)
    corrected = Debias(sigma=sigma).fit(Fitting(y, Bins.width(y, 10.0), y, pred))(pred)
    assert np.abs(corrected - y).mean() <= np.abs(pred - y).mean() * (1 + 1e-6)
    assert (corrected >= -1e-4).all()
    assert (corrected <= 100.0001).all()


@pytest.mark.parametrize("width", [1e-6, 1e-3, 0.1, 1.0, 8.0])
@pytest.mark.parametrize("low", [-45.0, -8.0, -0.3, -0.5e-6, 0.0, 2.0, 37.0, 1e4])
def test_moments_of_a_truncated_gaussian(low, width):
    log_mass, mean = truncated_gaussian(low, low + width)
    steps = 200_001
    nodes = low + (np.arange(steps) + 0.5) / steps * width
    log_terms = -(nodes**2) / 2
    terms = np.exp(log_terms - log_terms.max())
    expected = np.log(terms.sum() * width / steps) + log_terms.max() - np.log(2 * np.pi) / 2
    assert log_mass == pytest.approx(expected, rel=1e-7, abs=1e-6)
    assert mean - low == pytest.approx((terms * (nodes - low)).sum() / terms.sum(), rel=2e-2 if low > 1e3 else 1e-5)


def test_debias_of_labels_that_are_all_alike_likely_keeps_predictions():
    y = np.repeat(np.arange(100.0), 20)
    f = Fitting(y, Bins.auto(y), y, y + RNG.normal(0, 2, y.size))
    assert np.allclose(Debias(sigma=2.0).fit(f)(np.arange(20.0, 80.0)), np.arange(20.0, 80.0), atol=0.05)


def test_isotonic_never_makes_the_squared_error_of_its_rows_larger():
    f = fitting()
    corrected = Isotonic().fit(f)(f.pred_val)
    assert np.square(corrected - f.y_val).mean() < np.square(f.pred_val - f.y_val).mean()
    assert (np.diff(corrected[np.argsort(f.pred_val)]) >= 0).all()


@pytest.mark.parametrize("to", ["validation", "train", "uniform"])
def test_quantiles_become_those_of_the_labels(to):
    f = fitting()
    uniform = np.linspace(f.y_train.min(), f.y_train.max(), 1001)
    wanted = {"validation": f.y_val, "train": f.y_train, "uniform": uniform}[to]
    corrected = Quantile(to=to).fit(f)(f.pred_val)
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        assert np.quantile(corrected, share) == pytest.approx(np.quantile(wanted, share), abs=0.3)


def test_predictions_that_are_all_equal_stay_one_value():
    f = Fitting(np.arange(50.0), Bins.auto(np.arange(50.0)), np.arange(20.0), np.full(20, 7.0))
    for correct in (Isotonic().fit(f), Quantile().fit(f), Debias().fit(f)):
        assert np.ptp(correct([7.0, 7.0])) == 0


def test_bad_input():
    f = fitting()
    with pytest.raises(InputError, match="sigma"):
        Debias(sigma=0.0)
    with pytest.raises(InputError, match="nothing to correct"):
        Debias().fit(Fitting(f.y_train, f.bins, f.y_val, f.y_val))
    with pytest.raises(InputError, match="to must be one of"):
        Quantile(to="test")
    with pytest.raises(InputError, match="levels"):
        Quantile(levels=1)
    with pytest.raises(InputError, match="increasing"):
        Correction(np.array([1.0, 1.0]), np.array([0.0, 1.0]))
    with pytest.raises(InputError, match="never fall"):
        Correction(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    with pytest.raises(InputError, match="they must be equal"):
        Fitting(f.y_train, f.bins, f.y_val, f.pred_val[:-1])


def test_lists_are_taken_and_what_is_not_finite_is_refused():
    bins = Bins.from_edges([0, 1, 2, 3])
    f = Fitting([0.5, 1.5, 2.5], bins, [0.5, 1.5], [1.0, 1.0])
    for correction in (Isotonic(), Quantile(), Debias()):
        assert np.isfinite(correction.fit(f)([1.0])).all()
    with pytest.raises(InputError, match="pred_val has 1 predictions that are NaN"):
        Fitting([0.5, 1.5], bins, [0.5, 1.5], [1.0, np.nan])
    with pytest.raises(InputError, match="y_val has 1 labels that are NaN"):
        Fitting([0.5, 1.5], bins, [0.5, np.nan], [1.0, 1.0])
    with pytest.raises(InputError, match="y_train is empty"):
        Fitting([], bins, [0.5], [1.0])


def test_saved_and_read_back():
    correct = Isotonic().fit(fitting())
    again = Correction.from_json(correct.to_json())
    x = np.linspace(30, 70, 99)
    assert np.array_equal(again(x), correct(x))
