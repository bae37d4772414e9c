"""How many draws an attack must average over: as many as it takes until more of them change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from variate.evaluation.cascade import Comparison
from variate.evaluation.plan import Plan, Target, perturb
from variate.inputs.budget import Budget
from variate.records.schema import Convergence

LADDER = (5, 10, 20, 40, 80)
EXAMPLES = 64  # the first ones, that the numbers of draws are tried on
TOLERANCE = 0.01  # of the accuracy: what a doubling may still take away


def converge(
    target: Target,
    plan: Plan,
    budget: Budget,
    x: Tensor,
    y: Tensor,
    asked: Convergence,
    told: Callable[[int], None] = lambda _draws: None,
) -> Convergence:
    """Raise the draws of an attack until its accuracy is flat.

    Args:
        target: a random network.
        plan: the attack.
        budget: the norm and the size.
        x: inputs in [0, 1], shape (B, ...); the first 64 are tried.
        y: labels, shape (B,).
        asked: what the records say of it, without what comes out.
        told: called before each number of draws.
    """
    x, y = x[:EXAMPLES], y[:EXAMPLES]
    comparison, everyone = Comparison(target, y), torch.arange(len(x), device=x.device)
    tried: list[int] = []
    accuracy: list[float] = []
    flat = False
    for draws in LADDER:
        told(draws)
        perturbed, _ = perturb(target, replace(plan, draws=draws), budget, x, y)
        tried.append(draws)
        accuracy.append(round(float(comparison.scores(perturbed, everyone)[0].mean()), 4))
        flat = len(accuracy) > 1 and accuracy[-2] - accuracy[-1] <= TOLERANCE
        if flat:
            break
    chosen = tried[-2] if flat else tried[-1]
    return asked.model_copy(update={"draws": tried, "accuracy": accuracy, "chosen": chosen, "flat": flat})
