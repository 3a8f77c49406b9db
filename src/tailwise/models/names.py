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
