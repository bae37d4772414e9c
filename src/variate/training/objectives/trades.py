"""TRADES: a trade-off between accuracy and robustness."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.oracle.losses import divergence
from variate.registry import objective
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.parts.draws import shared_or_fresh_draws


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
    """Cross-entropy on clean inputs plus the divergence of the answers under attack from the clean ones.

    CE(net(x), y) + weight * max_delta KL(p(x) || p(x + delta)). The inner PGD maximizes that divergence, starting
    at a random point in the budget (the authors start within 0.001 of x).

    Args:
        net: a network from inputs to logits.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        perturb: the inner attack; supplied by the training.
        weight: weight of the divergence; 1 / lambda in the paper.
        same: 1 uses one fresh draw of a random network for both answers and the attack; 0 uses fresh draws everywhere,
            so the noise itself adds to the divergence.
        draws: number of draws that each step of the inner attack averages over if ``same`` is 0.
    """
    with shared_or_fresh_draws(perturb, same):
        with torch.no_grad():
            answers = net(x).softmax(1)  # (B, K)
        inputs = perturb(x, answers, loss=divergence, draws=int(draws))
        clean = net(x)
        return F.cross_entropy(clean, y) + weight * divergence(net(inputs), clean.softmax(1)).mean()
