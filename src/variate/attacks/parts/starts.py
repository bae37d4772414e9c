"""Starting points of attacks."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.inputs.budget import Budget
from variate.oracle.randomness import Coins


def in_ball(coins: Coins, x: Tensor, budget: Budget, purpose: str) -> Tensor:
    """A uniform point in the ball around 0; it does not depend on the rest of the batch: shape (B, ...).

    Drawn from exponential variates in l1 and from normal ones in l2 (Barthe et al. 2005, "A probabilistic approach to
    the geometry of the l_p^n-ball").

    Args:
        coins: the attacker's random numbers.
        x: inputs, shape (B, ...).
        budget: linf, l2 or l1.
        purpose: name of the random numbers; another name gives another point.
    """
    shape = x.shape[1:]
    if budget.norm == "linf":
        return (2 * coins.uniform(purpose, shape) - 1) * budget.eps
    free = 1.0 if coins.free is None else coins.free.to(x)
    if budget.norm == "l1":
        sizes = free * -coins.uniform(purpose, shape).log() * coins.signs(f"{purpose}, signs", shape)
        direction = sizes / sizes.flatten(1).norm(p=1, dim=1).view(-1, *[1] * len(shape))
    else:
        direction = budget.steepest(free * coins.normal(purpose, shape))
    radius = coins.uniform(f"{purpose}, radius", [1] * len(shape))  # (B, 1, ...)
    ball: Tensor = direction * budget.eps * radius ** (1 / max(torch.Size(shape).numel(), 1))
    return ball
