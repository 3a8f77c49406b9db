"""Advice on a diagnosis, the most urgent first."""

from tailwise.diagnose.facts import Advice, Diagnosis
from tailwise.diagnose.imbalance_advice import (
    empty_ranges,
    heavy_weights,
    imbalance,
    no_relevance,
    weights_tried,
)
from tailwise.diagnose.table_advice import dated_rows, leak, same_rows, useless_columns, weak_columns
from tailwise.diagnose.value_advice import codes, few_values, fine_bins, heavy_tails, many_zeros, odd_values
from tailwise.experiment.commands import Commands

_RULES = (
    codes,
    leak,
    few_values,
    many_zeros,
    weak_columns,
    same_rows,
    dated_rows,
    imbalance,
    weights_tried,
    heavy_weights,
    empty_ranges,
    fine_bins,
    heavy_tails,
    odd_values,
    no_relevance,
    useless_columns,
)


def advise(diagnosis: Diagnosis, commands: Commands) -> tuple[Advice, ...]:
    """Return the advice of all rules.

    Args:
        diagnosis: the diagnosis, without advice.
        commands: commands for the same table.
    """
    return tuple(advice for rule in _RULES for advice in rule(diagnosis, commands))
