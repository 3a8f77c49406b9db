"""Diagnose a table: imbalance of the target, its effect on a quick model, oddities, and advice; without torch."""

from tailwise.diagnose.facts import Diagnosis
from tailwise.diagnose.table_diagnosis import diagnose

__all__ = ["Diagnosis", "diagnose"]
