"""What each process of a group asserts; ``test_processes.py`` starts it by torchrun."""

import os
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tailwise import Bins
from tailwise.augment.cmixup import CMixup
from tailwise.augment.views import TwoViews
from tailwise.data.rows import FrameRows
from tailwise.distributed import _SIZES, gather_all, gather_objects, gather_rows, own_rows, piece, sharing, world
from tailwise.heads.point import Regressor
from tailwise.losses.balanced_mse import BMC
from tailwise.methods.objective import Objective
from tailwise.modalities.mlp import Dropout
from tailwise.regularizers.conr import ConR
from tailwise.regularizers.rank_n_contrast import RankNContrast
from tailwise.regularizers.ranksim import RankSim
from tailwise.smoothing.fds import FDS
from tailwise.training.batches import Batches
from tailwise.training.streamed_batches import StreamedBatches

BINS = Bins.from_edges(range(11))


@contextmanager
def sharing_alone():
    """As if the whole batch were this process's own."""
    token = _SIZES.set(None)
    try:
        yield
    finally:
        _SIZES.reset(token)


def batch(n):
    generator = torch.Generator().manual_seed(n)
    y = torch.randint(0, 10, (n,), generator=generator).double()
    z = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    return z, y, y + torch.randn(n, generator=generator, dtype=torch.float64), 0.5 + y / 10


def pieces_over_the_global_batch_have_the_gradients_of_one_process():
    rank, of = world()
    for make in (
        lambda g: ConR(window=1.0, global_batch=g),
        lambda g: ConR(window=1.0, compat="reference", global_batch=g),
        lambda g: RankNContrast(global_batch=g),
        lambda g: RankSim(global_batch=g),
        lambda g: BMC(sigma=2.0, global_batch=g),
    ):
        z, y, pred, weight = batch(8 * of)
        own = slice(8 * rank, 8 * rank + 8)

        def value(module, z, y, pred, weight):
            torch.manual_seed(1)  # RankSim draws one of equal labels
            leaf = pred if isinstance(module, BMC) else z
            leaf.requires_grad_()
            term = module(pred, y, weight) if isinstance(module, BMC) else module(z, y, pred, weight)
            return term.detach(), torch.autograd.grad(term, leaf)[0]

        whole, of_whole = value(make(False), z.clone(), y, pred.clone(), weight)
        shared, of_own = value(make(True), z[own].clone(), y[own], pred[own].clone(), weight[own])
        torch.testing.assert_close(shared, whole)
        torch.testing.assert_close(of_own, of * of_whole[own])  # data-parallel training takes the mean over processes


def a_data_parallel_step_has_the_gradient_of_one_process():
    rank, of = world()
    z, y, _, _ = batch(4 * of)
    gradients = []
    for parallel in (False, True):
        torch.manual_seed(0)
        network = nn.Linear(4, 3).double()
        conr = ConR(window=1.0, global_batch=parallel)
        wrapped = DistributedDataParallel(network) if parallel else network
        own = slice(4 * rank, 4 * rank + 4) if parallel else slice(None)
        features = wrapped(z[own])
        (conr(features, y[own], y[own]) + (features.sum(1) - y[own]).square().mean()).backward()
        gradients.append(network.weight.grad)
    torch.testing.assert_close(gradients[1], gradients[0])


def assert_statistics(fds, z, y):
    for b in range(10):
        rows = z[y == b]
        assert len(rows) > 1
        torch.testing.assert_close(fds.running_mean[b], rows.mean(0))
        torch.testing.assert_close(fds.running_var[b], rows.var(0))


def statistics_of_bins_are_those_of_all_rows():
    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.fds, self.linear = FDS(BINS, 4).double(), nn.Linear(4, 1).double()

        def forward(self, z, y):
            return self.linear(self.fds(z, y)).sum()

    rank, of = world()
    z, y, _, _ = batch(90)
    step = Step()
    # Buffers of the first process overwrite those of the others at each step, as is the default of DDP.
    wrapped = DistributedDataParallel(step)
    rows = torch.arange(90)[torch.arange(90) % of == rank]
    for part in rows.split(11):
        wrapped(z[part], y[part]).backward()
    step.fds.end_epoch()
    assert_statistics(step.fds, z, y)
    assert len({str(found) for found in gather_objects(step.fds.scale.tolist())}) == 1


def one_process_without_samples_does_not_matter():
    z, y, _, _ = batch(90)
    fds = FDS(BINS, 4).double()
    if world()[0] == 0:
        fds(z, y)
    fds.end_epoch()
    assert_statistics(fds, z, y)


