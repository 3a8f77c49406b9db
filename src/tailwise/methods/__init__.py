"""Methods: fillings of the slots, composed by name or by hand."""
