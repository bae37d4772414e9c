"""Adversarial training."""

from __future__ import annotations

from torch import Tensor, nn

from variate.registry import objective
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import shared_or_fresh_draws


@objective(needs="perturb", cite="Madry et al. 2018, arXiv:1706.06083, equation 2.1")
def adversarial(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    perturb: InnerAttack,
    task: Task = CLASSES,
    draws: float = 1,
    same: float = 0,
    steps: float = 0,
    step_size: float = 0,
) -> Tensor:
    """Mean loss of the task on adversarial inputs, under a draw that the inner attack did not use.

    min over the distribution of E_w max_delta loss(net_w(x + delta), y), with the cross-entropy for classes; the inner
    PGD takes fresh draws at every step.

    Args:
        net: a network from inputs to logits; a random one uses a fresh draw.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; supplied by the training.
        task: what the answers are; supplied by the training.
        draws: number of draws that each step of the inner attack averages over.
        same: 1 uses one draw for the whole inner attack and the loss, so the adversary knows the weights; 0 uses fresh
            draws.
        steps: steps of the inner attack; 0 uses the setting of the training.
        step_size: step size of the inner attack in units of the budget's size; 0 means 2.5 / steps.
    """
    with shared_or_fresh_draws(perturb, same):
        inputs = perturb(x, y, draws=int(draws), steps=int(steps) or None, step_size=step_size or None)
        return task.mean_loss(net(inputs), y)
