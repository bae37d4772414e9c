"""HopSkipJump."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from variate.attacks.parts.edge import BEGIN, STEPS, Edge, noise
from variate.attacks.parts.votes import Votes, over
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.oracle import LabelOracle
from variate.oracle.randomness import Coins
from variate.registry import attack

LEAST = 500  # queries
END = 20  # one query in this many chooses what is returned
GROUP = 25  # probes that meet the same draws
FACTORS = (0.5, 0.7, 0.8, 0.88, 0.94, 1.0, 1.06, 1.2)  # of the radius: where the edge is looked for after a step
LADDER = (2.0, 1.0, 0.5)  # of the step's length
CHANGES = (0.5, 2.0, 1.0, 0.7)  # of the step's length after no step, and after one of the ladder
TIMES = 4  # queries about each step
MIXED = 0.5  # how mixed the answers of one group should be: 4 * share * (1 - share)


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
    queries: int = 10000,
    probes: int = 100,
    momentum: float = 0.8,
    minimal: bool = False,
) -> Tensor:
    """Estimate the normal of the region of wrong answers at its edge, step along it, return to the edge, and again.

    The normal is the sum of (wrong - mean of wrong) * u over random directions u of the probes point + size * u, a step
    goes to point + length * steepest(normal), and the edge is sought anew on the ray from the input.

    It deviates from the paper, which trusts every answer, where answers are random. Starts are confirmed by several
    queries. Probes are asked in groups of 25 that meet the same draws, each compared with the mean of its own group, so
    that a draw that is right or wrong on a whole group says nothing; their size grows until answers in a group are
    mixed. Normals are averaged over the iterations. Lengths of steps are tried side by side under the same draws. The
    edge is found by stochastic approximation in place of bisection. At the edge half of the draws are right, so what
    is returned goes on to the end of the budget, and repeated answers choose among such points.

    Args:
        oracle: gives the label that most of its draws answer.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        queries: the most inputs to ask about, for each example, from 500.
        probes: of the first normal, from 1, in whole groups; that of iteration t takes sqrt(t) times as many.
        momentum: the weight of the earlier normals, in [0, 1); 0 as in the paper.
        minimal: return the nearest wrong answer that is found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: for fewer than 500 queries or one probe, or a momentum outside of [0, 1).
    """
    if queries < LEAST:
        raise UsageError(f"hopskipjump cannot search with {queries} queries", expected=f"at least {LEAST}")
    if probes < 1 or not 0 <= momentum < 1:
        what = f"{probes} probes" if probes < 1 else f"a momentum of {momentum}"
        raise UsageError(f"hopskipjump cannot take {what}", expected="at least 1 probe, a momentum in [0, 1)")
    votes, coins = Votes(oracle, x, y), oracle.coins(x)
    edge = Edge(votes, x, budget)
    found, delta, radius = edge.begin(noise(coins, x) - x[:, None])
    slope = _Slope(votes, coins, x)
    length = torch.full_like(radius, 0.5)  # of a step, relative to the radius
    direction = torch.zeros_like(x)
    for number, groups in enumerate(_schedule(queries - queries // END - BEGIN, probes)):
        point = edge.at(delta[:, None], radius[:, None])[:, 0]
        direction = momentum * direction + slope.at(point, groups, number)
        step = radius.clamp(min=0.05 * budget.eps) * length
        moves = (
            over(step, x)[:, None]
            * budget.steepest(direction)[:, None]
            * over(torch.tensor(LADDER).to(x)[None], x[:, None])
        )
        deltas = torch.cat([delta[:, None], (point[:, None] + moves).clamp(0, 1) - x[:, None]], 1)  # (B, J, ...)
        delta, radius, chosen = edge.nearest(deltas, radius[:, None] * torch.tensor(FACTORS).to(x), TIMES)
        radius = edge.settle(delta, radius)
        length = (length * torch.tensor(CHANGES).to(x)[chosen]).clamp(1e-3, 2)
    if minimal:
        best = budget.project(edge.closest(delta, radius, queries // END), x)
    else:
        normal = budget.eps * budget.steepest(direction)
        point = edge.at(delta[:, None], radius[:, None])[:, 0]
        best = edge.deepest(delta, radius, [point + 0.5 * normal, point + normal, x + normal], queries // END)
    return best.where(over(found, x), x)


def _schedule(queries: int, probes: int) -> list[int]:
    """The number of groups of probes of every iteration; it grows with the root of its number, as in the paper."""
    found: list[int] = []
    while True:
        groups = max(1, round(probes * math.sqrt(len(found) + 1) / GROUP))
        queries -= groups * GROUP + len(FACTORS) * len(CHANGES) * TIMES + STEPS
        if queries < 0:
            return found
        found.append(groups)


class _Slope:
    """The direction in which the share of wrong answers grows, from probes around a point at the edge."""

    def __init__(self, votes: Votes, coins: Coins, x: Tensor) -> None:
        self._votes, self._coins = votes, coins
        self._most = 0.3 * math.sqrt(x[0].numel()) if len(x) else 1.0
        self._radius = x.new_ones(len(x)).clamp(max=self._most)  # of the probes, in l2

    def at(self, point: Tensor, groups: int, number: int) -> Tensor:
        """A direction of length 1 in l2, or zero where no answers were mixed: (B, ...) to (B, ...)."""
        total = torch.zeros_like(point)
        for group in range(groups):
            drawn = self._coins.normal(f"probes {number} {group}", (GROUP, *point.shape[1:]))
            unit = drawn / over(drawn.flatten(2).norm(dim=2), drawn)
            radius = over(self._radius[:, None], unit)
            probes = (point[:, None] + radius * unit).clamp(0, 1)
            wrong = self._votes.once(probes)
            share = wrong.mean(1, keepdim=True)
            total += ((probes - point[:, None]) / radius * over(wrong - share, unit)).sum(1)
            mixed = 4 * (share * (1 - share))[:, 0]
            self._radius = (self._radius * (0.3 * (MIXED - mixed)).exp()).clamp(1e-4, self._most)
        return total / over(total.flatten(1).norm(dim=1).clamp(min=1e-12), total)
