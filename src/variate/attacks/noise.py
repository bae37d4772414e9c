"""Random points in the ball."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.score_queries import best_of, values_of
from variate.attacks.parts.starts import in_ball
from variate.inputs.budget import Budget
from variate.limits import Count
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.oracle.randomness import Coins
from variate.registry import attack

GROUP = 50  # points in one query
FINAL = 5  # one query in this many is reserved for selecting among the best points of the groups


@attack(
    access="scores",
    norms=("linf", "l2", "l1", "l0"),
    modality=("image", "audio", "text", "tabular"),
    cite="Andriushchenko et al. 2020, arXiv:1912.00049, section 2 (random search); Barthe et al. 2005 (uniform points)",
    targeted=True,
    quick={"queries": 100},
)
def noise(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    queries: Count = 1000,
) -> Tensor:
    """The worst of many uniform random points in the ball: a baseline that every attack with queries should beat.

    Points are queried in groups of 50 under the same draws. The input itself and the point with the highest margin of
    each group are then queried again, all in one query each time, and averages select among them; one query in five is
    reserved for that.

    Args:
        oracle: returns the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps; in l0, eps values chosen at random become uniform in [0, 1].
        target: target labels, shape (B,); None for an untargeted attack.
        queries: maximum number of inputs queried per example, at least 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``queries`` is below 1.
    """
    loss, labels = aimed(margin, y, target)
    coins, rows = oracle.coins(x), torch.arange(len(x), device=x.device)
    group_queries = queries - queries // FINAL
    winners = []
    for first in range(0, group_queries, GROUP):
        indices = range(first, min(first + GROUP, group_queries))
        points = torch.stack([_point(coins, x, budget, index) for index in indices], 1)  # (B, G, ...)
        values = values_of(oracle, points, labels, loss, rows)
        winners.append(points[rows, values.argmax(1)])
    finalists = [*winners, x]
    return best_of(oracle, finalists, labels, loss, rows=rows, repeats=queries // FINAL // len(finalists))


def _point(coins: Coins, x: Tensor, budget: Budget, index: int) -> Tensor:
    """A uniform random point in the ball, clipped to [0, 1]: shape (B, ...)."""
    purpose = f"point {index}"
    if budget.norm != "l0":
        return budget.project(x + in_ball(coins, x, budget, purpose), x)
    order, values = (coins.uniform(f"{purpose}, {what}", x.shape[1:]).flatten(1) for what in ("places", "values"))
    changed = order.topk(min(int(budget.size), order.shape[1]), dim=1).indices
    flat = x.flatten(1)
    return flat.scatter(1, changed, values.gather(1, changed)).view_as(x)
