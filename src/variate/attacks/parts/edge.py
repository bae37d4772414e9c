"""The edge of the region of wrong answers, as an input sees it along rays: half of the draws are wrong there."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.votes import Votes, over
from variate.inputs.budget import ORDERS, Budget
from variate.oracle.randomness import Coins

STARTS = 20  # points to begin from
CHECKS = 3  # queries about each of them; more than half must find it wrong
KEPT = 5  # of them, along whose rays the edge is sought
RADII = 8  # on each ray
STEPS = 12  # of one settling
BEGIN = STARTS * CHECKS + KEPT * RADII * CHECKS + STEPS  # points that a beginning asks about
REACH = 0.06  # the first step of a settling, relative to the radius
BEYOND = (1.0, 1.001, 1.003, 1.01, 1.03, 1.1)  # of the radius: where the nearest wrong answer is looked for
TINY = 1e-12


class Edge:
    """Points on rays from the inputs, by their direction and their distance in the budget's norm.

    Args:
        votes: what is asked.
        x: the original inputs, shape (B, ...).
        budget: the norm, linf or l2, and the size.
    """

    def __init__(self, votes: Votes, x: Tensor, budget: Budget) -> None:
        self._votes = votes
        self._x = x
        self._budget = budget
        self._each = torch.arange(len(x), device=x.device)

    def at(self, deltas: Tensor, radii: Tensor) -> Tensor:
        """Points at given distances, inside [0, 1]: (B, C, ...) and (B, C) to (B, C, ...)."""
        return (self._x[:, None] + resized(deltas, radii, self._budget.norm)).clamp(0, 1)

    def begin(self, deltas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest edge on the rays to starts that most of several queries answer wrongly; ``BEGIN`` points.

        One query is not enough: a start that was wrong by one lucky draw leads nowhere. Examples without a start are
        not asked about any more.

        Args:
            deltas: from the inputs to the starts, shape (B, STARTS, ...).

        Returns:
            Whether there is a start, shape (B,), the direction of the edge, shape (B, ...), and its radius, shape (B,).
        """
        norm = self._budget.norm
        sizes = sizes_of(deltas, norm)
        shares = self._votes.shares(self.at(deltas, sizes), CHECKS)
        order = shares.sort(dim=1, descending=True, stable=True).indices[:, :KEPT]
        found = shares.amax(1) > 0.5
        self._votes.only(found)
        kept = deltas[self._each[:, None], order]  # (B, KEPT, ...)
        parts = torch.arange(1, RADII + 1).to(sizes) / RADII
        radii = sizes.gather(1, order).amax(1, keepdim=True) * parts  # (B, RADII)
        delta, radius, _ = self.nearest(kept, radii, CHECKS)
        return found, delta, self.settle(delta, radius)

    def nearest(self, deltas: Tensor, radii: Tensor, times: int) -> tuple[Tensor, Tensor, Tensor]:
        """The direction that is wrong from the smallest radius on; all J * G points of a query meet the same draws.

        Args:
            deltas: J directions of each example, shape (B, J, ...).
            radii: G distances, ascending, shape (B, G).
            times: how many queries.

        Returns:
            The direction, shape (B, ...), its radius, shape (B,), and its number, shape (B,).
        """
        count, steps = deltas.shape[1], radii.shape[1]
        points = self.at(deltas.repeat_interleave(steps, 1), radii.repeat(1, count))
        shares = self._votes.shares(points, times).view(-1, count, steps)
        chosen = shares.sum(2).argmax(1)
        change = _change(shares[self._each, chosen]).clamp(max=steps - 1)
        return deltas[self._each, chosen], radii[self._each, change], chosen

    def settle(self, delta: Tensor, radius: Tensor) -> Tensor:
        """The radius at which half of the answers are wrong, near a first guess; ``STEPS`` points.

        Stochastic approximation with one point a query, inwards after a wrong answer and outwards after a right one,
        whose steps shrink when the answer turns (Kesten 1958, "Accelerated stochastic approximation"): bisection where
        answers repeat, and a search that forgets a lucky draw where they do not.

        Args:
            delta: directions, shape (B, ...).
            radius: shape (B,).
        """
        step, before = torch.full_like(radius, REACH), None
        for _ in range(STEPS):
            wrong = self._votes.once(self.at(delta[:, None], radius[:, None]))[:, 0] > 0
            if before is not None:
                step = step.where(wrong == before, step / 2)
            radius = radius * (1 - step).where(wrong, 1 + step)
            before = wrong
        return radius

    def deepest(self, delta: Tensor, radius: Tensor, others: list[Tensor], queries: int) -> Tensor:
        """The point of the budget that is answered wrongly most often, among points far behind the edge.

        At the edge half of the draws are right. So the ray is followed to the budget's end, in linf also with more and
        more values at their ends, and repeated answers choose.

        Args:
            delta: the direction of the edge, shape (B, ...).
            radius: its distance, shape (B,).
            others: further candidates, each of shape (B, ...), projected here.
            queries: the most points to ask about, for each example.

        Returns:
            Points inside the budget, shape (B, ...).
        """
        x, budget = self._x, self._budget
        full = torch.full_like(radius, budget.eps)[:, None]  # (B, 1)
        candidates = [self.at(delta[:, None], full)[:, 0]]
        if budget.norm == "linf":
            scaled = delta / over(sizes_of(delta[:, None], "linf")[:, 0], delta)
            candidates += [x + budget.eps * (more * scaled).clamp(-1, 1) for more in (2.0, 4.0)]
            candidates.append(x + budget.eps * delta.sign())
        candidates += [self.at(delta[:, None], 1.05 * radius[:, None])[:, 0], *others, x]
        inside = [budget.project(candidate, x) for candidate in candidates]
        return self._votes.best(torch.stack(inside, 1), queries)

    def closest(self, delta: Tensor, radius: Tensor, queries: int) -> Tensor:
        """The first point just behind the edge that most of repeated queries answer wrongly, or else the last.

        Args:
            delta: the direction of the edge, shape (B, ...).
            radius: its distance, shape (B,).
            queries: the most points to ask about, for each example.

        Returns:
            Points, shape (B, ...), which may lie outside of the budget.
        """
        radii = radius[:, None] * torch.tensor(BEYOND).to(radius)  # (B, G)
        points = self.at(delta[:, None].expand(-1, len(BEYOND), *delta.shape[1:]), radii)
        wrong = self._votes.shares(points, max(1, queries // len(BEYOND))) > 0.5
        first = wrong.to(radius).argmax(1).where(wrong.any(1), len(BEYOND) - 1)
        return points[self._each, first]


def sizes_of(deltas: Tensor, norm: str) -> Tensor:
    """The size of each perturbation, not quite 0: (B, C, ...) to (B, C)."""
    sizes: Tensor = deltas.flatten(2).norm(p=ORDERS[norm], dim=2).clamp(min=TINY)
    return sizes


def resized(deltas: Tensor, radii: Tensor, norm: str) -> Tensor:
    """Perturbations of given sizes: (B, C, ...) and (B, C) to (B, C, ...).

    They are scaled; in linf those that become smaller are clipped, as in the projection of Chen et al. 2020.
    """
    sizes = sizes_of(deltas, norm)
    scaled = deltas * over(radii / sizes, deltas)
    if norm != "linf":
        return scaled
    most = over(radii, deltas)
    return torch.minimum(torch.maximum(deltas, -most), most).where(over(radii <= sizes, deltas), scaled)


def noise(coins: Coins, x: Tensor) -> Tensor:
    """Inputs of noise to begin from: uniform, at the ends, of one value, and coarse, in turn: (B, STARTS, ...)."""
    uniform = coins.uniform("starts", (STARTS // 5, 5, *x.shape[1:]))
    fine, ends, level, coarse, tiles = torch.unbind(uniform, 2)  # (B, STARTS // 5, ...)
    level = level.flatten(2)[..., :1].view(*level.shape[:2], *[1] * (x.dim() - 1)).expand_as(fine)
    return torch.stack([tiled(coarse), level, fine, tiled(tiles).round(), ends.round()], 2).flatten(1, 2)


def corners(coins: Coins, x: Tensor) -> Tensor:
    """Directions of signs to begin with: all up, all down, coarse and fine ones: (B, STARTS, ...)."""
    signs = coins.signs("starts", (STARTS, *x.shape[1:]))
    ones = torch.ones_like(signs[:, :1])
    return torch.cat([ones, -ones, tiled(signs[:, 2:12]), signs[:, 12:]], 1)


def tiled(values: Tensor, sides: int = 4) -> Tensor:
    """The same values all over each tile of a grid, at most so many tiles a side: (B, C, ...); with 0 as they are."""
    for axis in range(max(2, values.dim() - 2), values.dim()) if sides else ():
        side = values.shape[axis]
        values = values.index_select(axis, torch.arange(side, device=values.device) // -(-side // sides))
    return values


def _change(shares: Tensor) -> Tensor:
    """From which point on most answers are wrong: (..., G) to (...), from 0 to G.

    The change that leaves the fewest answers on the wrong side of it.
    """
    none = torch.zeros_like(shares[..., :1])
    before = torch.cat([none, shares.cumsum(-1)], -1)
    after = torch.cat([(1 - shares).flip(-1).cumsum(-1).flip(-1), none], -1)
    return (before + after).argmin(-1)
