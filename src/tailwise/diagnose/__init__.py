"""What is imbalanced about a target, whether it hurts, and what to do next: from a table alone, without torch."""

from tailwise.diagnose.facts import Diagnosis
from tailwise.diagnose.table_diagnosis import diagnose

__all__ = ["Diagnosis", "diagnose"]