def uneven_pieces_are_gathered_in_order():
    _, of = world()
    for n in (of, of + 1, 2 * of - 1, 1, 17):
        z, y, _, _ = batch(n)
        own = piece(n)
        with sharing(n):
            rows = z[own].clone().requires_grad_()
            found, labels, nothing = gather_all(rows, y[own], None)
            assert torch.equal(found, z)
            assert torch.equal(labels, y)
            assert nothing is None
            weights = torch.arange(1.0, n + 1, dtype=torch.float64)
            (gradient,) = torch.autograd.grad((found.sum(1) * weights).sum(), rows)
            torch.testing.assert_close(gradient, of * weights[own].unsqueeze(1).expand_as(gradient))
            views = gather_rows(torch.cat([z[own], z[own]]))
            assert len(views) == 2 * n
            torch.manual_seed(0)
            drawn = own_rows(lambda n: torch.rand(n, 2), len(y[own]))
            torch.manual_seed(0)
            assert torch.equal(drawn, torch.rand(n, 2)[own])
            for augment in (TwoViews(corrupt=0.5), CMixup(bandwidth=2.0)):
                torch.manual_seed(0)
                shared = augment.train().inputs(z[own].float(), y[own].float())
                next_draw = torch.rand(1)
                made = [gather_rows(part) for part in shared]
                assert gather_objects(float(next_draw)) == [float(next_draw)] * of
                with sharing_alone():
                    torch.manual_seed(0)
                    whole = augment.inputs(z.float(), y.float())
                for part, expected in zip(made, whole, strict=True):
                    assert torch.equal(part, expected)


def a_piece_that_gathers_does_so_once():
    rank, of = world()
    z, y, _, _ = batch(8 * of)
    values = []
    for own_flag in (False, True):
        torch.manual_seed(0)
        model = Regressor(nn.Linear(4, 3), 3)
        regularizers = {"conr": ConR(window=1.0, global_batch=own_flag)}
        objective = Objective(model, regularizers=regularizers, global_batch=True)
        rows = slice(8 * rank, 8 * rank + 8)
        values.append(float(objective(z[rows].float(), y[rows].float())["conr"].detach()))
    assert values[0] == values[1]


def rows_from_disk_come_once_whatever_a_step_draws():
    frame = pd.DataFrame({"a": np.arange(40_000.0)})
    batches = StreamedBatches(
        FrameRows(frame), np.arange(40_000.0), lambda part: part.to_numpy(np.float32), batch_size=33
    )
    torch.manual_seed(0)
    seen = []
    for n, x, y in batches.pieces():
        with sharing(n):
            TwoViews().train().inputs(x, y)
        torch.rand(world()[0])  # a step that draws unevenly
        seen += y.tolist()
    assert sorted(row for part in gather_objects(seen) for row in part) == list(range(40_000))


def dropout_is_that_of_the_global_batch():
    x = torch.ones(9, 6)
    torch.manual_seed(0)
    whole = nn.functional.dropout(x, 0.5, training=True)
    torch.manual_seed(0)
    with sharing(9):
        assert torch.equal(Dropout(0.5)(x[piece(9)]), whole[piece(9)])


def every_row_is_in_one_process_once():
    torch.manual_seed(3)
    batches = Batches(torch.arange(50.0).unsqueeze(1), torch.arange(50.0), batch_size=7)
    seen = [(n, y.tolist()) for n, _, y in batches.pieces()]
    by_process = gather_objects(seen)
    torch.manual_seed(3)
    order = torch.randperm(50)
    for number, batch_order in enumerate(order.split(7)):
        assert {part[number][0] for part in by_process} == {len(batch_order)}
        assert [label for part in by_process for label in part[number][1]] == batch_order.tolist()


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    for check in (
        pieces_over_the_global_batch_have_the_gradients_of_one_process,
        a_data_parallel_step_has_the_gradient_of_one_process,
        statistics_of_bins_are_those_of_all_rows,
        one_process_without_samples_does_not_matter,
        uneven_pieces_are_gathered_in_order,
        a_piece_that_gathers_does_so_once,
        rows_from_disk_come_once_whatever_a_step_draws,
        dropout_is_that_of_the_global_batch,
        every_row_is_in_one_process_once,
    ):
        check()
    print(f"process {world()[0]} done", flush=True)
    dist.barrier()
    os._exit(0)  # the threads of gloo now and then abort an interpreter that takes itself apart
