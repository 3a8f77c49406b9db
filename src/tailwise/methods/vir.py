"""Variational imbalanced regression: smoothed Gaussian features and evidential outputs."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name torch itself uses
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tailwise._checks import InputError, not_negative
from tailwise._part import Part
from tailwise.augment.views import NoAugment
from tailwise.distributed import gather_all, own_rows
from tailwise.heads.attach import attach_head
from tailwise.heads.evidential import VariationalHead
from tailwise.labels.bins import Bins
from tailwise.labels.density import LDS
from tailwise.losses.evidential_loss import evidential_loss, posterior
from tailwise.methods.training_step import Inputs, TrainingStep
from tailwise.smoothing.prm import PRM
from tailwise.weights.by_density import density_weights


class VIR(TrainingStep):
    """The training step of variational imbalanced regression.

    Wang and Wang, *Variational Imbalanced Regression* (NeurIPS 2023): a sample's latent features are Gaussian,
    their means and variances are smoothed over neighbouring labels (:class:`tailwise.smoothing.prm.PRM`), and the
    outputs for a draw from them are a normal-inverse-gamma posterior whose pseudo-counts grow with the label's weight:
    re-weighting acts on the evidence, not on the loss.

    Args:
        model: a network with ``encode(x)`` and a :class:`tailwise.heads.evidential.VariationalHead`.
        weights: ``w(target) -> (B,)``.
        smoother: smooths latent means and variances.
        augment: batch augmentation.
        coef: coefficient of the evidence term.
        reconstruction: coefficient of the squared error with which ``decoder`` reconstructs the inputs.
        decoder: from latent features to inputs; without one there is no reconstruction term.
        spread: standard deviation of the training labels, which makes the evidence term independent of their unit.

    Raises:
        InputError: a model with another head, a decoder that is no module, negative coefficients.
    """

    global_batch = False
    spread: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        weights: nn.Module,
        smoother: PRM,
        augment: nn.Module | None = None,
        coef: float = 0.01,
        reconstruction: float = 0.7,
        decoder: nn.Module | None = None,
        spread: float = 1.0,
    ) -> None:
        super().__init__()
        self.model: Any = model
        if not isinstance(self.model.head, VariationalHead):
            raise InputError(
                f"vir needs a model with a VariationalHead, got {type(self.model.head).__name__}; "
                "use compose('vir').build(model, y_train)"
            )
        self.augment: Any = NoAugment() if augment is None else augment
        self.weights, self.smoother, self.decoder = weights, smoother, decoder
        if decoder is not None and not isinstance(decoder, nn.Module):
            raise InputError(f"decoder must be a torch module, from Python only, got {decoder!r}")
        self.coef = not_negative(coef, "coef")
        self.reconstruction = not_negative(reconstruction, "reconstruction")
        self.register_buffer("spread", torch.tensor(float(spread)))

    def forward(self, x: Inputs, y: Tensor) -> dict[str, Tensor]:
        """Named scalar terms, whose sum is to be minimised."""
        inputs: Any
        inputs, y = self.augment.inputs(x, y)
        features, y = self.augment.features(self.model.encode(inputs), y)
        if y.ndim != 1:
            raise InputError(f"vir takes scalar targets (B,), got {tuple(y.shape)}")
        mean, variance = self.smoother(*self.model.head.latent(features), y)
        z = mean + variance.sqrt() * own_rows(lambda n: mean.new_empty(n, *mean.shape[1:]).normal_(), len(mean))
        outputs = posterior(*self.model.head.evidence(z), weight=self.weights(y))
        decoded = None if self.decoder is None else self._decoded(z, inputs)
        if self.global_batch:
            outputs, y, decoded, inputs = gather_all(outputs, y, decoded, None if decoded is None else inputs)
        terms = {"loss": evidential_loss(outputs, y, coef=self.coef / self.spread)}
        if decoded is not None:
            terms["reconstruction"] = self.reconstruction * F.mse_loss(decoded, inputs)
        return terms

    def _decoded(self, z: Tensor, x: Tensor) -> Tensor:
        decoder: Any = self.decoder
        try:
            decoded: Tensor = decoder(z)
        except RuntimeError as error:
            if "shapes cannot be multiplied" not in str(error):
                raise
            raise InputError(f"decoder does not take latent features {tuple(z.shape)}: {error}") from error
        if decoded.shape != x.shape:
            raise InputError(
                f"decoder must give the shape of the inputs, {tuple(x.shape)}, for latent features {tuple(z.shape)}, "
                f"got {tuple(decoded.shape)}"
            )
        return decoded

    def end_epoch(self) -> None:
        """Update the statistics of latent features."""
        self.smoother.end_epoch()


def vir(
    y_train: ArrayLike,
    bins: Bins,
    n_features: int,
    spread: float,
    *,
    model: nn.Module,
    density: Any = None,
    augment: nn.Module | None = None,
    power: float = 0.5,
    coef: float = 0.01,
    reconstruction: float = 0.7,
    decoder: nn.Module | None = None,
    window: int = 5,
    sigma: float = 2.0,
    momentum: float = 0.9,
) -> VIR:
    """Build the training step of variational imbalanced regression; the model gets a variational head.

    Wang and Wang, *Variational Imbalanced Regression* (NeurIPS 2023): z ~ N(μ̃, Σ̃), whose statistics are smoothed over
    neighbouring bins, and p(y | z) = ∫ N(y; m, s²) p(m, s² | z) dm ds², p(m, s² | z) normal-inverse-gamma.

    Args:
        y_train: ``(n,)`` training labels, target units.
        bins: bins of the target.
        n_features: number of features of the model.
        spread: standard deviation of the labels.
        model: a network with ``encode(x)`` and ``head``.
        density: density that the weights invert; LDS (the authors') if not given.
        augment: batch augmentation.
        power: of the inverse density (the authors: 0.5).
        coef: coefficient of the evidence term (the authors: 0.01).
        reconstruction: coefficient of the reconstruction (the authors: 0.7); acts only with a decoder.
        decoder: from latent features to inputs.
        window: number of bins the smoothing kernel covers, odd.
        sigma: σ of the kernel in bins.
        momentum: weight of past epochs in the running statistics, from 0 to 1.

    Shape:
        the step takes inputs ``(B, ...)`` and labels ``(B,)``, and gives scalar terms.
    """
    attach_head(model, {"kind": "variational"}, y_train)
    weights = density_weights(y_train, bins, power=power, density=LDS() if density is None else density)
    return VIR(
        model,
        weights=weights,
        smoother=PRM(bins, n_features, window=window, sigma=sigma, momentum=momentum),
        augment=augment,
        coef=coef,
        reconstruction=reconstruction,
        decoder=decoder,
        spread=spread,
    )


VIR_PART = Part(
    name="vir",
    slot="objective",
    make=vir,
    summary="variational imbalanced regression: smoothed Gaussian features and an evidential output",
    source="Wang and Wang, Variational Imbalanced Regression, NeurIPS",
    year=2023,
    cost="O(B d^2), and the smoothing as fds",
    use="""\
from tailwise.methods.vir import vir
step = vir(y_train, bins, model.n_features, float(y_train.std()), model=model)
loss = sum(step(x, y).values())  # and step.end_epoch() after each epoch""",
    units={"window": "bins", "sigma": "bins"},
    targets=("scalar",),
    needs=("y", "scalar_bins", "n_features", "spread"),
    hidden=frozenset({"model", "density", "augment"}),
    also=("weights", "smoother", "loss", "regularizer", "stage"),
    most={"power": 10.0},
    in_python=frozenset({"decoder", "reconstruction"}),
    corrects=True,
    deviates=True,
)
