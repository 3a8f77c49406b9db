"""Models and encoders by name, without anything heavy imported."""

MODELS: dict[str, str] = {
    "network": "a network, with any method; see --encoder",
    "lightgbm": "LightGBM, stopped early",
    "hist-boosting": "scikit-learn's HistGradientBoostingRegressor, stopped early",
    "forest": "scikit-learn's RandomForestRegressor",
    "linear": "ridge regression, its penalty chosen by leaving out one row",
}
ENCODERS: dict[str, str] = {
    "mlp": "two layers of 256",
    "mlp-ple": "piecewise-linear embeddings of numbers, embeddings of categories, two layers of 256",
    "mlp-plr": "periodic embeddings of numbers, embeddings of categories, two layers of 256",
    "tabm": "TabM: an ensemble of perceptrons that share most weights, embeddings of categories",
    "tabm-ple": "TabM with piecewise-linear embeddings of numbers",
}
MEDIA = ("image", "text", "signal")
AUTO = "auto"
_FEWEST_ROWS, _MOST_NUMBERS = 500, 200


def encoder_for(n_rows: int, n_numbers: int) -> str:
    """The encoder that ``"auto"`` means: ``"mlp-ple"``, which was the best of its cost on most of 15 tables.

    Embeddings have too many parameters for few rows, and make the input of a wide table 16 times as wide: then
    ``"mlp"``.

    Args:
        n_rows: training rows.
        n_numbers: inputs that are numbers.
    """
    return "mlp" if n_rows < _FEWEST_ROWS or n_numbers > _MOST_NUMBERS else "mlp-ple"
