"""RayS."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.edge import BEGIN, STEPS, Edge, corners
from variate.attacks.parts.votes import Votes
from variate.inputs.budget import Budget
from variate.limits import Count, Limits
from variate.oracle.oracle import LabelOracle
from variate.registry import attack

MIN_QUERIES = 500
END = 20  # one query in this many is reserved for selecting the result
GROUP = 32  # flips evaluated under the same draws as the direction they change
FACTORS = (0.7, 0.8, 0.88, 0.94, 1.0, 1.06)  # radii of the boundary search, relative to the current one
FLIPS = 128  # minimum number of flips queried per level; each of few blocks up to 16 times
MIXES = 4  # directions compared after a level
TIMES = 4  # queries of each of them
INSIDE = 0.998  # fraction of the radius at which exact answers are still right


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
    queries: Annotated[int, Limits(at_least=MIN_QUERIES)] = 10000,
    repeats: Count = 3,
    minimal: bool = False,
) -> Tensor:
    """Search sign directions for the one with the nearest decision boundary, flipping ever smaller blocks of values.

    The paper flips one block after another and trusts every answer. Here all flips of a level are queried, in groups
    that are evaluated under the same draws as the direction itself. All flips that are wrong more often than the
    direction, the better half of them, and the best alone give three new directions, and repeated queries select among
    these and the current one. Levels of few blocks, where a flip matters more than a draw, are queried more often;
    after the finest level the levels restart with shifted blocks. The radius is found by stochastic approximation
    instead of bisection. The returned point uses the whole budget.

    Args:
        oracle: returns the label that most of its draws predict.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the size eps in linf.
        queries: maximum number of inputs queried per example, at least 500.
        repeats: minimum number of queries of each flip, at least 1.
        minimal: return the nearest wrong answer found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: if ``queries`` is below 500 or ``repeats`` below 1.
    """
    votes, coins = Votes(oracle, x, y), oracle.coins(x)
    edge = Edge(votes, x, budget)
    started, signs, radius = edge.begin(corners(coins, x))
    size = x[0].numel() if len(x) else 1
    for level, blocks in enumerate(_schedule(queries - queries // END - BEGIN, repeats, size)):
        offset = coins.integers(f"offset {level}", (1,), size)  # (B, 1)
        block_of = (
            (torch.arange(size, device=x.device) + offset) % size * blocks // size
        )  # (B, D), index of each value's block
        gains = _gains(votes, edge, signs, INSIDE * radius, block_of, blocks, _times(blocks, repeats))
        mixes = torch.cat([signs[:, None], _mixed(signs, gains, block_of)], 1)  # (B, MIXES, ...)
        signs, radius, _ = edge.nearest(mixes, radius[:, None] * torch.tensor(FACTORS).to(x), TIMES)
        radius = edge.settle(signs, radius)
    reserved = queries // END
    best = edge.closest(signs, radius, reserved) if minimal else edge.deepest(signs, radius, [], reserved)
    return budget.project(best, x).where(unsqueeze_to(started, x), x)


def _schedule(queries: int, repeats: int, size: int) -> list[int]:
    """Number of blocks of every level: 1, 2, 4 ... while a level takes at most a quarter of the queries, then again."""
    levels: list[int] = []
    blocks, remaining = 1, queries
    while True:
        level_queries = (blocks + -(-blocks // GROUP)) * _times(blocks, repeats)
        if levels and (level_queries > queries / 4 or blocks > 2 * size):
            blocks = 1
            continue
        remaining -= level_queries + MIXES * len(FACTORS) * TIMES + STEPS
        if remaining < 0:
            return levels
        levels.append(min(blocks, size))
        blocks *= 2


def _times(blocks: int, repeats: int) -> int:
    """Number of queries of each flip of a level; more where there are few blocks."""
    return max(repeats, min(16, FLIPS // blocks))


def _gains(
    votes: Votes, edge: Edge, signs: Tensor, radius: Tensor, block_of: Tensor, blocks: int, repeats: int
) -> Tensor:
    """Increase in the fraction of wrong answers from flipping each block, under the same draws: (B, blocks)."""
    gains = []
    for first in range(0, blocks, GROUP):
        group = torch.arange(first, min(first + GROUP, blocks), device=signs.device)
        flips = 1 - 2 * (block_of[:, None] == group[:, None]).to(signs)  # (B, GROUP, D)
        deltas = signs[:, None] * torch.cat([torch.ones_like(flips[:, :1]), flips], 1).view(
            len(signs), -1, *signs.shape[1:]
        )
        shares = votes.shares(edge.at(deltas, radius[:, None].expand(-1, deltas.shape[1])), repeats)
        gains.append(shares[:, 1:] - shares[:, :1])
    return torch.cat(gains, 1)


def _mixed(signs: Tensor, gains: Tensor, block_of: Tensor) -> Tensor:
    """Directions with all helpful blocks flipped, with the better half of them, and with the best: (B, 3, ...)."""
    rank = gains.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # the rank of each block
    helpful = (gains > 0).sum(1, keepdim=True)
    mixes = [rank < count for count in (helpful, (helpful + 1) // 2, helpful.clamp(max=1))]
    flips = torch.stack([mask.gather(1, block_of) for mask in mixes], 1)  # (B, 3, D)
    return signs[:, None] * (1 - 2 * flips.to(signs)).view(len(signs), 3, *signs.shape[1:])
