import itertools
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
from tailwise.heads.histogram import HistogramHead, cell_edges
from tailwise.losses.histogram_loss import HistogramLoss, soft_labels

Y = np.random.default_rng(0).lognormal(2.0, 1.0, 400)


def outputs_of(n=6, edges=(0.0, 1.0, 3.0, 4.0, 10.0), dtype=torch.float64):
    low, high = (torch.tensor(side, dtype=dtype).expand(n, -1) for side in (edges[:-1], edges[1:]))
    generator = torch.Generator().manual_seed(0)
    log_masses = torch.randn(n, len(edges) - 1, generator=generator, dtype=dtype).log_softmax(1)
    return torch.stack((log_masses, low, high), dim=2)


class TestCells:
    def test_half_by_quantiles_and_half_of_equal_width(self):
        edges = cell_edges(Y, 50)
        counts, _ = np.histogram(Y, edges)
        assert edges.size == 51
        assert counts.sum() == Y.size
        assert counts.max() <= 2 * Y.size / 50 + 2
        assert np.diff(edges).max() <= 2 * (edges[-1] - edges[0]) / 50 + 1e-9
        assert edges[0] < Y.min() < Y.max() < edges[-1]

    def test_of_few_labels_each_has_the_values_nearest_to_it(self):
        y = np.repeat([1.0, 2.0, 5.0], [50, 3, 1])
        assert cell_edges(y, 3).tolist() == [0.5, 1.5, 3.5, 6.5]

    def test_a_label_that_is_most_of_the_rows_has_no_more_than_its_part(self):
        y = np.concatenate([np.zeros(5000), Y])
        edges = cell_edges(y, 60)
        assert ((edges > -1e-9) & (edges < Y.min() / 2)).sum() <= 3

    def test_the_units_of_the_labels_do_not_matter(self):
        np.testing.assert_allclose(cell_edges(1000 * Y + 7, 30), 1000 * cell_edges(Y, 30) + 7)

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.floats(-1e9, 1e9, width=32), min_size=2, max_size=30).filter(lambda y: len(set(y)) > 1),
        st.integers(2, 60),
    )
    def test_there_are_as_many_as_asked_for_and_float32_tells_them_apart(self, y, n_cells):
        edges = cell_edges(y, n_cells)
        assert edges.size == n_cells + 1
        assert (np.diff(edges) > 0).all()
        assert (np.diff(((edges - np.mean(y)) / (edges[-1] - edges[0])).astype(np.float32)) > 0).all()

    @pytest.mark.parametrize(
        ("y", "match"),
        [
            ([1.0, 1.0], "constant"),
            ([1.0, np.nan], "NaN or infinite"),
            ([[1.0], [2.0]], "one-dimensional"),
            ([], "empty"),
        ],
    )
    def test_bad_labels(self, y, match):
        with pytest.raises(InputError, match=match):
            cell_edges(y, 5)


class TestSoftLabels:
    @pytest.mark.parametrize("smoothing", [0.3, 0.75, 2.0])
    def test_are_those_of_plain_loops(self, smoothing):
        edges, labels = (0.0, 1.0, 3.0, 4.0, 10.0), [-5.0, 0.0, 0.4, 3.0, 9.0, 99.0]
        for y, masses in zip(labels, soft_labels(outputs_of(), torch.tensor(labels), smoothing=smoothing), strict=True):
            inside = min(max(y, edges[0]), edges[-1])
            cell = max(j for j in range(4) if edges[j] <= inside)
            sigma = smoothing * (edges[cell + 1] - edges[cell])
            plain = [norm.cdf(b, inside, sigma) - norm.cdf(a, inside, sigma) for a, b in itertools.pairwise(edges)]
            np.testing.assert_allclose(masses, np.array(plain) / sum(plain), atol=1e-9)

    def test_cells_of_equal_width_have_the_masses_of_hl_gauss(self):
        edges = np.linspace(0.0, 100.0, 51)
        sigma, labels = 2 * (edges[1] - edges[0]), np.array([0.0, 3.3, 50.0, 99.0])
        upto = norm.cdf((edges - labels[:, None]) / sigma)
        plain = np.diff(upto) / (upto[:, -1:] - upto[:, :1])
        masses = soft_labels(outputs_of(4, tuple(edges)), torch.tensor(labels), smoothing=2.0)
        np.testing.assert_allclose(masses, plain, atol=1e-12)
        centres = (edges[:-1] + edges[1:]) / 2
        prediction = HistogramHead(3, n_cells=50).point(outputs_of(4, tuple(edges)))
        np.testing.assert_allclose(prediction, outputs_of(4, tuple(edges))[..., 0].exp() @ torch.tensor(centres))

    def test_without_smoothing_a_label_has_its_cell(self):
        masses = soft_labels(outputs_of(3), torch.tensor([0.5, 3.5, 9.0]), smoothing=1e-6)
        np.testing.assert_allclose(masses, np.eye(4)[[0, 2, 3]])

    def test_low_precision(self):
        y = torch.tensor([0.5, 3.5, 9.0, 2.0, 2.0, 0.0])
        masses = soft_labels(outputs_of(dtype=torch.bfloat16), y.bfloat16())
        np.testing.assert_allclose(masses, soft_labels(outputs_of(), y), atol=0.01)


