"""Loss weights as a function of the label, by bins, by density or by DenseWeight."""
