"""Networks: an encoder that gives features and a head that gives predictions in the target's units."""
