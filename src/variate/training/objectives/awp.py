"""Adversarial weight perturbation: the loss at the worst nearby weights or distribution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.registry import objective
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import shared_or_fresh_draws


@objective(needs="perturb", cite="Wu, Xia & Wang 2020, arXiv:2004.05884, equations 7 to 10")
def awp(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    perturb: InnerAttack,
    task: Task = CLASSES,
    size: float = 0.005,
    same: float = 0,
    draws: float = 1,
) -> Tensor:
    """Cross-entropy on adversarial inputs, at parameters moved by one step to raise it.

    Every tensor moves along its gradient by ``size`` times its norm; the loss and its gradient are computed there, and
    the parameters are restored. In a random network the means and the unconstrained scales move, so the distribution is
    perturbed and not a draw. The result has the gradient computed there; its second derivatives are zero.

    Args:
        net: a network from inputs to logits.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; supplied by the training.
        task: what the answers are; supplied by the training.
        size: size of the step relative to each tensor's norm; gamma in the paper.
        same: 1 uses one fresh draw of a random network for both attack and loss.
        draws: number of draws that each step of the inner attack averages over.

    Raises:
        UsageError: in distributed training, since it would not average gradients between processes.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        raise UsageError("awp does not support distributed training", todo="train with --devices 1")
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    with shared_or_fresh_draws(perturb, same):
        inputs = perturb(x, y, draws=int(draws))
        weight_steps = _steps(task.mean_loss(net(inputs), y), parameters, size)
        _move(parameters, weight_steps, 1.0)
        try:
            worst = task.mean_loss(net(inputs), y)
            gradients = torch.autograd.grad(worst, parameters, allow_unused=True)
        finally:
            _move(parameters, weight_steps, -1.0)
    pairs = [(p, gradient) for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None]
    surrogate = torch.stack([(p * gradient.detach()).sum() for p, gradient in pairs]).sum()
    return worst.detach() + surrogate - surrogate.detach()


def _steps(loss: Tensor, parameters: list[nn.Parameter], size: float) -> list[Tensor]:
    """A step for every tensor: along its gradient, with ``size`` times its norm."""
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [
        torch.zeros_like(p) if gradient is None else size * p.detach().norm() / (gradient.norm() + 1e-12) * gradient
        for p, gradient in zip(parameters, gradients, strict=True)
    ]


def _move(parameters: list[nn.Parameter], steps: list[Tensor], factor: float) -> None:
    with torch.no_grad():
        for parameter, step in zip(parameters, steps, strict=True):
            parameter.add_(step, alpha=factor)
