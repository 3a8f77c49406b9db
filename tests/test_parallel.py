"""Calls in parallel: on this machine, and on local clusters of Dask and Ray."""

import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed

import tailwise
from tailwise import Experiment, InputError, Recipe
from tailwise._parallel import check_parallel, in_parallel
from tailwise.compare.entries import entries_of
from tailwise.compare.grid import run_grid
from tailwise.compare.plan import plan_cells
from test_cli import refused


def roots(backend, jobs=2):
    return list(in_parallel((delayed(math.isqrt)(i * i) for i in range(5)), jobs=jobs, backend=backend))


def draw(number):
    """Draw from torch as a training does: seeded first, with something that scikit-learn does in parallel between."""
    torch.manual_seed(number)
    values = [float(torch.rand(()))]
    for _ in range(5):
        Parallel(n_jobs=2)(delayed(time.sleep)(0.02) for _ in range(2))
        values.append(float(torch.rand(())))
    return values


def nested(backend):
    """Make calls in parallel from a call that is itself one of several."""
    return list(in_parallel((delayed(math.isqrt)(i * i) for i in range(3)), jobs=2, backend=backend))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3))
    return pd.DataFrame(x, columns=list("abc")).assign(y=np.exp(x[:, 0]) + 0.1 * rng.normal(size=240))


def stacked(table, backend):
    task = tailwise.prepare(table, "y")
    params = {"folds": 2, "jobs": 2, "backend": backend, "experts": ("network", "lightgbm")}
    recipe = Recipe(epochs=2, device="cpu")
    model = tailwise.fit(task, Experiment("vanilla", model="stack", params=params, recipe=recipe))
    return model.predict(table.drop(columns="y"))


@pytest.fixture(scope="module")
def here(table):
    return stacked(table, "loky")


@pytest.fixture(scope="class")
def cluster(request):
    """A local cluster of two processes, as the backend of a test."""
    if request.param == "dask":
        distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
        with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None):
            yield "dask"
    else:
        ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield "ray"
        ray.shutdown()


class TestHere:
    def test_results_come_in_the_order_of_the_calls(self):
        assert roots("loky") == roots("loky", jobs=1) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize(("jobs", "backend", "said"), [(0, "loky", "`jobs` must be"), (1, "abacus", "must be one")])
    def test_bad_input(self, jobs, backend, said):
        with pytest.raises(InputError, match=said):
            check_parallel(jobs, backend)

    @pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray.util.joblib")])
    def test_a_missing_package_names_the_extra(self, backend, package, monkeypatch):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=rf"pip install 'tailwise\[{backend}\]'"):
            check_parallel(1, backend)

    def test_a_backend_of_a_stack_is_checked_before_it_trains(self, toy_csv, tmp_path, capsys):
        words = ["train", toy_csv, "-t", "price", "--backend", "abacus", "-o", tmp_path / "run"]
        assert "--backend must be one of 'loky', 'dask', 'ray', got 'abacus'" in refused(capsys, *words)
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["dask", "ray"], indirect=True)
class TestClusters:
    def test_a_stack_is_trained_there_and_predicts_the_same(self, cluster, table, here):
        assert roots(cluster) == [0, 1, 2, 3, 4]
        assert os.getpid() not in in_parallel((delayed(os.getpid)() for _ in range(4)), jobs=2, backend=cluster)

        np.testing.assert_array_equal(stacked(table, cluster), here)

    def test_a_grid_has_the_same_numbers(self, cluster, toy_csv, tmp_path):
        cells = plan_cells([(str(toy_csv), "price")], entries_of(["vanilla", "inv"], models=["linear"]), seeds=1)
        there, here = (
            {str(cell.predictions_file(Path())): result["metrics"] for cell, result in run_grid(cells, out, backend=by)}
            for by, out in ((cluster, tmp_path / "there"), ("loky", tmp_path / "here"))
        )
        assert there == here
        assert len(here) == 2


@pytest.mark.slow
def test_workers_of_several_threads_run_one_call_at_a_time():
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    with distributed.Client(n_workers=1, threads_per_worker=3, dashboard_address=None):
        found = list(in_parallel((delayed(draw)(i) for i in range(6)), jobs=3, backend="dask"))
        from_calls = list(in_parallel((delayed(nested)("dask") for _ in range(4)), jobs=3, backend="dask"))
    assert found == [draw(i) for i in range(6)]
    assert from_calls == [[0, 1, 2]] * 4


@pytest.mark.slow
def test_without_a_client_dask_has_workers_of_its_own_while_it_runs():
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    assert roots("dask") == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"[Cc]lient"):
        distributed.get_client()
