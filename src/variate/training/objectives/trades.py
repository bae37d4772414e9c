"""TRADES: accuracy traded for agreement with the adversary."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.oracle.losses import divergence
from variate.registry import objective
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import one_or_each


@objective(needs="perturb", cite="Zhang et al. 2019, arXiv:1901.08573, equation 5")
def trades(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    perturb: InnerAttack,
    weight: float = 6.0,
    same: float = 1,
    draws: float = 1,
) -> Tensor:
    """Cross-entropy on the inputs, and how far the adversary can take the answers away from those.

    CE(net(x), y) + weight * max_delta KL(p(x) || p(x + delta)). The inner PGD raises that divergence, from a random
    point of the whole budget (the authors begin within 0.001 of x).

    Args:
        net: a network from inputs to logits.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; wired by the training.
        weight: of the divergence, 1 / lambda in the paper.
        same: 1: of a random network, one fresh draw gives both answers and is attacked; 0: fresh draws everywhere, so
            that the noise itself counts as disagreement.
        draws: that each step of the inner attack averages over, where ``same`` is 0.
    """
    with one_or_each(perturb, same):
        with torch.no_grad():
            answers = net(x).softmax(1)  # (B, K)
        inputs = perturb(x, answers, loss=divergence, draws=int(draws))
        clean = net(x)
        return F.cross_entropy(clean, y) + weight * divergence(net(inputs), clean.softmax(1)).mean()
