"""Adversarial weight perturbation: the loss at the worst weights, or the worst distribution, nearby."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.registry import objective
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import one_or_each


@objective(needs="perturb", cite="Wu, Xia & Wang 2020, arXiv:2004.05884, equations 7 to 10")
def awp(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    perturb: InnerAttack,
    size: float = 0.005,
    same: float = 0,
    draws: float = 1,
) -> Tensor:
    """Cross-entropy on adversarial inputs, at parameters moved by one step to raise it.

    Every tensor moves along its gradient by ``size`` of its own norm; the loss and its gradient are taken there, and
    the parameters are put back. Of a random network the means and the unconstrained scales move: the distribution is
    perturbed, not a draw. The result has the gradient that was found there: its second derivatives are zero.

    Args:
        net: a network from inputs to logits.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; wired by the training.
        size: of the step, relative to each tensor's norm; gamma in the paper.
        same: 1: of a random network one fresh draw serves the attack and the loss.
        draws: that each step of the inner attack averages over.

    Raises:
        UsageError: in a training of several processes, whose gradients it would not bring together.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        raise UsageError("awp takes its gradient in one process", todo="train with --devices 1")
    learned = [parameter for parameter in net.parameters() if parameter.requires_grad]
    with one_or_each(perturb, same):
        inputs = perturb(x, y, draws=int(draws))
        steps = _steps(F.cross_entropy(net(inputs), y), learned, size)
        _move(learned, steps, 1.0)
        try:
            worst = F.cross_entropy(net(inputs), y)
            slopes = torch.autograd.grad(worst, learned, allow_unused=True)
        finally:
            _move(learned, steps, -1.0)
    pairs = [(p, slope) for p, slope in zip(learned, slopes, strict=True) if slope is not None]
    linear = torch.stack([(p * slope.detach()).sum() for p, slope in pairs]).sum()
    return worst.detach() + linear - linear.detach()


def _steps(loss: Tensor, learned: list[nn.Parameter], size: float) -> list[Tensor]:
    """For every tensor, ``size`` of its norm along its gradient."""
    slopes = torch.autograd.grad(loss, learned, allow_unused=True)
    return [
        torch.zeros_like(p) if slope is None else size * p.detach().norm() / (slope.norm() + 1e-12) * slope
        for p, slope in zip(learned, slopes, strict=True)
    ]


def _move(learned: list[nn.Parameter], steps: list[Tensor], factor: float) -> None:
    with torch.no_grad():
        for parameter, step in zip(learned, steps, strict=True):
            parameter.add_(step, alpha=factor)
