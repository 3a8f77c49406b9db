"""Estimates of SHAP values by the package ``shap``, of predictions as a function of whole rows of a table."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tailwise._checks import InputError
from tailwise.experiment.model import FittedModel

_AT_ONCE = 65_536  # predictions


def require_shap() -> Any:
    """Return the package ``shap``.

    Raises:
        InputError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own use of Matplotlib
            import shap
    except ImportError as error:
        raise InputError("SHAP values need shap: pip install 'tailwise[shap]'") from error
    return shap


class Cells:
    """Rows of a table as codes, and codes as rows.

    Equal cells of a column have equal codes, whatever they are: numbers, dates, categories, nothing. So the explainer
    handles small whole numbers alone, knows exactly which cells differ, and each code is a cell again.

    Args:
        table: rows; the first of them lends its cells to the columns beside.
        names: columns with codes.
        beside: further columns that the model asks for and does not use.
    """

    def __init__(self, table: pd.DataFrame, names: Sequence[str], beside: Sequence[str]) -> None:
        columns, self._levels = [], dict[str, pd.Series]()
        for name in names:
            cells = table[name]
            keys = cells if cells.dtype != object else cells.map(lambda cell: f"{type(cell).__name__} {cell!r}")
            codes = pd.factorize(keys, use_na_sentinel=False)[0]  # of mixed cells True is not 1, which it equals
            columns.append(codes)
            self._levels[name] = cells.iloc[np.unique(codes, return_index=True)[1]]
        self.codes = np.stack(columns, axis=1).astype(np.int16)
        self._beside = {name: table[name].iloc[:1] for name in beside}

    def frame(self, codes: NDArray[np.int16]) -> pd.DataFrame:
        """Return the cells of ``(n, p)`` codes."""
        place = codes.astype(np.int64)
        taken = {name: level.take(place[:, i]).array for i, (name, level) in enumerate(self._levels.items())}
        first = np.zeros(len(place), dtype=np.int64)
        taken |= {name: cells.take(first).array for name, cells in self._beside.items()}
        return pd.DataFrame(taken)

    def predictions(self, model: FittedModel, codes: NDArray[np.int16]) -> NDArray[np.float64]:
        """Return the model's own predictions of ``(n, p)`` codes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on rows that are unlike those of the training: made up
            return model.predict(self.frame(codes), ignore_extra=True)


def estimated(
    model: FittedModel,
    cells: Cells,
    n: int,
    orders: int,
    seed: int,
    on_rows: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """Return SHAP values ``(n, p)`` of the first n rows, against the others.

    Args:
        model: a fitted model of one target.
        cells: rows to explain, then background rows.
        n: number of rows to explain.
        orders: number of random orders in which the columns of a row are exchanged, each also backwards.
        seed: random seed of the orders.
        on_rows: called with the number of rows that are explained so far, and of all.
    """
    shap = require_shap()
    evaluations = orders * (2 * cells.codes.shape[1] + 1)
    values, asked = np.empty((n, cells.codes.shape[1])), _Asked()
    at_once = max(1, _AT_ONCE // (evaluations * (len(cells.codes) - n)))
    with _global_random_state():
        masker = shap.maskers.Independent(cells.codes[n:], max_samples=len(cells.codes) - n)
        explainer = shap.explainers.Permutation(asked, masker, seed=seed)
        for start in range(0, n, at_once):
            rows, state = cells.codes[start : min(start + at_once, n)], np.random.get_state()  # noqa: NPY002
            explainer(rows, max_evals=evaluations, silent=True)
            asked.answer(lambda codes: cells.predictions(model, codes))
            np.random.set_state(state)  # noqa: NPY002
            values[start : start + len(rows)] = explainer(rows, max_evals=evaluations, silent=True).values
            if on_rows is not None:
                on_rows(start + len(rows), n)
    return values


class _Asked:
    """A function that is asked twice, in the same order: it first notes the arguments, then returns the answers.

    ``shap`` calls a model once for each order of a row, which takes most models longer than a large table, and its
    calls do not depend on the answers. Rows that are asked for several times are predicted once.
    """

    def __init__(self) -> None:
        self._codes: list[NDArray[np.int16]] = []
        self._answers: list[NDArray[np.float64]] = []

    def __call__(self, codes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions ``(m,)`` of codes ``(m, p)``, zeros while they are not known."""
        if self._answers:
            return self._answers.pop(0)
        self._codes.append(codes.astype(np.int16))
        return np.zeros(len(codes))

    def answer(self, predict: Callable[[NDArray[np.int16]], NDArray[np.float64]]) -> None:
        """Predict what was asked for since the last answers, in one piece."""
        different, place = np.unique(np.concatenate(self._codes), axis=0, return_inverse=True)
        ends = np.cumsum([len(codes) for codes in self._codes])[:-1]
        self._answers = np.split(predict(different)[place.reshape(-1)], ends)
        self._codes = []


@contextmanager
def _global_random_state() -> Iterator[None]:
    """Put NumPy's global random numbers back afterwards, which ``shap`` seeds and draws from."""
    before = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
