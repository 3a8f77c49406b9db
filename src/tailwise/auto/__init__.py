"""``method="auto"``: the method is chosen by inner cross-validation on the rows that train and validate."""
