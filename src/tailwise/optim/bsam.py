"""Balanced sharpness-aware minimisation: an optimizer wrapper that takes the gradient at the worst point nearby."""

from collections.abc import Callable
from typing import Any

import torch

from tailwise._checks import InputError, positive
from tailwise._part import Part


class BSAM:
    """Balanced sharpness-aware minimisation (BSAM): two gradients of a re-weighted loss per step.

    Liu et al., *BSAM* (ICCV 2025): θ ↦ θ - η ∇L_w(θ + ρ g / ‖g‖), with the gradient g = ∇L_w(θ) of the re-weighted loss
    L_w and the learning rate η; with a loss without weights it is sharpness-aware minimisation.

    Args:
        optimizer: any torch optimizer; it takes the step.
        rho: ρ, length of the ascent, above 0 (the authors: 0.2 for AgeDB, 0.05 for IMDB-WIKI).

    Shape:
        parameters ``(...)`` of any shape; the closure of ``step`` repeats the pass of a batch ``(B,)``.

    Example:
        >>> theta = torch.tensor([3.0], requires_grad=True)
        >>> bsam = BSAM(torch.optim.SGD([theta], lr=0.1), rho=0.5)
        >>> theta.square().sum().backward()
        >>> bsam.step(lambda: theta.square().sum().backward())
        >>> round(theta.item(), 2)  # 3 - 0.1 * 2 * 3.5
        2.3
    """

    def __init__(self, optimizer: Any, *, rho: float = 0.05) -> None:
        self.optimizer, self.rho = optimizer, positive(rho, "rho")

    @torch.no_grad()
    def step(self, again: Callable[[], Any]) -> None:
        """Ascend along the present gradients, replace them by those of ``again()``, restore the weights, and step.

        Args:
            again: repeats forward and backward pass on the same batch; it is called without gradients.

        Raises:
            InputError: no gradients.
        """
        moved = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not moved:
            raise InputError("no parameter of the optimizer has a gradient; call loss.backward() before step(again)")
        grads = [p.grad for p in moved]
        before = [p.clone() for p in moved]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(grad) for grad in grads]))
        scale = self.rho / norm.clamp(min=1e-12)
        for p, grad in zip(moved, grads, strict=True):
            p.add_(grad * scale)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.enable_grad():
            again()
        for p, start in zip(moved, before, strict=True):
            p.copy_(start)
        self.optimizer.step()


BSAM_PART = Part(
    name="bsam",
    slot="optimizer",
    make=BSAM,
    summary="balanced sharpness-aware minimisation: gradients from the worst point nearby (alone: with sqinv)",
    source="Liu et al., BSAM, ICCV",
    year=2025,
    cost="the whole step twice",
    use="""\
from tailwise.optim.bsam import BSAM
bsam = BSAM(optimizer, rho=0.05)  # after loss.backward(), in place of optimizer.step():
bsam.step(lambda: (weights(y) * (model(x) - y).abs()).mean().backward())""",
    units={"rho": "length of the gradient step"},
)
