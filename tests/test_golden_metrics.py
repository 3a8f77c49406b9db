import csv

import numpy as np
import pytest

from golden import ABSENT, SHARED, golden
from tailwise.labels.bins import Bins
from tailwise.labels.shots import Shots
from tailwise.metrics.depth import DepthErrors
from tailwise.metrics.errors import (
    balanced_mean_absolute_error,
    geometric_mean_error,
    mean_absolute_error,
    pearson,
    root_mean_squared_error,
    spearman,
)
from tailwise.metrics.region_metrics import region_metrics


def shots_of_lists(bins, many, medium):
    """Shots whose regions are given lists of bins, the rest being few-shot."""
    counts = np.full(bins.n_bins, 1)
    counts[many], counts[medium] = 200, 50
    return Shots(bins, counts, many=100, few=20)


def released_split():
    """AgeDB-DIR's ages by split."""
    path = SHARED / "data" / "labels" / "agedb_dir_age_split.csv"
    if not path.exists():
        pytest.skip(ABSENT)
    with path.open() as file:
        rows = [(int(row["age"]), row["split"]) for row in csv.DictReader(file)]
    return {name: np.array([age for age, split in rows if split == name]) for name in ("train", "val", "test")}


class TestAgeDB:
    @staticmethod
    def shots(case):
        labels = case.inputs["labels"]
        train = case.inputs.get("train_labels", case.shared["agedb_train_labels"])
        # Theirs counts training rows by exact test label: where those are half years, bins of half a year do the same.
        width = 1.0 if (labels == np.floor(labels)).all() else 0.5
        bins = Bins.from_edges(np.arange(0, 122, width))
        many, few = case.params.get("many_shot_thr", 100), case.params.get("low_shot_thr", 20)
        return Shots.from_labels(np.floor(train), bins, many=many, few=few)

    @pytest.mark.parametrize("case", golden("shot_metrics_agedb"))
    def test_shots_equal_the_reference(self, case):
        true, pred = case.inputs["labels"], case.inputs["preds"]
        shots = self.shots(case)
        codes = shots.codes(true)
        by_region = region_metrics(true, pred, shots, resamples=0)
        # Labels without a training row, zero-shot here, are part of their "low".
        for theirs, ours, rows in [
            ("many", "many", codes == 0),
            ("median", "medium", codes == 1),
            ("low", "few" if (codes < 3).all() else None, codes >= 2),
        ]:
            if f"shot.{theirs}.mse" not in case.expected:
                # It raises as soon as one of its three shots is empty; here that shot has no metrics.
                assert by_region[ours].n == rows.sum()
                assert (by_region[ours].metrics == {}) == (not rows.any())
                continue
            values = {
                "mse": root_mean_squared_error(true[rows], pred[rows]) ** 2,
                "l1": mean_absolute_error(true[rows], pred[rows]),
                "gmean": geometric_mean_error(true[rows], pred[rows]),
                "balanced": balanced_mean_absolute_error(true[rows], pred[rows], shots.bins),
            }
            self.check(case, values, f"shot.{theirs}.{{}}", f"balanced.{theirs}.l1", (true == pred)[rows].any())
            if ours is not None:
                self.check_region(by_region[ours], values, rows.sum())

    @pytest.mark.parametrize("case", golden("shot_metrics_agedb"))
    def test_overall_metrics_equal_the_reference(self, case):
        true, pred = case.inputs["labels"], case.inputs["preds"]
        shots = self.shots(case)
        values = {
            "mse": root_mean_squared_error(true, pred) ** 2,
            "l1": mean_absolute_error(true, pred),
            "gmean": geometric_mean_error(true, pred),
            "balanced": balanced_mean_absolute_error(true, pred, shots.bins),
        }
        self.check(case, values, "overall.{}", "balanced_metrics.l1", (true == pred).any())
        self.check_region(region_metrics(true, pred, shots, resamples=0)["all"], values, true.size)

    @staticmethod
    def check(case, values, errors, balanced, exact_hit):
        # The balanced MSE has no counterpart here, and their balanced geometric mean is not balanced: it is the shot's.
        single = case.inputs["preds"].dtype == np.float32
        case.close(values["mse"], errors.format("mse"), single=single)
        case.close(values["l1"], errors.format("l1"), single=single)
        case.close(values["balanced"], balanced, single=single)
        if exact_hit:
            # One exact hit makes their geometric mean 0; here such an error counts as 1e-10.
            assert case.expected[errors.format("gmean")] == 0 < values["gmean"]
        else:
            case.close(values["gmean"], errors.format("gmean"), single=single)

    @staticmethod
    def check_region(region, values, n):
        assert region.n == n
        got = {name: region.metrics[name].value for name in ("mae", "rmse", "gm", "bmae")}
        want = {"mae": values["l1"], "rmse": values["mse"] ** 0.5, "gm": values["gmean"], "bmae": values["balanced"]}
        assert got == pytest.approx(want, rel=1e-12)

    def test_the_released_split_has_the_published_regions(self):
        split = released_split()
        train, test = split["train"], split["test"]
        assert (train.size, split["val"].size, test.size) == (12_208, 2_140, 2_140)
        bins = Bins.from_edges(np.arange(0, 122))
        shots = Shots.from_labels(train, bins, many=100, few=20)
        assert np.flatnonzero(shots.bin_codes == 0).tolist() == [*range(20, 69), 70, 72]
        assert np.flatnonzero(shots.bin_codes == 1).tolist() == [17, 18, 19, 69, 71, *range(73, 83), 85]
        assert np.flatnonzero(shots.bin_codes == 2).tolist() == [1, *range(3, 17), 83, 84, *range(86, 102)]
        assert np.bincount(shots.codes(test)).tolist() == [1_530, 448, 162]

    def test_default_thresholds_give_the_published_regions(self):
        split = released_split()
        bins = Bins.from_edges(np.arange(0, 122))
        published = Shots.from_labels(split["train"], bins, many=100, few=20)
        ours = Shots.from_labels(split["train"], bins)
        np.testing.assert_array_equal(ours.bin_codes, published.bin_codes)


