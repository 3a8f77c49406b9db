"""Models by name, without anything heavy imported."""

MODELS: dict[str, str] = {
    "network": "a network, with any method; see --encoder",
    "lightgbm": "LightGBM, stopped early",
    "hist-boosting": "scikit-learn's HistGradientBoostingRegressor, stopped early",
    "forest": "scikit-learn's RandomForestRegressor",
    "linear": "ridge regression, its penalty chosen by leaving out one row",
}
