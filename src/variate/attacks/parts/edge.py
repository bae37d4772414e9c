"""The decision boundary as seen from an input along rays: where half of the draws are wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.votes import Votes
from variate.inputs.budget import ORDERS, Budget
from variate.oracle.randomness import Coins

STARTS = 20  # candidate starting points
CHECKS = 3  # queries of each start; more than half must answer wrongly
KEPT = 5  # starts kept; the boundary is searched along their rays
RADII = 8  # points on each ray
STEPS = 12  # steps of ``settle``
BEGIN = STARTS * CHECKS + KEPT * RADII * CHECKS + STEPS  # points that ``begin`` queries
REACH = 0.06  # first step of ``settle``, relative to the radius
BEYOND = (1.0, 1.001, 1.003, 1.01, 1.03, 1.1)  # multiples of the radius at which ``closest`` looks for a wrong answer
TINY = 1e-12


class Edge:
    """Points on rays from the inputs, addressed by direction and by distance in the budget's norm.

    Args:
        votes: queries the network.
        x: the original inputs, shape (B, ...).
        budget: the norm, linf or l2, and the size.
    """

    def __init__(self, votes: Votes, x: Tensor, budget: Budget) -> None:
        self._votes = votes
        self._x = x
        self._budget = budget
        self._each = torch.arange(len(x), device=x.device)

    def at(self, deltas: Tensor, radii: Tensor) -> Tensor:
        """Points at the given distances, clipped to [0, 1]: (B, C, ...) and (B, C) to (B, C, ...)."""
        return at(self._x, deltas, radii, self._budget.norm)

    def begin(self, deltas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the boundary along rays to starts that most queries answer wrongly. Queries ``BEGIN`` points.

        One query is not enough: a start that was wrong by one lucky draw leads nowhere. Examples without a start are
        not queried any more.

        Args:
            deltas: starts minus inputs, shape (B, STARTS, ...).

        Returns:
            Whether there is a start, shape (B,), the direction to the boundary, shape (B, ...), and its radius, shape
            (B,).
        """
        norm = self._budget.norm
        sizes = sizes_of(deltas, norm)
        shares = self._votes.shares(self.at(deltas, sizes), CHECKS)
        order = shares.sort(dim=1, descending=True, stable=True).indices[:, :KEPT]
        started = shares.amax(1) > 0.5
        self._votes.only(started)
        kept = deltas[self._each[:, None], order]  # (B, KEPT, ...)
        fractions = torch.arange(1, RADII + 1).to(sizes) / RADII
        radii = sizes.gather(1, order).amax(1, keepdim=True) * fractions  # (B, RADII)
        delta, radius, _ = self.nearest(kept, radii, CHECKS)
        return started, delta, self.settle(delta, radius)

    def nearest(self, deltas: Tensor, radii: Tensor, times: int) -> tuple[Tensor, Tensor, Tensor]:
        """Select the direction along which answers turn wrong soonest.

        All J * G points of a query are evaluated under the same draws.

        Args:
            deltas: J directions per example, shape (B, J, ...).
            radii: G distances, ascending, shape (B, G).
            times: number of queries.

        Returns:
            The direction, shape (B, ...), its radius, shape (B,), and its index, shape (B,).
        """
        count, steps = deltas.shape[1], radii.shape[1]
        points = self.at(deltas.repeat_interleave(steps, 1), radii.repeat(1, count))
        shares = self._votes.shares(points, times).view(-1, count, steps)
        best = shares.sum(2).argmax(1)
        change = _change(shares[self._each, best]).clamp(max=steps - 1)
        return deltas[self._each, best], radii[self._each, change], best

    def settle(self, delta: Tensor, radius: Tensor) -> Tensor:
        """Refine the radius at which half of the answers are wrong, from a first guess. Queries ``STEPS`` points.

        Stochastic approximation with one point per query: inwards after a wrong answer, outwards after a right one,
        with a step that shrinks whenever the answer changes (Kesten 1958, "Accelerated stochastic approximation").
        Where answers repeat it is a bisection; where they do not it forgets a lucky draw.

        Args:
            delta: directions, shape (B, ...).
            radius: first guess, shape (B,).

        Returns:
            Radii, shape (B,).
        """
        step, previous = torch.full_like(radius, REACH), None
        for _ in range(STEPS):
            wrong = self._votes.once(self.at(delta[:, None], radius[:, None]))[:, 0] > 0
            if previous is not None:
                step = step.where(wrong == previous, step / 2)
            radius = radius * (1 - step).where(wrong, 1 + step)
            previous = wrong
        return radius

    def deepest(self, delta: Tensor, radius: Tensor, others: list[Tensor], queries: int) -> Tensor:
        """Return the point within the budget that is most often answered wrongly, among points far beyond the boundary.

        At the boundary half of the draws are right. So the ray is followed to the end of the budget (in linf also with
        more and more values at their limits), and repeated queries select one of the points.

        Args:
            delta: direction to the boundary, shape (B, ...).
            radius: distance of the boundary, shape (B,).
            others: further candidates, each of shape (B, ...), which are projected into the budget.
            queries: maximum number of points queried per example.

        Returns:
            Points inside the budget, shape (B, ...).
        """
        return self._votes.best(ends(self._x, self._budget, delta, radius, others), queries)

    def closest(self, delta: Tensor, radius: Tensor, queries: int) -> Tensor:
        """Return the first point beyond the boundary that most of several queries answer wrongly, or else the last one.

        Args:
            delta: direction to the boundary, shape (B, ...).
            radius: distance of the boundary, shape (B,).
            queries: maximum number of points queried per example.

        Returns:
            Points, shape (B, ...), which may lie outside the budget.
        """
        radii = radius[:, None] * torch.tensor(BEYOND).to(radius)  # (B, G)
        points = self.at(delta[:, None].expand(-1, len(BEYOND), *delta.shape[1:]), radii)
        wrong = self._votes.shares(points, max(1, queries // len(BEYOND))) > 0.5
        first = wrong.to(radius).argmax(1).where(wrong.any(1), len(BEYOND) - 1)
        return points[self._each, first]


def at(x: Tensor, deltas: Tensor, radii: Tensor, norm: str) -> Tensor:
    """Points at distances from x, (B, ...), clipped to [0, 1]: (B, C, ...) and (B, C) to (B, C, ...)."""
    return (x[:, None] + resized(deltas, radii, norm)).clamp(0, 1)


def ends(x: Tensor, budget: Budget, delta: Tensor, radius: Tensor, others: list[Tensor]) -> Tensor:
    """Points within the budget that lie far beyond the boundary: (B, M, ...), the most promising first, x last.

    Args:
        x: the original inputs, shape (B, ...).
        budget: the norm, linf or l2, and the size.
        delta: direction to the boundary, shape (B, ...).
        radius: distance of the boundary, shape (B,).
        others: further candidates, each of shape (B, ...), which are projected into the budget.
    """
    full = torch.full_like(radius, budget.eps)[:, None]  # (B, 1)
    candidates = [at(x, delta[:, None], full, budget.norm)[:, 0]]
    if budget.norm == "linf":
        scaled = delta / unsqueeze_to(sizes_of(delta[:, None], "linf")[:, 0], delta)
        candidates += [x + budget.eps * (factor * scaled).clamp(-1, 1) for factor in (2.0, 4.0)]
        candidates.append(x + budget.eps * delta.sign())
    candidates += [at(x, delta[:, None], 1.05 * radius[:, None], budget.norm)[:, 0], *others, x]
    return torch.stack([budget.project(candidate, x) for candidate in candidates], 1)


def sizes_of(deltas: Tensor, norm: str) -> Tensor:
    """Norm of each perturbation, bounded away from 0: (B, C, ...) to (B, C)."""
    sizes: Tensor = deltas.flatten(2).norm(p=ORDERS[norm], dim=2).clamp(min=TINY)
    return sizes


def resized(deltas: Tensor, radii: Tensor, norm: str) -> Tensor:
    """Perturbations of the given sizes: (B, C, ...) and (B, C) to (B, C, ...).

    They are scaled; in linf those that become smaller are clipped, as in the projection of Chen et al. 2020.
    """
    sizes = sizes_of(deltas, norm)
    scaled = deltas * unsqueeze_to(radii / sizes, deltas)
    if norm != "linf":
        return scaled
    limit = unsqueeze_to(radii, deltas)
    return torch.minimum(torch.maximum(deltas, -limit), limit).where(unsqueeze_to(radii <= sizes, deltas), scaled)


def noise(coins: Coins, x: Tensor) -> Tensor:
    """Starting points: noise that is coarse, constant, fine, coarse binary and binary, in turn: (B, STARTS, ...)."""
    uniform = coins.uniform("starts", (STARTS // 5, 5, *x.shape[1:]))
    fine, ends, level, coarse, tiles = torch.unbind(uniform, 2)  # (B, STARTS // 5, ...)
    level = level.flatten(2)[..., :1].view(*level.shape[:2], *[1] * (x.dim() - 1)).expand_as(fine)
    return torch.stack([tiled(coarse), level, fine, tiled(tiles).round(), ends.round()], 2).flatten(1, 2)


def corners(coins: Coins, x: Tensor) -> Tensor:
    """Starting directions of signs: all up, all down, coarse and fine ones: (B, STARTS, ...)."""
    signs = coins.signs("starts", (STARTS, *x.shape[1:]))
    ones = torch.ones_like(signs[:, :1])
    return torch.cat([ones, -ones, tiled(signs[:, 2:12]), signs[:, 12:]], 1)


def tiled(values: Tensor, sides: int = 4) -> Tensor:
    """Make values constant over tiles, at most ``sides`` per side; 0 changes nothing: (B, C, ...)."""
    for axis in range(max(2, values.dim() - 2), values.dim()) if sides else ():
        side = values.shape[axis]
        values = values.index_select(axis, torch.arange(side, device=values.device) // -(-side // sides))
    return values


def _change(shares: Tensor) -> Tensor:
    """Index of the first point from which most answers are wrong: (..., G) to (...), from 0 to G.

    The index that leaves the fewest answers on the wrong side.
    """
    none = torch.zeros_like(shares[..., :1])
    before = torch.cat([none, shares.cumsum(-1)], -1)
    after = torch.cat([(1 - shares).flip(-1).cumsum(-1).flip(-1), none], -1)
    return (before + after).argmin(-1)
