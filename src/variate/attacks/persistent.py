"""The persistent attacker."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from variate.attacks.parts.starts import in_ball
from variate.attacks.parts.votes import Votes
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.oracle import LabelOracle
from variate.registry import attack


@attack(
    access="labels",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
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
    """Hold a few candidates inside the budget, ask about them again and again, and keep the one most often wrong.

    The candidates are a PGD point of a source network, uniform points of the ball, and the input itself; the verdict
    survive-N tells how often N further queries are all right. Queries go to fewer and fewer candidates (successive
    halving), which deviates from a fixed share for each. Of equals the PGD point comes first, then the random points.

    With more than one draw an answer is that of most draws, which hides how often a single one is wrong: give it
    ``draws=1`` for a network that is deployed with one draw a query.

    Args:
        oracle: gives the label that most of its draws answer.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        source: the white-box attack on the source network, from (x, y, budget, target, steps); wired by the evaluation.
        queries: the most inputs to ask about, over all candidates of an example; at least one for each.
        candidates: how many are held, from 1.
        steps: number of gradient steps on the source.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for no candidate, or fewer queries than candidates.
    """
    if candidates < 1 or queries < candidates:
        what = f"{candidates} candidates with {queries} queries"
        raise UsageError(f"persistent cannot ask about {what}", expected="1 or more, and a query for each")
    held = [] if source is None else [source(x, y, budget=budget, target=target, steps=steps)]
    coins = oracle.coins(x)
    chance = max(0, candidates - len(held) - 1)
    held += [budget.project(x + in_ball(coins, x, budget, f"candidate {number}"), x) for number in range(chance)]
    held.append(x)
    return Votes(oracle, x, y, target).best(torch.stack(held[:candidates], 1), queries)
