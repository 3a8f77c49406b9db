"""Runs of ``same_numbers.py`` in Python: estimators, and a training loop, through the public names alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from same_inputs import toy_frame

PARTS = (
    *("inv", "effective", "denseweight", "reweight+kde", "reweight+knn", "l1", "huber", "focal_l1", "focal_mse", "bmc"),
    *("gai", "bni", "dist", "sera", "gar", "ranksim", "rnc", "ordinal_entropy", "srl", "ru", "gn", "wercs", "gsmote"),
    *("binover", "bsam", "uvote", "vir", "twoviews+rnc", "rrt+bni", "isotonic", "quantile", "debias"),
)


def numbers(n: int = 300, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Rows of numbers with missing ones, and a skewed target."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    y = 10 * np.exp(0.7 * x[:, 0]) + x[:, 1] + rng.normal(scale=0.2, size=n)
    x[::13, 2] = np.nan
    return x, y


def fitted(x: Any, y: Any, method: str = "sqinv+lds", given: dict[str, Any] | None = None, **options: Any) -> Any:
    """An ``ImbalancedRegressor`` after a few epochs."""
    from tailwise import ImbalancedRegressor

    options = {"epochs": 3, "random_state": 0, "device": "cpu", "encoder": "mlp", **options}
    return ImbalancedRegressor(method, **options).fit(x, y, **(given or {}))


def answers(name: str, model: Any, x: Any) -> dict[str, Any]:
    """Predictions and intervals."""
    return {name: model.predict(x), f"{name} interval": model.predict_interval(x, 0.8)}


def of_methods() -> dict[str, Any]:
    """Fit once with each part of a method."""
    x, y = numbers()
    arrays: dict[str, Any] = {}
    for name in PARTS:
        method, params = oversampling() if name == "binover" else (name, {})
        arrays |= answers(name, fitted(x, y, method, method_params=params, epochs=2), x[:50])
    return arrays


def oversampling() -> tuple[str, dict[str, dict[str, str]]]:
    """Return how the installed version spells oversampling by bins, recorded as ``binover``."""
    from tailwise import InputError, compose

    try:
        compose("binover")
    except InputError:
        return "ro", {"ro": {"by": "bins"}}
    return "binover", {}


def of_frames() -> dict[str, Any]:
    """Fit to data frames, and save and load."""
    from tailwise import ImbalancedRegressor

    frame = toy_frame(300)
    x, y = frame.drop(columns="price").assign(city=frame["city"].astype("category")), frame["price"]
    arrays = answers("frame", fitted(x, y, encoder="tabm-ple", nominal=["new"]), x)
    model = fitted(x, y, "fds+conr", method_params={"conr": {"window": 4.0}}, encoder="auto", bin_width=10.0)
    arrays |= answers("parameters", model, x)
    model.save("saved")
    arrays |= answers("loaded", ImbalancedRegressor.load("saved"), x)
    errors = [[epoch.validation["mae"], epoch.validation["bmae"]] for epoch in model.history_]
    return arrays | {"history": np.array(errors), "edges": model.shots_.bins.edges, "counts": model.shots_.counts}


def of_rows() -> dict[str, Any]:
    """Fit with validation rows, weights and groups, and to few rows."""
    x, y = numbers()
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    groups = np.arange(len(y)) % 23
    arrays = answers("eval_set", fitted(x, y, given={"eval_set": numbers(80, seed=6)}), x)
    arrays |= answers("sample_weight", fitted(x, y, "conr+lds", {"sample_weight": weight}), x)
    arrays |= answers("groups", fitted(x, y, "fds", {"groups": groups}), x)
    return arrays | {"few rows": fitted(x[:25], y[:25], n_bins=4).predict(x)}


def of_auto() -> dict[str, Any]:
    """Choose a method by cross-validation."""
    x, y = numbers()
    model = fitted(x, y, "auto", {"groups": np.arange(len(y)) % 40}, method_params={"auto": {"folds": 2, "epochs": 2}})
    scores = [[one["overall"], one["balanced"]] for one in model.auto_["candidates"]]
    return answers(model.auto_["chosen"]["method"], model, x) | {"scores": np.array(scores)}


def of_weighted() -> dict[str, Any]:
    """Fit boosted trees with weights of the label."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    from tailwise import WeightedRegressor, lds_weights

    (x, y), tree = numbers(), HistGradientBoostingRegressor(random_state=0, max_iter=30)
    every = {name: name for name in ("sqinv+lds", "inv", "denseweight", "effective", "reweight+kde")}
    models = {name: WeightedRegressor(tree, weights=weights) for name, weights in every.items()}
    models["object"] = WeightedRegressor(tree, weights=lds_weights(y))
    models["parameters"] = WeightedRegressor(tree, weights="lds", weight_params={"lds": {"sigma": 1.0}})
    arrays = {name: model.fit(x, y).predict(x) for name, model in models.items()}
    return arrays | {"sample_weight": models["inv"].fit(x, y, sample_weight=np.arange(len(y)) + 1.0).predict(x)}


def of_resampled() -> dict[str, Any]:
    """Fit boosted trees to resampled rows."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    from tailwise import ResampledRegressor, sampling

    (x, y), tree = numbers(), HistGradientBoostingRegressor(random_state=0, max_iter=30)
    x = np.nan_to_num(x)
    arrays = {}
    for name in ("SMOGN", "SMOTER", "RandomOverSampler", "GaussianNoise"):
        model = ResampledRegressor(tree, getattr(sampling, name)(random_state=0)).fit(x, y)
        arrays |= {name: model.predict(x), f"{name} rows": model.resampler_.sample_indices_}
    return arrays


def of_loop() -> dict[str, Any]:
    """Train a network of the caller with ``Training``."""
    import torch

    from tailwise import MLP, Batches, Bins, Recipe, Regressor, Training, compose

    arrays = {}
    for method in ("sqinv+lds+fds+conr+rrt", "bni+ranksim", "rnc_pretrain", "l1+bsam"):
        torch.manual_seed(0)
        x, y = numbers()
        inputs, target = torch.from_numpy(np.nan_to_num(x)).float(), torch.from_numpy(y).float()

        @torch.no_grad()
        def validate(model: Any, inputs: Any = inputs, target: Any = target) -> dict[str, float]:
            return {"both": float((model(inputs) - target).abs().mean())}

        training = Training(
            compose(method),
            Regressor(MLP(4, widths=(16, 16)), n_features=16),
            Batches(inputs, target, batch_size=32),
            y,
            bins=Bins.auto(y),
            validate=validate,
            recipe=Recipe(epochs=3, device="cpu"),
        )
        for i, epoch in enumerate(training.epochs()):
            arrays |= {f"{method} epoch {i} {name}": value for name, value in (epoch.terms | epoch.validation).items()}
        arrays |= {f"{method} {name}": value.numpy() for name, value in training.model.state_dict().items()}
    return arrays


ESTIMATES: dict[str, Callable[[], dict[str, Any]]] = {
    "methods": of_methods,
    "frames": of_frames,
    "rows": of_rows,
    "auto": of_auto,
    "weighted": of_weighted,
    "resampled": of_resampled,
    "loop": of_loop,
}
