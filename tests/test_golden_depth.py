"""Golden numbers of NYUD2-DIR, whose 3.5 billion training pixels come as counts of bins."""

import json

import numpy as np
import pytest

from golden import ABSENT, SHARED, golden, load_golden
from tailwise import Bins, Shots
from tailwise.labels.density import LDS
from tailwise.labels.streaming import LabelDensity
from tailwise.losses.balanced_mse import BNI
from tailwise.metrics.depth import DepthErrors
from tailwise.weights.by_density import density_weights

BINS = Bins.from_edges(np.arange(101) / 10)
POWERS = {"inverse": 1.0, "sqrt_inv": 0.5}
FIRST = 7  # no pixel is nearer than 0.7 m
AGES = dict.fromkeys(["c007", "c008", "c009", "c010"], "ages: asserted in test_densities.py")


def histogram():
    path = SHARED / "data" / "labels" / "nyud2_dir_train_depth_histogram.json"
    if not path.exists():
        pytest.skip(ABSENT)
    return np.asarray(json.loads(path.read_text(encoding="utf-8"))["counts"])


def counted(counts, bins):
    density = LabelDensity(bins)
    density.counts = counts
    return density


def lds_of(params):
    kernel = {"triang": "triangular"}.get(params["kernel"], params["kernel"])
    return LDS(kernel=kernel, window=params["ks"], sigma=float(params["sigma"]), padding="reflect", compat="reference")


@pytest.mark.filterwarnings("ignore:the weights are extreme")
@pytest.mark.parametrize("case", golden("bucket_weights_nyud2_bni", without=AGES, having="bucket_weights"))
def test_weights_of_pixels_equal_the_reference(case):
    bins = Bins.from_edges(np.arange(FIRST, 101) / 10)  # nearer pixels, if there were any, share the first bin
    lds = lds_of(case.params) if case.params["lds"] else None
    weights = density_weights(counted(histogram()[FIRST:], bins), power=POWERS[case.params["reweight"]], density=lds)
    case.close(weights.sample_weight((np.arange(100) + 0.5) / 10), "bucket_weights")


@pytest.mark.parametrize("case", golden("bucket_weights_nyud2_bni", having="bni_bucket_weights"))
def test_bins_of_bni_equal_the_reference(case):
    power = POWERS[case.params["reweight"]]
    counts = histogram()[FIRST:].astype(float)
    effective = lds_of(case.params).effective(counts, power=power) if case.params["lds"] else counts**power
    bni = BNI(counted(np.r_[[effective[0]] * FIRST, effective], BINS))
    np.testing.assert_allclose(bni.centers, case.expected["bni_bucket_centers"], rtol=1e-6)
    case.close(bni.shares, "bni_bucket_weights")


def test_the_thresholds_of_the_paper_give_its_lists_of_bins():
    counts = histogram()
    shots = Shots.from_labels(counted(counts, BINS), many=2.6e7, few=1.0e7)
    listed = next(load_golden("depth_metrics_nyud2")).shared
    np.testing.assert_array_equal(np.flatnonzero(shots.bin_codes == 0), listed["shot_many"])
    np.testing.assert_array_equal(np.flatnonzero(shots.bin_codes == 1), listed["shot_medium"])
    # Bins without a pixel, which the list counts as few, are a region of their own.
    np.testing.assert_array_equal(np.flatnonzero(shots.bin_codes >= 2), listed["shot_few"])
    np.testing.assert_array_equal(np.flatnonzero(shots.bin_codes == 3), np.arange(FIRST))


@pytest.mark.parametrize("case", golden("depth_metrics_nyud2"))
def test_metrics_pooled_over_maps_equal_the_reference(case):
    true, pred = case.inputs["depth"], case.inputs["output"]
    listed = case.shared
    shots = Shots.listed(BINS, np.ones(100), many=listed["shot_many"].tolist(), medium=listed["shot_medium"].tolist())
    errors = DepthErrors(shots)
    cut = true.size // 3  # two maps of different size, with an unknown pixel each
    for part in (slice(0, cut), slice(cut, None)):
        errors.add(np.r_[true[part], np.nan], np.r_[pred[part], 1.0])
    regions = errors.metrics(resamples=0)
    for theirs, ours in [("overall", "all"), ("many", "many"), ("medium", "medium"), ("few", "few")]:
        region = regions[ours]
        assert region.n == case.expected[f"shot.{theirs}.NUM"]
        if region.n == 0:
            assert region.metrics == {}
            continue
        values = {name: interval.value for name, interval in region.metrics.items()}
        for name in ("MSE", "RMSE", "MAE", "ABS_REL", "LG10", "DELTA1", "DELTA2", "DELTA3"):
            case.close(values[name.lower()], f"shot.{theirs}.{name}", single=True)
