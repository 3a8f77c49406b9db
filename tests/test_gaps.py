import numpy as np
import pytest

from conftest import toy_frame
from tailwise import InputError, Shots, region_metrics
from tailwise.experiment.prepare import prepare
from tailwise.labels.gaps import Gaps


def test_regions_of_the_papers_subset():
    """Training ages 15 to 44 and 60 to 84: interpolation between them, extrapolation beyond."""
    ages = np.arange(0.0, 101.0)
    gaps = Gaps.from_labels(ages, [(0, 15), (45, 60), (85, 200)])
    names = gaps.names(ages)
    assert set(ages[names == "seen"]) == {*range(15, 45), *range(60, 85)}
    assert set(ages[names == "interpolation"]) == set(range(45, 60))
    assert set(ages[names == "extrapolation"]) == {*range(15), *range(85, 101)}
    assert Gaps.from_json(gaps.to_json()) == gaps


def test_bad_ranges():
    with pytest.raises(InputError, match="low < high"):
        Gaps.from_labels([1.0, 2.0], [(3, 3)])
    with pytest.raises(InputError, match="low < high"):
        Gaps.from_labels([1.0, 2.0], [(np.nan, 3)])
    for pair in ((1, 2, 3), 1.0):
        with pytest.raises(InputError, match=r"is a pair \(low, high\), got"):
            Gaps.from_labels([1.0, 2.0], [pair])
    with pytest.raises(InputError, match="`mask_target` leaves no training row"):
        Gaps.from_labels([1.0, 2.0], [(0, 3)])
    with pytest.raises(InputError, match="`mask_target` leaves training rows with a single label, 1"):
        Gaps.from_labels([1.0, 1.0, 2.0], [(1.5, 3)])
    with pytest.raises(InputError, match=r"1000,2000 removes nothing.* in 1000 to 2000; they run from 25 to 346"):
        Gaps.from_labels([25.0, 100.0, 346.0], [(90, 110), (1000, 2000)])


def test_ranges_that_overlap_or_meet_are_one():
    gaps = Gaps.from_labels(np.arange(100.0), [(70, 80), (40, 60), (30, 50), (60, 65)])
    assert gaps.ranges == ((30.0, 65.0), (70.0, 80.0))
    assert gaps.masks(np.arange(100.0)).sum() == 45


def test_seen_is_what_no_range_covers():
    gaps = Gaps.from_labels([1.0, 2.0, 5.0, 8.0, 20.0], [(3, 7)])
    assert gaps.names([-50.0, 7.5, 15.0, 99.0]).tolist() == ["seen"] * 4


def test_rows_are_removed_from_training_and_validation_only():
    table = prepare(toy_frame(), "price", mask_target=[(40.0, 60.0)], seed=0)
    whole = prepare(toy_frame(), "price", seed=0)
    inside = (table.y >= 40) & (table.y < 60)
    assert inside.sum() > 10
    assert set(table.part[inside]) == {"masked", "test"}
    assert np.array_equal(table.part == "test", whole.part == "test")
    assert np.array_equal(table.shots.bins.edges, whole.shots.bins.edges)
    assert table.shots.counts.sum() == (table.part == "train").sum()
    assert any("`mask_target`" in note for note in table.notes)


def test_metrics_of_the_gaps():
    table = prepare(toy_frame(), "price", mask_target=[(40.0, 60.0), (100.0, 1e9)], seed=0)
    _, y = table.rows_of("test")
    regions = region_metrics(y, y + 1, table.shots, resamples=10)
    assert list(regions) == ["all", "many", "medium", "few", "zero", "seen", "interpolation", "extrapolation"]
    assert regions["interpolation"].n == ((y >= 40) & (y < 60)).sum()
    assert regions["extrapolation"].n == (y >= 100).sum()
    assert regions["seen"].n + regions["interpolation"].n + regions["extrapolation"].n == len(y)
    again = Shots.from_json(table.shots.to_json())
    assert again.gaps == table.shots.gaps


def test_runs_from_before_gaps_can_be_read():
    saved = prepare(toy_frame(), "price").shots.to_json()
    del saved["gaps"]
    assert Shots.from_json(saved).gaps is None
