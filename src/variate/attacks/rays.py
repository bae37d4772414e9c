"""RayS."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.edge import BEGIN, STEPS, Edge, corners
from variate.attacks.parts.votes import Votes, over
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.oracle import LabelOracle
from variate.registry import attack

LEAST = 500  # queries
END = 20  # one query in this many chooses what is returned
GROUP = 32  # flips that meet the same draws as the directions that they are flips of
FACTORS = (0.7, 0.8, 0.88, 0.94, 1.0, 1.06)  # of the radius: where the edge is looked for after a level
FLIPS = 128  # that a level asks about at least, each of few blocks up to 16 times
MIXES = 4  # directions that a level leads to
TIMES = 4  # queries about each of them
INSIDE = 0.998  # of the radius: where answers that repeat are still right


@attack(
    access="labels",
    norms=("linf",),
    modality=("image", "audio", "text", "tabular"),
    cite="Chen & Gu 2020, arXiv:2006.12792, algorithm 3",
    quick={"queries": 900},
)
def rays(
    oracle: LabelOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    queries: int = 10000,
    repeats: int = 3,
    minimal: bool = False,
) -> Tensor:
    """Search among directions of signs for the one whose ray is wrong soonest, flipping blocks of ever fewer values.

    It deviates from the paper, which flips one block after another and trusts every answer. All flips of a level are
    asked about, in groups that meet the same draws as the direction itself; the flips that are wrong more often than
    it, the better half of them, and the best alone become three directions, and repeated queries choose among these
    and the old one. The levels of few blocks, where a flip matters more than a draw, are asked about more often, and
    after the finest level they begin anew with blocks that start elsewhere. The radius is found by stochastic
    approximation in place of bisection. What is returned goes to the end of the budget.

    Args:
        oracle: gives the label that most of its draws answer.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the size eps in linf.
        queries: the most inputs to ask about, for each example, from 500.
        repeats: how often a flip is asked about at least, from 1.
        minimal: return the nearest wrong answer that is found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: for fewer than 500 queries or one repeat.
    """
    if queries < LEAST or repeats < 1:
        what, least = (f"{queries} queries", LEAST) if queries < LEAST else (f"{repeats} repeats", 1)
        raise UsageError(f"rays cannot search with {what}", expected=f"at least {least}")
    votes, coins = Votes(oracle, x, y), oracle.coins(x)
    edge = Edge(votes, x, budget)
    found, signs, radius = edge.begin(corners(coins, x))
    size = x[0].numel() if len(x) else 1
    for number, blocks in enumerate(_schedule(queries - queries // END - BEGIN, repeats, size)):
        offset = coins.integers(f"offset {number}", (1,), size)  # (B, 1)
        whose = (
            (torch.arange(size, device=x.device) + offset) % size * blocks // size
        )  # (B, D), the block of each value
        gains = _gains(votes, edge, signs, INSIDE * radius, whose, blocks, _times(blocks, repeats))
        mixes = torch.cat([signs[:, None], _mixed(signs, gains, whose)], 1)  # (B, MIXES, ...)
        signs, radius, _ = edge.nearest(mixes, radius[:, None] * torch.tensor(FACTORS).to(x), TIMES)
        radius = edge.settle(signs, radius)
    end = queries // END
    best = edge.closest(signs, radius, end) if minimal else edge.deepest(signs, radius, [], end)
    return budget.project(best, x).where(over(found, x), x)


def _schedule(queries: int, repeats: int, size: int) -> list[int]:
    """The number of blocks of every level: 1, 2, 4 ... as long as a level takes at most a quarter, then anew."""
    found: list[int] = []
    blocks, left = 1, queries
    while True:
        cost = (blocks + -(-blocks // GROUP)) * _times(blocks, repeats)
        if found and (cost > queries / 4 or blocks > 2 * size):
            blocks = 1
            continue
        left -= cost + MIXES * len(FACTORS) * TIMES + STEPS
        if left < 0:
            return found
        found.append(min(blocks, size))
        blocks *= 2


def _times(blocks: int, repeats: int) -> int:
    """How often the flips of a level are asked about: more often where there are few."""
    return max(repeats, min(16, FLIPS // blocks))


def _gains(votes: Votes, edge: Edge, signs: Tensor, radius: Tensor, whose: Tensor, blocks: int, repeats: int) -> Tensor:
    """How much more often a direction is wrong with each block flipped, under the same draws: (B, blocks)."""
    found = []
    for first in range(0, blocks, GROUP):
        numbers = torch.arange(first, min(first + GROUP, blocks), device=signs.device)
        flips = 1 - 2 * (whose[:, None] == numbers[:, None]).to(signs)  # (B, GROUP, D)
        deltas = signs[:, None] * torch.cat([torch.ones_like(flips[:, :1]), flips], 1).view(
            len(signs), -1, *signs.shape[1:]
        )
        shares = votes.shares(edge.at(deltas, radius[:, None].expand(-1, deltas.shape[1])), repeats)
        found.append(shares[:, 1:] - shares[:, :1])
    return torch.cat(found, 1)


def _mixed(signs: Tensor, gains: Tensor, whose: Tensor) -> Tensor:
    """Directions with all blocks flipped that gain, with the better half of them, and with the best: (B, 3, ...)."""
    order = gains.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # the rank of each block
    helpful = (gains > 0).sum(1, keepdim=True)
    mixes = [order < count for count in (helpful, (helpful + 1) // 2, helpful.clamp(max=1))]
    flips = torch.stack([chosen.gather(1, whose) for chosen in mixes], 1)  # (B, 3, D)
    return signs[:, None] * (1 - 2 * flips.to(signs)).view(len(signs), 3, *signs.shape[1:])
