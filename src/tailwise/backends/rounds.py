"""Early stopping of boosting: a history of rounds, and the best of them."""

import time
from collections.abc import Generator, Iterable

import numpy as np

from tailwise.training.epoch import Epoch

PATIENCE = 50


def best_round(
    errors: Iterable[dict[str, float]],
    *,
    criterion: str,
    most: int,
    learning_rate: float,
    seconds: float | None = None,
) -> Generator[Epoch, None, int]:
    """Yield an epoch a round, until 50 rounds have brought no better one; return the best round, from 0.

    Args:
        errors: validation errors by name after each round; computed when they are asked for.
        criterion: the error that chooses.
        most: rounds there are at most.
        learning_rate: for the history.
        seconds: time after which no further round is asked for.

    Example:
        >>> rounds = best_round([{"mae": 2.0}, {"mae": 1.0}, {"mae": 1.5}], criterion="mae", most=3, learning_rate=0.1)
        >>> [epoch.best for epoch in rounds]
        [True, True, False]
    """
    best, best_score, started = 0, np.inf, time.perf_counter()
    end = None if seconds is None else started + seconds
    for count, validation in enumerate(errors):
        score = validation[criterion]
        better = bool(score < best_score)
        if better:
            best, best_score = count, score
        yield Epoch(0, count, most, {}, validation, float(learning_rate), time.perf_counter() - started, better)
        started = time.perf_counter()
        if count - best >= PATIENCE or (end is not None and started >= end):
            break
    return best
