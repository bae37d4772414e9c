"""The Boundary Attack."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.edge import BEGIN, STEPS, Edge, noise, tiled
from variate.attacks.parts.votes import Votes
from variate.inputs.budget import Budget
from variate.limits import Count, Limits
from variate.oracle.oracle import LabelOracle
from variate.registry import attack

MIN_QUERIES = 600
END = 20  # one query in this many is reserved for selecting the result
MOVES = 6  # moves from one point, each queried at two radii
SIDES = (4, 8, 16, 0)  # tiles per side over which moves are constant, in turn; 0 for no tiles
EVERY = 10  # rounds between two determinations of the radius


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
    queries: Annotated[int, Limits(at_least=MIN_QUERIES)] = 10000,
    repeats: Count = 2,
    minimal: bool = False,
) -> Tensor:
    """A random walk along the decision boundary towards the input.

    A move rotates the direction from the input by a random orthogonal amount; the rotated point is queried at the
    current radius and further inside. The lengths of both kinds of step adapt to the fraction of moves that stay wrong,
    with targets of 50 % and 25 %.

    The paper makes one move at a time and trusts every answer. Here six moves and the current point are evaluated under
    the same draws in several queries; the walk goes to the best of them, and stays if none is better. A move counts as
    accepted if it is wrong as often as the current point. Moves are also drawn on coarse grids (as in Brunner et al.
    2019, arXiv:1812.09803), since a few draws cannot measure the effect of one fine move. Every ten rounds the radius
    is determined anew. The returned point uses the whole budget. Of the label-only attacks this is the weakest on
    random networks.

    Args:
        oracle: returns the label that most of its draws predict.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the size eps in l2.
        queries: maximum number of inputs queried per example, at least 600.
        repeats: number of queries of each move, at least 1.
        minimal: return the nearest wrong answer found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: if ``queries`` is below 600 or ``repeats`` below 1.
    """
    votes, coins = Votes(oracle, x, y), oracle.coins(x)
    edge = Edge(votes, x, budget)
    started, delta, radius = edge.begin(noise(coins, x) - x[:, None])
    walk = _Walk(votes, edge, delta, radius)
    final = queries // END
    turn_queries = 2 * (MOVES + 1) * repeats * EVERY + STEPS
    for turn in range((queries - final - BEGIN) // turn_queries):
        drawn = coins.normal(f"moves {turn}", (EVERY, MOVES, *x.shape[1:]))
        for position, moves in enumerate(drawn.unbind(1)):
            walk.step(tiled(moves, SIDES[position % len(SIDES)]), repeats)
        walk.radius = edge.settle(walk.delta, walk.radius)
    best = edge.closest(walk.delta, walk.radius, final) if minimal else edge.deepest(walk.delta, walk.radius, [], final)
    return budget.project(best, x).where(unsqueeze_to(started, x), x)


class _Walk:
    """A walk along the boundary: direction and radius of the current point, and step lengths relative to the radius."""

    def __init__(self, votes: Votes, edge: Edge, delta: Tensor, radius: Tensor) -> None:
        self._votes, self._edge = votes, edge
        self.delta, self.radius = delta, radius
        self._aside, self._inward = torch.full_like(radius, 0.1), torch.full_like(radius, 0.01)
        self._each = torch.arange(len(delta), device=delta.device)

    def step(self, moves: Tensor, repeats: int) -> None:
        """Query the current point and the moves from it, (B, M, ...), at two radii; go to the best of them."""
        turned = torch.cat([self.delta[:, None], _turned(self.delta, moves, self._aside)], 1)  # (B, M + 1, ...)
        count, inner = turned.shape[1], self.radius * (1 - self._inward)
        points = self._edge.at(
            torch.cat([turned, turned], 1), torch.stack([self.radius, inner], 1).repeat_interleave(count, 1)
        )
        outer_share, inner_share = self._votes.shares(points, repeats).chunk(2, 1)  # (B, M + 1)
        best = (outer_share + inner_share).argmax(1)  # the current point where no move is better
        nearer = inner_share[self._each, best] > 0.5
        self.delta = turned[self._each, best]
        self.radius = inner.where(nearer, self.radius)
        current_share = outer_share[:, :1]
        self._aside = _adapted(self._aside, outer_share[:, 1:] >= current_share, 0.5)
        self._inward = _adapted(self._inward, inner_share[:, 1:] >= current_share, 0.25)


def _adapted(length: Tensor, kept: Tensor, target: float) -> Tensor:
    """Lengthen steps where more than the target fraction of the moves, (B, M), is accepted; shorten them elsewhere."""
    adapted: Tensor = (length * (0.3 * (kept.to(length).mean(1) - target)).exp()).clamp(1e-5, 1)
    return adapted


def _turned(delta: Tensor, moves: Tensor, aside: Tensor) -> Tensor:
    """Rotate directions by a fraction of their length, orthogonally: (B, ...) and (B, M, ...) to (B, M, ...)."""
    along = delta[:, None].flatten(2)  # (B, 1, D)
    along = along / along.norm(dim=2, keepdim=True).clamp(min=1e-12)
    flat = moves.flatten(2)
    across = flat - (flat * along).sum(2, keepdim=True) * along
    across = across / across.norm(dim=2, keepdim=True).clamp(min=1e-12)
    turned: Tensor = along + aside[:, None, None] * across
    return turned.view_as(moves)
