"""Train a composed method on a prepared table, for tests that look into the training."""

from tailwise.backends.names import load_backend
from tailwise.modalities.encoder_names import AUTO


def start_training(table, method, recipe, *, model="network", encoder=AUTO, params=None, sample_weight=None):
    backend = load_backend(model)
    return backend.start(table, method, recipe, params=params or {}, encoder=encoder, sample_weight=sample_weight)