class TestSTSB:
    @pytest.mark.parametrize("case", golden("shot_metrics_stsb"))
    def test_shots_equal_the_reference(self, case):
        # Labels are 0 to 5 and predictions 0 to 1 there.
        true, pred = case.inputs["labels"], case.inputs["preds"].astype(np.float64) * 5
        bins = Bins.from_edges(np.linspace(0, 5, 51).astype(np.float32))
        np.testing.assert_array_equal(bins.index(true), case.expected["bin_idx"])
        shots = shots_of_lists(bins, case.shared["many_bins"], case.shared["medium_bins"])
        by_region = region_metrics(true, pred, shots, resamples=0)
        assert by_region["zero"].n == 0
        for theirs, ours in {"overall": "all", "many": "many", "medium": "medium", "few": "few"}.items():
            region = by_region[ours]
            assert region.n == case.expected[f"{theirs}.num_samples"]
            if region.n == 0:
                # Theirs calls the errors of an empty shot 0.
                assert region.metrics == {}
                continue
            values = {name: interval.value for name, interval in region.metrics.items()}
            case.close(values["rmse"] ** 2, f"{theirs}.mse")
            case.close(values["mae"], f"{theirs}.l1")
            case.close(values["gm"], f"{theirs}.gmean")
            if region.n == 1:
                # Theirs calls the correlation of a single pair 0.
                assert "pearson" not in values
                assert "spearman" not in values
            else:
                case.close(values["pearson"], f"{theirs}.pearsonr")
                case.close(values["spearman"], f"{theirs}.spearmanr")


class TestNYUD2:
    # "balanced" expects, beside the MAE, balanced forms of metrics that are not balanced here. Its overall value counts
    # buckets 0 to 6 in the divisor without their errors, so it is not comparable where a depth lies below 0.7 m.
    @pytest.mark.parametrize("case", golden("depth_metrics_nyud2"))
    def test_shots_equal_the_reference(self, case):
        true, pred = case.inputs["depth"], case.inputs["output"]
        bins = Bins.from_edges(np.arange(101) / 10)
        np.testing.assert_array_equal(bins.index(true), case.expected["bucket"])
        shots = shots_of_lists(bins, case.shared["shot_many"], case.shared["shot_medium"])
        codes = shots.codes(true)
        by_region = region_metrics(true, pred, shots, resamples=0)
        errors = DepthErrors(shots)
        errors.add(true, pred)
        of_pixels = errors.metrics(resamples=0)
        for theirs, ours, rows in [
            ("overall", "all", codes >= 0),
            ("many", "many", codes == 0),
            ("medium", "medium", codes == 1),
            ("few", "few", codes == 2),
        ]:
            assert by_region[ours].n == rows.sum() == case.expected[f"shot.{theirs}.NUM"]
            if not rows.any():
                continue
            values = {name: interval.value for name, interval in by_region[ours].metrics.items()}
            depth = {name: interval.value for name, interval in of_pixels[ours].metrics.items()}
            for name, value in {
                "MSE": values["rmse"] ** 2,
                "RMSE": values["rmse"],
                "MAE": values["mae"],
                "ABS_REL": depth["abs_rel"],
                "LG10": depth["lg10"],
                **{f"DELTA{power}": depth[f"delta{power}"] for power in (1, 2, 3)},
            }.items():
                case.close(value, f"shot.{theirs}.{name}", single=True)

            # Theirs raises where one of its shots is empty.
            if f"balanced.{theirs}.MAE" in case.expected:
                kept = rows & (true >= np.float32(0.7))
                if theirs != "overall" or kept.all():
                    bmae = balanced_mean_absolute_error(true[kept], pred[kept], bins)
                    case.close(bmae, f"balanced.{theirs}.MAE", single=True)
                    assert kept.sum() == case.expected[f"balanced.{theirs}.NUM"]


def test_correlations_of_constant_or_single_values_are_missing():
    for correlation in (pearson, spearman):
        assert correlation([1.0], [2.0]) is None
        assert correlation([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) is None
        assert correlation([1.0, 2.0, 3.0], [4.0, 6.0, 8.0]) == pytest.approx(1)


def test_metrics_have_the_known_values():
    assert geometric_mean_error([0, 0], [1, 4]) == pytest.approx(2)
    assert balanced_mean_absolute_error([0, 0, 1], [1, 3, 6], Bins.from_edges([0, 1, 2])) == pytest.approx(3.5)
    assert mean_absolute_error([0, 0, 1], [1, 3, 6]) == pytest.approx(3)
