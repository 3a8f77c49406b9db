"""Heads of their own for the members of an ensemble: TabM with a loss that brings its head."""

import numpy as np
import pytest
import torch

import tailwise
from conftest import toy_frame
from tailwise import Experiment, FittedModel, InputError, Recipe, Regressor, compose, prepare
from tailwise.heads.attach import head_from, replacement, shape_from_json, shape_to_json
from tailwise.heads.ensemble import EnsembleHead
from tailwise.heads.head import Head
from tailwise.heads.members import MemberHeads
from tailwise.losses.mixture_likelihood import MixtureLikelihood
from tailwise.losses.pointwise import L1

Y = np.array([10.0, 20.0, 60.0, 35.0, 36.0])
WITH_DISTRIBUTION = [
    {"kind": "mixture", "n_components": 3},
    {"kind": "histogram", "n_cells": 5},
    {"kind": "quantile", "levels": [0.05, 0.3, 0.6, 0.9]},
    {"kind": "laplace", "n_heads": 2},
]


def made(inner):
    torch.manual_seed(0)
    return head_from(8, {"kind": "members", "members": 4, "head": inner}).double().match_scale(Y)


def features(n=9):
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("inner", [*WITH_DISTRIBUTION, {"kind": "point"}], ids=str)
class TestMembers:
    def test_each_member_sees_its_own_features(self, inner):
        head, z = made(inner), features()
        assert isinstance(head, Head)
        outputs = head.outputs(z)
        for j, member in enumerate(head.members):
            torch.testing.assert_close(outputs[:, j], member.outputs(z[:, 2 * j : 2 * j + 2]))
        points = torch.stack([m.point(outputs[:, j]) for j, m in enumerate(head.members)], dim=1)
        torch.testing.assert_close(head(z), points.mean(1))
        assert len(set(points[0].tolist())) == 4

    def test_the_losses_are_those_of_the_members(self, inner):
        head, y = made(inner), torch.from_numpy(np.tile(Y, 2)[:9])
        outputs = head.outputs(features())
        losses = head.losses(L1(), outputs, y, None)
        expected = [L1()(member.point(outputs[:, j]), y) for j, member in enumerate(head.members)]
        torch.testing.assert_close(torch.stack(list(losses)), torch.stack(expected))

    def test_rebuilt_from_its_shape(self, inner):
        head = made(inner)
        shape = shape_from_json({"kind": "network", **shape_to_json(head.shape)})
        assert shape == head.shape == {"kind": "members", "members": 4, "head": inner}
        again = head_from(8, shape).double()
        assert not torch.equal(again(features()), head(features()))
        again.load_state_dict(head.state_dict())
        assert torch.equal(again(features()), head(features()))

    def test_reset_draws_new_weights_and_keeps_units(self, inner):
        head = made(inner)
        before = {name: values.clone() for name, values in head.state_dict().items()}
        head.reset()
        for name, values in head.state_dict().items():
            kept = name.rpartition(".")[2] in ("shift", "scale", "edges")
            if kept or name.endswith("weight"):
                assert torch.equal(values, before[name]) == kept


@pytest.mark.parametrize("inner", WITH_DISTRIBUTION, ids=str)
def test_the_distribution_is_the_mixture_of_the_members(inner):
    head = made(inner)
    outputs = head.outputs(features())
    predictive = head.predictive(outputs)
    np.testing.assert_allclose(predictive.mean(), head.point(outputs).detach(), rtol=1e-5)
    np.testing.assert_allclose(predictive.std(), head.std(outputs).detach(), rtol=1e-5)
    each = [member.predictive(outputs[:, j]).cdf(30.0) for j, member in enumerate(head.members)]
    np.testing.assert_allclose(predictive.cdf(30.0), np.mean(each, axis=0), rtol=1e-9)
    for n in (0, 1):
        assert len(head.predictive(head.outputs(features(n)))) == n


def test_points_have_no_distribution():
    head = made({"kind": "point"})
    outputs = head.outputs(features())
    assert head.std(outputs) is None
    assert head.predictive(outputs) is None


def test_bad_shapes():
    inner = {"kind": "point"}
    with pytest.raises(InputError, match="7 features cannot be shared out to 3 members"):
        head_from(7, {"kind": "members", "members": 3, "head": inner})
    with pytest.raises(InputError, match="members"):
        head_from(7, {"kind": "members", "members": 0, "head": inner})
    with pytest.raises(InputError, match="heads is empty"):
        MemberHeads([])


def test_a_head_without_members_is_replaced_as_it_is():
    assert replacement({"kind": "point"}, {"kind": "mixture"}) == {"kind": "mixture"}
    assert replacement({}, {"kind": "mixture"}) == {"kind": "mixture"}
    members = {"kind": "members", "members": 4, "head": {"kind": "mixture"}}
    assert replacement(members, {"kind": "mixture"}) == members


def test_the_training_loss_is_the_mean_of_the_members_likelihoods():
    torch.manual_seed(0)
    model = Regressor(torch.nn.Linear(3, 8), 8)
    model.head = EnsembleHead(8, members=4)
    objective = compose("mixture", mixture={"n_components": 2}).build(model, Y)
    assert model.head.shape == {"kind": "members", "members": 4, "head": {"kind": "mixture", "n_components": 2}}
    x, y = torch.randn(5, 3), torch.from_numpy(Y).float()
    loss = MixtureLikelihood(float(Y.std()), n_components=2)
    outputs = model.head.outputs(model.encode(x))
    expected = sum(loss(outputs[:, j], y) for j in range(4)) / 4
    torch.testing.assert_close(objective(x, y)["loss"], expected)
    head = model.head
    compose("mixture", mixture={"n_components": 2}).build(model, Y)
    assert model.head is head


def test_tabm_with_a_mixture_through_the_whole_flow(tmp_path):
    task = prepare(toy_frame(400), "price")
    params = {"members": 3, "width": 8, "depth": 2}
    experiment = Experiment("mixture", encoder="tabm", params=params, recipe=Recipe(epochs=4, device="cpu"))
    model, (x, y) = tailwise.fit(task, experiment), task.rows_of("test")
    assert model.conditional is None
    known = model.predictions(x, predictive=True)
    assert known.predictive.means.shape == (len(y), 15)
    np.testing.assert_allclose(known.predictive.mean(), known.pred, rtol=1e-4)
    assert np.isfinite(known.predictive.crps(y)).all()
    model.save(tmp_path)
    np.testing.assert_array_equal(FittedModel.load(tmp_path).predict(x, balance=0.5), model.predict(x, balance=0.5))
