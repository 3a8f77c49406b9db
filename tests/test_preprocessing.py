"""Preprocessing of features into inputs of a model."""

import numpy as np
import pandas as pd
import pytest

from tailwise import InputError
from tailwise.data import preprocessing
from tailwise.data.preprocessing import fit_preprocessor, fit_tree_preprocessor, transform_features


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(50, 3)), columns=["a", "b", "c"]).mask(lambda x: x > 1.5)
    return numbers.assign(kind=pd.Series(rng.choice(["x", "y", "z"], 50), dtype=object))


@pytest.mark.parametrize("fit", [fit_preprocessor, fit_tree_preprocessor])
@pytest.mark.parametrize("at_once", [1, 7, 25, 49])
def test_rows_are_converted_in_pieces(features, fit, at_once, monkeypatch):
    preprocessor = fit(features)
    whole = transform_features(preprocessor, features)
    monkeypatch.setattr(preprocessing, "_AT_ONCE", at_once)
    np.testing.assert_array_equal(transform_features(preprocessor, features), whole)


def test_a_number_out_of_reach_is_found_in_any_piece(features, monkeypatch):
    preprocessor = fit_preprocessor(features)
    monkeypatch.setattr(preprocessing, "_AT_ONCE", 20)
    with pytest.raises(InputError, match="too far from those of the training rows"):
        transform_features(preprocessor, features.assign(b=[*[0.0] * 45, 1e300, *[0.0] * 4]))
