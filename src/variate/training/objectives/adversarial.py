"""Adversarial training."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from variate.registry import objective
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import one_or_each


@objective(needs="perturb", cite="Madry et al. 2018, arXiv:1706.06083, equation 2.1")
def adversarial(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    perturb: InnerAttack,
    draws: float = 1,
    same: float = 0,
    steps: float = 0,
    step_size: float = 0,
) -> Tensor:
    """Mean cross-entropy on adversarial inputs, under a draw that the inner attack has not seen.

    min over the distribution of E_w max_delta CE(net_w(x + delta), y); the inner PGD takes fresh draws at every step.

    Args:
        net: a network from inputs to logits; a random one draws afresh.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; wired by the training.
        draws: that each step of the inner attack averages over.
        same: 1: one draw serves the whole inner attack and the loss; the adversary knows the weights.
        steps: of the inner attack; 0: as many as the training says.
        step_size: of the inner attack in units of the budget's size; 0: 2.5 / steps.
    """
    with one_or_each(perturb, same):
        inputs = perturb(x, y, draws=int(draws), steps=int(steps) or None, step_size=step_size or None)
        return F.cross_entropy(net(inputs), y)
