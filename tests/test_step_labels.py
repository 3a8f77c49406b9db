"""Labels of a training step: unsigned ones do not wrap round, missing ones and columns are refused by name."""

import numpy as np
import pytest
import torch

from tailwise import MLP, Bins, ConR, InputError, Regressor, compose
from tailwise.losses.balanced_mse import BNI
from tailwise.losses.dist import Dist
from tailwise.losses.pointwise import MSE
from tailwise.losses.sera import SERA
from tailwise.regularizers.ordinal_entropy import OrdinalEntropy
from tailwise.regularizers.rank_n_contrast import RankNContrast
from tailwise.regularizers.ranksim import RankSim
from tailwise.regularizers.srl import SRL

N = 64
Y = np.random.default_rng(0).exponential(scale=20, size=N)
LOSSES = {
    "mse": MSE,
    "bni": lambda: BNI(Y, Bins.auto(Y), sigma=1.0),
    "dist": lambda: Dist(Y),
    "sera": lambda: SERA(Y, points=[(0, 1), (1, 0), (3, 1)]),
}
TERMS = {
    "conr": lambda: ConR(window=2.0),
    "ranksim": RankSim,
    "rnc": RankNContrast,
    "ordinal entropy": OrdinalEntropy,
    "srl": lambda: SRL(Bins.auto(Y), n_features=16),
}


def objective(method):
    return compose(method).build(Regressor(MLP(8), n_features=256).match_scale(Y), Y)


def value(make, *arguments):
    torch.manual_seed(1)
    return make()(*arguments).item()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64])
@pytest.mark.parametrize("name", TERMS)
def test_whole_numbers_are_labels_like_others(name, dtype):
    torch.manual_seed(0)
    z, pred = torch.randn(N, 16), torch.rand(N) * 100
    ages = torch.randint(0, 100, (N,), dtype=dtype)
    assert value(TERMS[name], z, ages, pred) == value(TERMS[name], z, ages.float(), pred)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_take_whole_numbers(name):
    ages = torch.randint(0, 100, (N,), dtype=torch.uint8)
    assert value(LOSSES[name], ages.float() + 1, ages) == value(LOSSES[name], ages.float() + 1, ages.float())


MESSAGE = "target has 1 labels that are NaN or infinite, the first at position 3; drop or impute them first"


class TestMissingLabels:
    y = torch.tensor(Y, dtype=torch.float32).index_fill(0, torch.tensor(3), torch.nan)

    @pytest.mark.parametrize("name", TERMS)
    def test_of_regularizers(self, name):
        with pytest.raises(InputError, match=MESSAGE):
            TERMS[name]()(torch.randn(N, 16), self.y, torch.zeros(N))

    @pytest.mark.parametrize("name", LOSSES)
    def test_of_losses(self, name):
        with pytest.raises(InputError, match=MESSAGE):
            LOSSES[name]()(torch.zeros(N), self.y)

    @pytest.mark.parametrize("method", ["vanilla", "denseweight", "kde", "cmixup", "fds", "sqinv+lds", "bmc"])
    def test_of_training_steps(self, method):
        with pytest.raises(InputError, match=MESSAGE):
            objective(method)(torch.randn(N, 8), self.y)

    def test_pixels_without_a_label_are_no_mistake(self):
        depth = torch.rand(2, 4, 4).masked_fill(torch.eye(4).bool(), torch.nan)
        assert torch.isfinite(MSE()(torch.zeros(2, 4, 4), depth))


class TestColumns:
    column = torch.tensor(Y, dtype=torch.float32).unsqueeze(1)

    def test_the_wrong_tensor_is_named(self):
        flat = self.column.squeeze(1)
        with pytest.raises(InputError, match=r"scalar targets are \(B,\): use target.squeeze\(-1\)"):
            MSE()(flat, self.column)
        with pytest.raises(InputError, match=r"scalar targets are \(B,\): use pred.squeeze\(-1\)"):
            MSE()(self.column, flat)
        with pytest.raises(InputError, match=r"use target.squeeze\(-1\)"):
            objective("vanilla")(torch.randn(N, 8), self.column)

    @pytest.mark.parametrize("name", ["bni", "dist", "sera"])
    def test_scalar_losses_name_the_way_out(self, name):
        with pytest.raises(InputError, match=r"target has shape \(64, 1\).*use target.squeeze\(-1\)"):
            LOSSES[name]()(self.column + 1, self.column)
