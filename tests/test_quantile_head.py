import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy.stats import norm

from tailwise import MLP, InputError, Regressor, compose
from tailwise.heads.attach import head_from
from tailwise.heads.quantile import QuantileHead
from tailwise.losses.pinball_loss import Pinball, pinball_loss

LEVELS = [level / 20 for level in range(1, 20)]
Y = np.random.default_rng(0).lognormal(2.0, 1.0, 400)
RNG = np.random.default_rng(1)


def batch(levels=LEVELS):
    outputs = torch.from_numpy(np.sort(RNG.normal(size=(6, len(levels))), axis=1))
    return outputs, torch.from_numpy(RNG.normal(size=6)), torch.from_numpy(RNG.uniform(0.5, 2, 6))


class TestLoss:
    @pytest.mark.parametrize("levels", [LEVELS, [0.1, 0.9]])
    def test_is_that_of_plain_loops(self, levels):
        outputs, y, weight = batch(levels)
        loss = Pinball(levels=levels).double()
        total = 0.0
        for i in range(6):
            for j, level in enumerate(levels):
                error = float(y[i] - outputs[i, j])
                total += float(weight[i]) * (level if error > 0 else level - 1) * error / len(levels) / 6
        assert float(loss(outputs, y, weight)) == pytest.approx(total, rel=1e-6)
        assert float(loss(outputs, y, 2 * weight)) == pytest.approx(2 * total, rel=1e-6)
        torch.testing.assert_close(loss(outputs, y), loss(outputs, y, torch.ones(6)))

    def test_default_levels(self):
        assert Pinball().levels == LEVELS

    def test_gradient(self):
        outputs, y, weight = batch()
        torch.autograd.gradcheck(lambda q: Pinball()(q, y, weight), outputs.requires_grad_())

    @pytest.mark.parametrize(
        "levels", [[0.5], [], [0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0], [-0.1, 0.5], [0.1, math.nan], 0.5, "abc"]
    )
    def test_bad_levels(self, levels):
        for make in (lambda: Pinball(levels=levels), lambda: QuantileHead(5, levels=levels)):
            with pytest.raises(InputError, match="levels must be at least two increasing numbers between 0 and 1"):
                make()

    @pytest.mark.parametrize(
        ("make", "match"),
        [
            (lambda: Pinball()(torch.zeros(6, 3), torch.zeros(6)), "quantiles of 19 levels have shape"),
            (lambda: Pinball()(torch.zeros(6, 19), torch.zeros(6, 1)), "quantiles of 19 levels have shape"),
            (lambda: Pinball()(torch.zeros(6, 19), torch.zeros(6), torch.ones(6, 1)), "weight has shape"),
            (lambda: QuantileHead(5, levels=LEVELS).match_scale([1.0, math.nan]), "not finite"),
            (lambda: QuantileHead(5, levels=LEVELS).match_scale([1.0, 1.0]), "constant"),
        ],
    )
    def test_mistakes(self, make, match):
        with pytest.raises(InputError, match=match):
            make()

    def test_k_targets_are_refused(self):
        y = np.stack([Y, Y[::-1]], axis=1)
        with pytest.raises(InputError, match="pinball: this part needs scalar labels"):
            compose("pinball").build(Regressor(MLP(2, widths=(4,)), 4, 2), y)

    def test_it_is_lowest_at_the_quantiles_of_the_labels(self):
        y = torch.from_numpy(Y)
        levels = torch.tensor(LEVELS, dtype=torch.float64)
        best = torch.quantile(y, levels).expand(len(y), -1)
        for shift in (-0.5, 0.5):
            assert pinball_loss(best, y, levels).mean() < pinball_loss(best + shift, y, levels).mean()