class TestLoss:
    def test_is_the_cross_entropy_of_plain_loops(self):
        loss, outputs, y = HistogramLoss(Y, n_cells=4), outputs_of(), torch.tensor([0.4, 2.0, 3.5, 9.0, -1.0, 20.0])
        weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 3.0, 1.0], dtype=torch.float64)
        labels = soft_labels(outputs, y)
        total = 0.0
        for i in range(6):
            for j in range(4):
                total -= float(weight[i] * labels[i, j] * outputs[i, j, 0]) / 6
        assert float(loss(outputs, y, weight)) == pytest.approx(total)
        torch.testing.assert_close(loss(outputs, y), loss(outputs, y, torch.ones(6)))
        order = torch.randperm(6)
        torch.testing.assert_close(loss(outputs[order], y[order], weight[order]), loss(outputs, y, weight))

    def test_gradient(self):
        y, loss = torch.tensor([0.4, 2.0, 3.5, 9.0, -1.0, 20.0]), HistogramLoss(Y, n_cells=4)
        logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
        edges = outputs_of()[..., 1:]
        torch.autograd.gradcheck(
            lambda raw: loss(torch.cat((raw.log_softmax(1).unsqueeze(2), edges), dim=2), y), logits
        )

    def test_it_has_no_more_cells_than_there_are_labels(self):
        assert HistogramLoss(Y).head == {"kind": "histogram", "n_cells": 100}
        assert HistogramLoss(np.repeat([1.0, 2.0, 5.0], 9)).head == {"kind": "histogram", "n_cells": 3}

    @pytest.mark.parametrize(
        ("make", "match"),
        [
            (lambda: HistogramLoss(Y, n_cells=1), "n_cells must be a whole number from 2"),
            (lambda: HistogramLoss(Y, smoothing=0), "smoothing must be"),
            (lambda: HistogramLoss(np.ones(5)), "y_train is constant"),
            (lambda: HistogramLoss([1.0, math.nan]), "NaN or infinite"),
            (lambda: soft_labels(torch.zeros(5), torch.zeros(5)), r"outputs \(B, C, 3\)"),
            (lambda: soft_labels(outputs_of(), torch.zeros(6, 1)), r"outputs \(B, C, 3\)"),
            (lambda: HistogramLoss(Y)(outputs_of(), torch.zeros(6), torch.ones(6, 1)), "weight has shape"),
            (lambda: HistogramHead(5, n_cells=0), "n_cells must be"),
            (lambda: HistogramHead(5).match_scale([1.0, math.nan]), "not finite"),
        ],
    )
    def test_mistakes(self, make, match):
        with pytest.raises(InputError, match=match):
            make()

    def test_k_targets_are_refused(self):
        y = np.stack([Y, Y[::-1]], axis=1)
        with pytest.raises(InputError, match="histogram: this part needs scalar labels"):
            compose("histogram").build(Regressor(MLP(2, widths=(4,)), 4, 2), y)


class TestHead:
    def test_moments_are_those_of_uniform_cells(self):
        head, outputs = HistogramHead(5, n_cells=4).double(), outputs_of()
        for row, mean, std in zip(
            outputs.tolist(), head.point(outputs).tolist(), head.std(outputs).tolist(), strict=True
        ):
            expected = sum(math.exp(m) * (a + b) / 2 for m, a, b in row)
            second = sum(math.exp(m) * (a * a + a * b + b * b) / 3 for m, a, b in row)
            assert mean == pytest.approx(expected)
            assert std == pytest.approx(math.sqrt(second - expected**2))

    def test_the_distribution_has_the_masses_and_edges_of_the_outputs(self):
        torch.manual_seed(0)
        head = HistogramHead(5, n_cells=20).match_scale(Y)
        outputs = head.outputs(torch.randn(7, 5))
        predictive = head.predictive(outputs)
        np.testing.assert_allclose(predictive.masses, outputs[..., 0].exp().detach(), rtol=1e-5)
        np.testing.assert_allclose(predictive.edges[1:], outputs[0, :, 2].detach(), rtol=1e-5)

    def test_saved_and_loaded_bit_for_bit(self, tmp_path):
        torch.manual_seed(0)
        head, features = HistogramHead(5, n_cells=20).match_scale(Y), torch.randn(7, 5)
        save_file(head.state_dict(), tmp_path / "head.safetensors")
        again = head_from(5, head.shape)
        again.load_state_dict(load_file(tmp_path / "head.safetensors"))
        assert torch.equal(again.outputs(features), head.outputs(features))

    def test_under_autocast_edges_keep_their_digits(self):
        head = HistogramHead(5, n_cells=100).match_scale(Y)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = head.outputs(torch.randn(3, 5))
        assert outputs.dtype == torch.float32
        assert (outputs[..., 2] > outputs[..., 1]).all()

    def test_labels_far_from_zero(self):
        y = 1.6e9 + np.arange(50.0)
        head = HistogramHead(5, n_cells=50).match_scale(y)
        predictive = head.predictive(head.outputs(torch.zeros(3, 5)))
        assert (np.diff(predictive.edges) > 0.5).all()


@pytest.mark.parametrize("method", ["histogram", "sqinv+histogram"])
@pytest.mark.slow
def test_it_learns_the_distribution_of_labels(method):
    torch.manual_seed(0)
    x = torch.rand(3000, 1)
    y = 10 + 5 * x[:, 0] + (0.2 + 2 * x[:, 0]) * torch.randn(3000)
    model = Regressor(MLP(1, widths=[32], dropout=0.0), 32)
    objective = compose(method, histogram={"n_cells": 40}).build(model, y.numpy())
    optimizer = torch.optim.Adam(objective.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        sum(objective(x, y).values()).backward()
        optimizer.step()
    predictive = model.head.predictive(model.head.outputs(model.encode(torch.tensor([[0.1], [0.9]]))))
    assert isinstance(model.head, HistogramHead)
    # Weights move the mean of labels that are rare in one direction only.
    np.testing.assert_allclose(predictive.median(), [10.5, 14.5], atol=0.5 if method == "histogram" else 1.0)
    np.testing.assert_allclose(predictive.std(), [0.4, 2.0], atol=0.4 if method == "histogram" else 1.0)
