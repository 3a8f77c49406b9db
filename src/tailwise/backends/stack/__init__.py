"""A stack of experts: several models trained on folds, and one conditional density of the label given their predictions."""
