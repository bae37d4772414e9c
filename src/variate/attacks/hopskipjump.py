"""HopSkipJump."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.edge import BEGIN, STEPS, Edge, noise
from variate.attacks.parts.votes import Votes
from variate.inputs.budget import Budget
from variate.limits import Count, Limits, Momentum
from variate.oracle.oracle import LabelOracle
from variate.oracle.randomness import Coins
from variate.registry import attack

MIN_QUERIES = 500
END = 20  # one query in this many is reserved for selecting the result
GROUP = 25  # probes under the same draws
FACTORS = (0.5, 0.7, 0.8, 0.88, 0.94, 1.0, 1.06, 1.2)  # radii of the boundary search, relative to the current one
LADDER = (2.0, 1.0, 0.5)  # multiples of the step length to try
CHANGES = (0.5, 2.0, 1.0, 0.7)  # factors on the step length after no step, and after each step of the ladder
TIMES = 4  # queries of each step
MIXED = 0.5  # target for how mixed the answers of a group are: 4 * share * (1 - share)


@attack(
    access="labels",
    norms=("l2", "linf"),
    modality=("image", "audio", "text", "tabular"),
    cite="Chen et al. 2020, arXiv:1904.02144, algorithm 2",
    quick={"queries": 800},
)
def hopskipjump(
    oracle: LabelOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    queries: Annotated[int, Limits(at_least=MIN_QUERIES)] = 10000,
    probes: Count = 100,
    momentum: Momentum = 0.8,
    minimal: bool = False,
) -> Tensor:
    """Estimate the normal of the decision boundary, step along it, return to the boundary, and repeat.

    The normal is the sum of (wrong - mean of wrong) * u over random directions u of the probes point + size * u, a step
    goes to point + length * steepest(normal), and the boundary is then searched on the ray from the input.

    The paper trusts every answer; this version allows for random ones. Starts are confirmed by several queries. Probes
    are queried in groups of 25 under the same draws, each compared with the mean of its own group, so that a draw that
    is right or wrong on the whole group carries no weight; the size of the probes grows until the answers within a
    group are mixed. Normals are averaged over iterations. Several step lengths are compared under the same draws. The
    boundary is found by stochastic approximation instead of bisection. At the boundary half of the draws are right, so
    the result is moved on to the end of the budget, and repeated queries select among such points.

    Args:
        oracle: returns the label that most of its draws predict.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        queries: maximum number of inputs queried per example, at least 500.
        probes: number of probes of the first normal, at least 1, rounded to whole groups; iteration t takes sqrt(t)
            times as many.
        momentum: weight of earlier normals, in [0, 1); 0 as in the paper.
        minimal: return the nearest wrong answer found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: if ``queries`` is below 500 or ``probes`` below 1, or ``momentum`` is not in [0, 1).
    """
    votes, coins = Votes(oracle, x, y), oracle.coins(x)
    edge = Edge(votes, x, budget)
    started, delta, radius = edge.begin(noise(coins, x) - x[:, None])
    slope = _Slope(votes, coins, x)
    length = torch.full_like(radius, 0.5)  # length of a step relative to the radius
    direction = torch.zeros_like(x)
    for iteration, groups in enumerate(_schedule(queries - queries // END - BEGIN, probes)):
        point = edge.at(delta[:, None], radius[:, None])[:, 0]
        direction = momentum * direction + slope.at(point, groups, iteration)
        step = radius.clamp(min=0.05 * budget.eps) * length
        moves = (
            unsqueeze_to(step, x)[:, None]
            * budget.steepest(direction)[:, None]
            * unsqueeze_to(torch.tensor(LADDER).to(x)[None], x[:, None])
        )
        deltas = torch.cat([delta[:, None], (point[:, None] + moves).clamp(0, 1) - x[:, None]], 1)  # (B, J, ...)
        delta, radius, best_step = edge.nearest(deltas, radius[:, None] * torch.tensor(FACTORS).to(x), TIMES)
        radius = edge.settle(delta, radius)
        length = (length * torch.tensor(CHANGES).to(x)[best_step]).clamp(1e-3, 2)
    if minimal:
        best = budget.project(edge.closest(delta, radius, queries // END), x)
    else:
        normal = budget.eps * budget.steepest(direction)
        point = edge.at(delta[:, None], radius[:, None])[:, 0]
        best = edge.deepest(delta, radius, [point + 0.5 * normal, point + normal, x + normal], queries // END)
    return best.where(unsqueeze_to(started, x), x)


def _schedule(queries: int, probes: int) -> list[int]:
    """Number of probe groups of every iteration; it grows with the square root of the iteration, as in the paper."""
    schedule: list[int] = []
    while True:
        groups = max(1, round(probes * math.sqrt(len(schedule) + 1) / GROUP))
        queries -= groups * GROUP + len(FACTORS) * len(CHANGES) * TIMES + STEPS
        if queries < 0:
            return schedule
        schedule.append(groups)


class _Slope:
    """The direction in which wrong answers become more frequent, from probes around a point on the boundary."""

    def __init__(self, votes: Votes, coins: Coins, x: Tensor) -> None:
        self._votes, self._coins = votes, coins
        self._most = 0.3 * math.sqrt(x[0].numel()) if len(x) else 1.0
        self._radius = x.new_ones(len(x)).clamp(max=self._most)  # l2 radius of the probes

    def at(self, point: Tensor, groups: int, iteration: int) -> Tensor:
        """Direction of l2 length 1, or zero where no group had mixed answers: (B, ...) to (B, ...)."""
        total = torch.zeros_like(point)
        for group in range(groups):
            drawn = self._coins.normal(f"probes {iteration} {group}", (GROUP, *point.shape[1:]))
            unit = drawn / unsqueeze_to(drawn.flatten(2).norm(dim=2), drawn)
            radius = unsqueeze_to(self._radius[:, None], unit)
            probes = (point[:, None] + radius * unit).clamp(0, 1)
            wrong = self._votes.once(probes)
            share = wrong.mean(1, keepdim=True)
            total += ((probes - point[:, None]) / radius * unsqueeze_to(wrong - share, unit)).sum(1)
            mixed = 4 * (share * (1 - share))[:, 0]
            self._radius = (self._radius * (0.3 * (MIXED - mixed)).exp()).clamp(1e-4, self._most)
        return total / unsqueeze_to(total.flatten(1).norm(dim=1).clamp(min=1e-12), total)
