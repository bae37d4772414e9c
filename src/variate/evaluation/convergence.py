"""Find how many draws an attack must average over: the smallest number at which its accuracy is flat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from variate.evaluation.cascade import CandidateScorer
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.records.schema import Convergence

LADDER = (5, 10, 20, 40, 80)
EXAMPLES = 64  # numbers of draws are tried on this many first examples
TOLERANCE = 0.01  # largest drop of the accuracy on doubling the draws that still counts as flat


def converge(
    target: Target,
    plan: Plan,
    budget: Budget,
    x: Tensor,
    y: Tensor,
    record: Convergence,
    report: Callable[[int], None] = lambda _draws: None,
) -> Convergence:
    """Double the draws of an attack until its accuracy is flat.

    Args:
        target: a random network.
        plan: the attack.
        budget: the norm and the size.
        x: inputs in [0, 1], shape (B, ...); the first 64 are used.
        y: labels, shape (B,).
        record: record of the search, its results still empty.
        report: called before each number of draws.

    Returns:
        ``record`` with its results.
    """
    x, y = x[:EXAMPLES], y[:EXAMPLES]
    scorer, everyone = CandidateScorer(target, y), torch.arange(len(x), device=x.device)
    tried: list[int] = []
    accuracy: list[float] = []
    flat = False
    for draws in LADDER:
        report(draws)
        perturbed, _ = perturb(target, replace(plan, draws=draws), budget, x, y)
        tried.append(draws)
        accuracy.append(round(float(scorer.scores(perturbed, everyone)[0].mean()), 4))
        flat = len(accuracy) > 1 and accuracy[-2] - accuracy[-1] <= TOLERANCE
        if flat:
            break
    chosen = tried[-2] if flat else tried[-1]
    return record.model_copy(update={"draws": tried, "accuracy": accuracy, "chosen": chosen, "flat": flat})
