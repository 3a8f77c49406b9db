"""``tailwise tune``: a search over methods and numbers on the validation rows, judged on the test rows."""
