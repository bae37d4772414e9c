"""Random points of the ball."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.score_queries import best_of, values_of
from variate.attacks.parts.starts import in_ball
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.oracle.randomness import Coins
from variate.registry import attack

GROUP = 50  # points in one query
FINAL = 5  # one query in so many is kept for the choice among the groups' best


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
    queries: int = 1000,
) -> Tensor:
    """The worst of many uniform points of the ball: a floor, below which no attack that asks should stay.

    Points are asked about in groups of 50 that meet the same draws. The input itself and the groups' points of highest
    margin are then asked about again, each time all in one query, and averages choose among them; one query in
    five is kept for that.

    Args:
        oracle: gives the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps; in l0 eps values, chosen uniformly, are uniform in [0, 1].
        target: the labels to reach, shape (B,); None to leave ``y``.
        queries: the most inputs to ask about, for each example, from 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than 1 query.
    """
    if queries < 1:
        raise UsageError(f"noise cannot search with {queries} queries", expected="at least 1")
    loss, labels = aimed(margin, y, target)
    coins, rows = oracle.coins(x), torch.arange(len(x), device=x.device)
    asked = queries - queries // FINAL
    found = []
    for first in range(0, asked, GROUP):
        numbers = range(first, min(first + GROUP, asked))
        points = torch.stack([_point(coins, x, budget, number) for number in numbers], 1)  # (B, G, ...)
        values = values_of(oracle, points, labels, loss, rows)
        found.append(points[rows, values.argmax(1)])
    finalists = [*found, x]
    return best_of(oracle, finalists, labels, loss, rows=rows, repeats=queries // FINAL // len(finalists))


def _point(coins: Coins, x: Tensor, budget: Budget, number: int) -> Tensor:
    """A uniform point of the ball, cut to [0, 1]: shape (B, ...)."""
    purpose = f"point {number}"
    if budget.norm != "l0":
        return budget.project(x + in_ball(coins, x, budget, purpose), x)
    places, values = (coins.uniform(f"{purpose}, {what}", x.shape[1:]).flatten(1) for what in ("places", "values"))
    changed = places.topk(min(int(budget.size), places.shape[1]), dim=1).indices
    flat = x.flatten(1)
    return flat.scatter(1, changed, values.gather(1, changed)).view_as(x)
