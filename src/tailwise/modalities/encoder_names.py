"""Encoders of table rows by name, without anything heavy imported."""

ENCODERS: dict[str, str] = {
    "mlp": "two layers of 256",
    "mlp-ple": "piecewise-linear embeddings of numbers, embeddings of categories, two layers of 256",
    "mlp-plr": "periodic embeddings of numbers, embeddings of categories, two layers of 256",
    "tabm": "TabM: an ensemble of perceptrons that share most weights, embeddings of categories",
    "tabm-ple": "TabM with piecewise-linear embeddings of numbers",
}
AUTO = "auto"
_FEWEST_ROWS, _MOST_NUMBERS = 500, 200


def encoder_for(n_rows: int, n_numbers: int) -> str:
    """Return the encoder that ``"auto"`` stands for: ``"mlp-ple"``, the best of its cost on most of 15 tables.

    Embeddings have too many parameters for few rows, and make the input of a wide table 16 times as wide: then
    ``"mlp"``.

    Args:
        n_rows: number of training rows.
        n_numbers: number of numeric inputs.

    Example:
        >>> encoder_for(10_000, 8), encoder_for(100, 8)
        ('mlp-ple', 'mlp')
    """
    return "mlp" if n_rows < _FEWEST_ROWS or n_numbers > _MOST_NUMBERS else "mlp-ple"