class TestHead:
    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.floats(0.001, 0.999), min_size=2, max_size=9, unique=True),
        st.floats(0.01, 1e4),
        st.integers(0, 10_000),
    )
    def test_quantiles_never_cross(self, levels, size, seed):
        torch.manual_seed(seed)
        head = QuantileHead(3, levels=sorted(levels)).match_scale(Y)
        outputs = head.outputs(size * torch.randn(20, 3))
        assert (outputs.diff(dim=1) >= 0).all()
        assert torch.isfinite(outputs).all()
        predictive = head.predictive(outputs)
        np.testing.assert_allclose(predictive.mean(), head.point(outputs).detach(), rtol=1e-3, atol=1e-3 * size)

    def test_outputs_of_zero_are_quantiles_of_a_gaussian(self):
        head = QuantileHead(3, levels=LEVELS).double().match_scale(Y)
        for parameter in head.parameters():
            torch.nn.init.zeros_(parameter)
        outputs = head.outputs(torch.zeros(1, 3, dtype=torch.float64))
        np.testing.assert_allclose(outputs[0].detach(), norm.ppf(LEVELS, Y.mean(), Y.std()), rtol=1e-5)

    def test_moments_are_those_of_uniform_pieces_and_exponential_tails(self):
        levels, quantiles = [0.1, 0.4, 0.9], [2.0, 5.0, 6.0]
        head = QuantileHead(3, levels=levels).double()
        outputs = torch.tensor([quantiles], dtype=torch.float64)
        # density continues: mass / excess of a tail is mass / width of its neighbour
        low, high = 0.1 * 3.0 / 0.3, 0.1 * 1.0 / 0.5
        # E[X] and E[X²] of each piece
        pieces = [
            (0.1, 2 - low, low**2 + (2 - low) ** 2),
            (0.3, 3.5, (4 + 10 + 25) / 3),
            (0.5, 5.5, (25 + 30 + 36) / 3),
            (0.1, 6 + high, high**2 + (6 + high) ** 2),
        ]
        mean = sum(mass * first for mass, first, _ in pieces)
        second = sum(mass * square for mass, _, square in pieces)
        assert float(head.point(outputs)) == pytest.approx(mean, rel=1e-6)
        assert float(head.std(outputs)) == pytest.approx(math.sqrt(second - mean**2), rel=1e-6)

    def test_the_distribution_passes_near_the_quantiles(self):
        head = QuantileHead(3, levels=LEVELS).double()
        outputs = torch.from_numpy(norm.ppf([LEVELS]))
        predictive = head.predictive(outputs)
        assert np.abs(predictive.cdf(outputs.numpy())[0] - LEVELS).max() < 0.006
        t = np.linspace(-4, 4, 1001)
        assert np.abs(predictive.cdf(t[None, :])[0] - norm.cdf(t)).max() < 0.007

    def test_quantiles_that_are_equal_are_an_atom(self):
        head = QuantileHead(3, levels=[0.1, 0.5, 0.9])
        predictive = head.predictive(torch.full((2, 3), 5.0))
        assert predictive.mean().tolist() == [5.0, 5.0]
        assert predictive.std().tolist() == [0.0, 0.0]

    def test_saved_and_loaded_bit_for_bit(self, tmp_path):
        torch.manual_seed(0)
        head, features = QuantileHead(5, levels=[0.1, 1 / 3, 0.9]).match_scale(Y), torch.randn(7, 5)
        save_file(head.state_dict(), tmp_path / "head.safetensors")
        again = head_from(5, head.shape)
        again.load_state_dict(load_file(tmp_path / "head.safetensors"))
        assert torch.equal(again.outputs(features), head.outputs(features))
        assert torch.equal(again.std(again.outputs(features)), head.std(head.outputs(features)))


@pytest.mark.parametrize("method", ["pinball", "sqinv+pinball"])
@pytest.mark.slow
def test_it_learns_the_quantiles_of_labels(method):
    torch.manual_seed(0)
    x = torch.rand(3000, 1)
    y = 10 + 5 * x[:, 0] + (0.2 + 2 * x[:, 0]) * torch.randn(3000)
    model = Regressor(MLP(1, widths=[32], dropout=0.0), 32)
    objective = compose(method).build(model, y.numpy())
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        sum(objective(x, y).values()).backward()
        optimizer.step()
    assert isinstance(model.head, QuantileHead)
    predictive = model.head.predictive(model.head.outputs(model.encode(torch.tensor([[0.1], [0.9]]))))
    tolerance = 0.5 if method == "pinball" else 1.0  # weights move the quantiles of labels that are rare on one side
    np.testing.assert_allclose(predictive.median(), [10.5, 14.5], atol=tolerance)
    np.testing.assert_allclose(predictive.std(), [0.4, 2.0], atol=tolerance)
