"""The persistent attacker."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from variate.attacks.parts.starts import in_ball
from variate.attacks.parts.votes import Votes
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.limits import Count
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
    queries: Count = 200,
    candidates: Count = 8,
    steps: Count = 40,
) -> Tensor:
    """Query a few candidates within the budget again and again, and keep the one that is most often wrong.

    The candidates are a PGD point of a source network, uniform random points in the ball, and the input itself; the
    survive-N verdict reports how often N further queries are all right. Queries concentrate on fewer and fewer
    candidates (successive halving) instead of an equal share for each. Ties go to the PGD point, then to the random
    points.

    With more than one draw, an answer is a majority over draws, which hides how often a single one is wrong: use
    ``draws=1`` for a network that is deployed with one draw per query.

    Args:
        oracle: returns the label that most of its draws predict.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        source: the white-box attack on the source network, called with (x, y, budget, target, steps); set by the
            evaluation.
        queries: maximum number of inputs queried per example, over all candidates; at least one for each.
        candidates: number of candidates, at least 1.
        steps: number of gradient steps on the source.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``candidates`` is below 1, or ``queries`` is below ``candidates``.
    """
    if queries < candidates:
        what = f"{candidates} candidates with {queries} queries"
        raise UsageError(f"persistent cannot compare {what}", expected="a query for each")
    points = [] if source is None else [source(x, y, budget=budget, target=target, steps=steps)]
    coins = oracle.coins(x)
    num_random = max(0, candidates - len(points) - 1)
    points += [budget.project(x + in_ball(coins, x, budget, f"candidate {index}"), x) for index in range(num_random)]
    points.append(x)
    return Votes(oracle, x, y, target).best(torch.stack(points[:candidates], 1), queries)
