"""A multi-layer perceptron whose dropout does not depend on the number of processes."""

from collections.abc import Sequence

from torch import Tensor, nn

from tailwise.distributed import own_rows


class Dropout(nn.Dropout):
    """Dropout that draws for the global batch, so that a training is the same on any number of processes."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the inputs, some of them set to 0."""
        if not self.training or self.p == 0:
            return input
        kept = own_rows(lambda n: super(Dropout, self).forward(input.new_ones(n, *input.shape[1:])), len(input))
        return input * kept


class MLP(nn.Module):
    """Multi-layer perceptron: linear, ReLU, dropout, a few times.

    Args:
        n_inputs: number of input columns.
        widths: width of each layer; the last one is the number of features.
        dropout: fraction of activations dropped in training.

    Shape:
        ``(B, n_inputs)`` to ``(B, widths[-1])``.

    Example:
        >>> import torch
        >>> MLP(5, widths=(16, 8))(torch.zeros(2, 5)).shape
        torch.Size([2, 8])
    """

    def __init__(self, n_inputs: int, *, widths: Sequence[int] = (256, 256), dropout: float = 0.1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, width in zip([n_inputs, *widths[:-1]], widths, strict=True):
            layers += [nn.Linear(inputs, width), nn.ReLU(), Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.n_features = widths[-1]
        self.shape = {"n_inputs": n_inputs, "widths": list(widths), "dropout": dropout}

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of each row."""
        features: Tensor = self.layers(x)
        return features
