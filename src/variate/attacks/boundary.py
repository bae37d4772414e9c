"""The Boundary Attack."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.edge import BEGIN, STEPS, Edge, noise, tiled
from variate.attacks.parts.votes import Votes, over
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.oracle import LabelOracle
from variate.registry import attack

LEAST = 600  # queries
END = 20  # one query in this many chooses what is returned
MOVES = 6  # from one place, each asked about at two radii
SIDES = (4, 8, 16, 0)  # tiles a side in which the moves are constant, in turn; 0: none
EVERY = 10  # rounds after which the radius is settled anew


@attack(
    access="labels",
    norms=("l2",),
    modality=("image", "audio", "text", "tabular"),
    cite="Brendel et al. 2018, arXiv:1712.04248, algorithm 1",
    quick={"queries": 900},
)
def boundary(
    oracle: LabelOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    queries: int = 10000,
    repeats: int = 2,
    minimal: bool = False,
) -> Tensor:
    """A random walk along the edge of the region of wrong answers, towards the input.

    A move turns the direction from the input by a random part at right angles; the moved point is asked about at the
    present radius and further in. Both lengths adapt to how many moves stay wrong, aiming at 50 % and 25 %.

    It deviates from the paper, which makes one move at a time and trusts every answer. Six moves and the place itself
    meet the same draws in several queries; the walk goes to the best of them, and stays if none is better. Moves
    count as kept where they are wrong as often as the place. They are drawn on coarse grids too (as in Brunner et al.
    2019, arXiv:1812.09803), since no few draws can tell the effect of one fine move. Every ten rounds the radius is
    found anew. What is returned goes to the end of the budget. It remains the weakest attack on random networks.

    Args:
        oracle: gives the label that most of its draws answer.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the size eps in l2.
        queries: the most inputs to ask about, for each example, from 600.
        repeats: how often each move is asked about, from 1.
        minimal: return the nearest wrong answer that is found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: for fewer than 600 queries or one repeat.
    """
    if queries < LEAST or repeats < 1:
        what, least = (f"{queries} queries", LEAST) if queries < LEAST else (f"{repeats} repeats", 1)
        raise UsageError(f"boundary cannot walk with {what}", expected=f"at least {least}")
    votes, coins = Votes(oracle, x, y), oracle.coins(x)
    edge = Edge(votes, x, budget)
    found, delta, radius = edge.begin(noise(coins, x) - x[:, None])
    walk = _Walk(votes, edge, delta, radius)
    end = queries // END
    turn = 2 * (MOVES + 1) * repeats * EVERY + STEPS
    for number in range((queries - end - BEGIN) // turn):
        drawn = coins.normal(f"moves {number}", (EVERY, MOVES, *x.shape[1:]))
        for position, moves in enumerate(drawn.unbind(1)):
            walk.step(tiled(moves, SIDES[position % len(SIDES)]), repeats)
        walk.radius = edge.settle(walk.delta, walk.radius)
    best = edge.closest(walk.delta, walk.radius, end) if minimal else edge.deepest(walk.delta, walk.radius, [], end)
    return budget.project(best, x).where(over(found, x), x)


class _Walk:
    """A walk along the edge: its place by direction and radius, and the lengths of its steps relative to the radius."""

    def __init__(self, votes: Votes, edge: Edge, delta: Tensor, radius: Tensor) -> None:
        self._votes, self._edge = votes, edge
        self.delta, self.radius = delta, radius
        self._aside, self._inward = torch.full_like(radius, 0.1), torch.full_like(radius, 0.01)
        self._each = torch.arange(len(delta), device=delta.device)

    def step(self, moves: Tensor, repeats: int) -> None:
        """Ask about the place and moves from it, (B, M, ...), at two radii; go to the best if it is better."""
        turned = torch.cat([self.delta[:, None], _turned(self.delta, moves, self._aside)], 1)  # (B, M + 1, ...)
        count, inner = turned.shape[1], self.radius * (1 - self._inward)
        points = self._edge.at(
            torch.cat([turned, turned], 1), torch.stack([self.radius, inner], 1).repeat_interleave(count, 1)
        )
        outer_share, inner_share = self._votes.shares(points, repeats).chunk(2, 1)  # (B, M + 1)
        best = (outer_share + inner_share).argmax(1)  # the place itself where no move is better
        nearer = inner_share[self._each, best] > 0.5
        self.delta = turned[self._each, best]
        self.radius = inner.where(nearer, self.radius)
        place = outer_share[:, :1]
        self._aside = _adapted(self._aside, outer_share[:, 1:] >= place, 0.5)
        self._inward = _adapted(self._inward, inner_share[:, 1:] >= place, 0.25)


def _adapted(length: Tensor, kept: Tensor, target: float) -> Tensor:
    """A longer step where more than the target share of the moves, (B, M), is as often wrong as the place itself."""
    adapted: Tensor = (length * (0.3 * (kept.to(length).mean(1) - target)).exp()).clamp(1e-5, 1)
    return adapted


def _turned(delta: Tensor, moves: Tensor, aside: Tensor) -> Tensor:
    """Directions turned by a part of their length, at right angles: (B, ...) and (B, M, ...) to (B, M, ...)."""
    along = delta[:, None].flatten(2)  # (B, 1, D)
    along = along / along.norm(dim=2, keepdim=True).clamp(min=1e-12)
    flat = moves.flatten(2)
    across = flat - (flat * along).sum(2, keepdim=True) * along
    across = across / across.norm(dim=2, keepdim=True).clamp(min=1e-12)
    turned: Tensor = along + aside[:, None, None] * across
    return turned.view_as(moves)
