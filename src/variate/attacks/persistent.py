"""The persistent attacker."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from variate.attacks._starts import in_ball
from variate.attacks._votes import Votes
from variate.budget import Budget
from variate.errors import UsageError
from variate.oracle import LabelOracle
from variate.registry import attack


@attack(
    access="labels",
    norms=("linf", "l2", "l1"),
    modality=("image",),
    cite="Lucas et al. 2023, arXiv:2302.13464",
    targeted=True,
    quick={"queries": 40, "steps": 5},
)
def persistent(
    oracle: LabelOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    source: Callable[..., Tensor] | None = None,
    queries: int = 200,
    candidates: int = 8,
    steps: int = 40,
) -> Tensor:
    """Doc."""
    if candidates < 1 or queries < candidates:
        what = f"{candidates} candidates with {queries} queries"
        raise UsageError(f"persistent cannot ask about {what}", expected="1 or more, and a query for each")
    held = [] if source is None else [source(x, y, budget=budget, target=target, steps=steps)]
    coins = oracle.coins(x)
    chance = max(0, candidates - len(held) - 1)
    held += [budget.project(x + in_ball(coins, x, budget, f"candidate {number}"), x) for number in range(chance)]
    held.append(x)
    return Votes(oracle, x, y, target).best(torch.stack(held[:candidates], 1), queries)
