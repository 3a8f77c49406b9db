"""A stack of experts: models trained on folds, and one conditional density of the label given their predictions."""
