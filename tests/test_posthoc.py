import numpy as np
import pytest

from tailwise import Bins, InputError
from tailwise.posthoc import Correction, Debias, Fitting, Isotonic, Quantile

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


def test_debias_against_plain_loops():
    f = fitting()
    bins, sigma = f.bins, 3.0
    counts = bins.histogram(f.y_train)
    from tailwise import LDS

    density = LDS().effective(counts, power=1.0)
    top = bottom = 0.0
    for b in range(bins.n_bins):
        if counts[b]:
            p = np.exp(-((44.0 - bins.centers[b]) ** 2) / (2 * sigma**2)) / (density[b] / bins.widths[b])
            top, bottom = top + p * bins.widths[b] * bins.centers[b], bottom + p * bins.widths[b]
    assert Debias(sigma=sigma).fit(f)([44.0])[0] == pytest.approx(top / bottom, rel=1e-4)


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


def test_saved_and_read_back():
    correct = Isotonic().fit(fitting())
    again = Correction.from_json(correct.to_json())
    x = np.linspace(30, 70, 99)
    assert np.array_equal(again(x), correct(x))
