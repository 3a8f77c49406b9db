"""``tailwise tune``: search methods and parameters on the validation rows, evaluate the best on the test rows."""
