"""OARS: HopSkipJump for a network that refuses similar queries."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.edge import STARTS, at, ends, noise, sizes_of
from variate.attacks.parts.replies import Replies
from variate.inputs.budget import Budget
from variate.limits import Count, Limits, Momentum
from variate.oracle.oracle import LabelOracle
from variate.oracle.randomness import Coins
from variate.registry import attack

MIN_QUERIES = 300
KEPT = 4  # starts whose rays are searched
LINE = 10  # most queries of a search on a ray
CLOSE = 1e-3  # width of the interval, relative to its end, at which that search is over
REFUSALS = 2  # rejections that end it: nothing nearer is answered
SEARCH, SAMPLES = 7, 2  # steps of the search for the smallest radius that is answered, and probes in each
NARROWEST = 1e-4  # radius of probes, in l2
GROUP = 25  # probes under the same draws
WIDER = 1.2  # factor on the radius of probes that are drawn again
MIXED = 0.5  # target for how mixed the answers of a group are: 4 * share * (1 - share)
LADDER = (2.0, 1.0, 0.5)  # multiples of the step length to try
FINAL = 12  # queries reserved for the selection of the result


@attack(
    access="labels",
    norms=("l2", "linf"),
    modality=("image", "audio", "text", "tabular"),
    cite="Feng et al. 2023, arXiv:2303.06280, section 4; HopSkipJump: Chen et al. 2020, arXiv:1904.02144",
    quick={"queries": 800},
)
def oars(
    oracle: LabelOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    queries: Annotated[int, Limits(at_least=MIN_QUERIES)] = 10000,
    probes: Count = 50,
    attempts: Count = 4,
    momentum: Momentum = 0.8,
    minimal: bool = False,
) -> Tensor:
    """HopSkipJump that adapts to a detector of similar queries: it queries as near as is answered, and no nearer.

    No point is queried twice. A binary search finds the smallest radius at which probes around a point on the boundary
    are answered; it then grows where probes are rejected and shrinks where they are not. A probe that is rejected is
    drawn again, a little further away. The search for the boundary on a ray ends where two points were rejected, so its
    precision is that of the detector. Several step lengths are tried, and a rejected one is passed over.

    Where every query is answered, this is ``hopskipjump`` with less protection against random answers: it queries no
    point again to see whether the answer repeats, since a detector would refuse.

    Args:
        oracle: returns the label that most of its draws predict, or refuses.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        queries: maximum number of inputs queried per example, rejected ones included, at least 300.
        probes: number of probes of the first normal, at least 1, rounded to whole groups of 25; iteration t takes
            sqrt(t) times as many.
        attempts: number of times that a rejected probe is drawn, the first included.
        momentum: weight of earlier normals, in [0, 1).
        minimal: return the nearest wrong answer found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: if ``queries`` is below 300, ``probes`` or ``attempts`` below 1, or ``momentum`` is not in [0, 1).
    """
    replies, coins = Replies(oracle, x, y, queries - FINAL), oracle.coins(x)
    started, delta, radius = _start(replies, coins, x, budget)
    surroundings = _Surroundings(replies, coins, x, started, attempts)
    surroundings.narrow(at(x, delta[:, None], radius[:, None], budget.norm)[:, 0])
    length = torch.full_like(radius, 0.5)  # length of a step relative to the radius
    direction = torch.zeros_like(x)
    for iteration, groups in enumerate(_schedule(queries, probes)):
        if not bool((started & (replies.left > 0)).any()):
            replies.skip(groups * attempts + 1 + LINE)
            continue
        point = at(x, delta[:, None], radius[:, None], budget.norm)[:, 0]
        direction = momentum * direction + surroundings.normal(point, groups, iteration)
        step = radius.clamp(min=0.05 * budget.eps) * length
        lengths = step[:, None] * torch.tensor(LADDER).to(x)  # (B, J)
        moved = point[:, None] + unsqueeze_to(lengths, x[:, None]) * budget.steepest(direction)[:, None]
        deltas = moved.clamp(0, 1) - x[:, None]  # (B, J, ...)
        wrong, _ = replies.ask(x[:, None] + deltas, started[:, None].expand(-1, len(LADDER)))
        best = deltas[torch.arange(len(x), device=x.device), wrong.int().argmax(1)][:, None]  # (B, 1, ...), the first
        high = sizes_of(best, budget.norm)  # (B, 1)
        low = 0.5 * torch.minimum(radius[:, None], high)
        stepped = wrong.any(1)
        reach = _on_rays(replies, coins, f"step {iteration}", x, best, (low, high), stepped[:, None], budget.norm)[:, 0]
        nearer = stepped & (reach <= 1.02 * radius)
        delta = best[:, 0].where(unsqueeze_to(nearer, x), delta)
        radius = reach.where(nearer, radius)
        length = (length * torch.where(nearer, 1.2, 0.6).to(x)).clamp(1e-2, 2)
    if minimal:
        best = at(x, delta[:, None], radius[:, None], budget.norm)[:, 0]
    else:
        best = _deepest(replies, x, budget, started, delta, radius, direction)
    return budget.project(best, x).where(unsqueeze_to(started, x), x)


def _schedule(queries: int, probes: int) -> list[int]:
    """Number of probe groups of every iteration, if no query is rejected; it grows with the square root, as there."""
    schedule: list[int] = []
    left = queries - FINAL - STARTS - KEPT * LINE - SEARCH * SAMPLES
    while left > 0:
        groups = max(1, round(probes * math.sqrt(len(schedule) + 1) / GROUP))
        left -= groups * GROUP + len(LADDER) + LINE // 2
        schedule.append(groups)
    return schedule


def _start(replies: Replies, coins: Coins, x: Tensor, budget: Budget) -> tuple[Tensor, Tensor, Tensor]:
    """Whether a start is wrong, (B,), the direction of the nearest boundary on a ray to one, (B, ...), and its size."""
    deltas = noise(coins, x) - x[:, None]  # (B, STARTS, ...)
    sizes = sizes_of(deltas, budget.norm)
    wrong, _ = replies.ask(x[:, None] + deltas, torch.ones_like(sizes, dtype=torch.bool))
    order = sizes.masked_fill(~wrong, torch.inf).sort(dim=1, stable=True).indices[:, :KEPT]
    each = torch.arange(len(x), device=x.device)
    rays, high, wanted = deltas[each[:, None], order], sizes.gather(1, order), wrong.gather(1, order)
    reach = _on_rays(replies, coins, "start", x, rays, (torch.zeros_like(high), high), wanted, budget.norm)
    best = reach.masked_fill(~wanted, torch.inf).argmin(1)
    return wrong.any(1), rays[each, best], reach[each, best]


def _on_rays(
    replies: Replies,
    coins: Coins,
    name: str,
    x: Tensor,
    deltas: Tensor,
    bracket: tuple[Tensor, Tensor],
    wanted: Tensor,
    norm: str,
) -> Tensor:
    """Search rays for the nearest wrong answers, as close as is answered, by bisection: their radii, shape (B, C).

    Args:
        replies: answers queries; there are ``LINE`` of them, or skipped ones.
        coins: where a midpoint is rejected, another point of the interval is drawn.
        name: purpose of the coins.
        x: the original inputs, shape (B, ...).
        deltas: directions, shape (B, C, ...).
        bracket: radii of a right answer and of a wrong one, each of shape (B, C).
        wanted: which rays to search, shape (B, C); the others keep the radius of the wrong answer.
        norm: norm of the radii.
    """
    low, high = bracket
    refusals = torch.zeros_like(wanted, dtype=torch.int)
    for turn in range(LINE):
        drawn = coins.uniform(f"{name} {turn}", wanted.shape[1:])
        middle = low + drawn.where(refusals > 0, 0.5) * (high - low)
        wanted = wanted & (refusals < REFUSALS) & (high - low > CLOSE * high)
        wrong, answered = replies.ask(at(x, deltas, middle, norm), wanted)
        refusals += (wanted & ~answered).int()
        high, low = middle.where(wrong, high), middle.where(answered & ~wrong, low)
    return high


class _Surroundings:
    """Probes around a point on the boundary, at a radius at which they are answered."""

    def __init__(self, replies: Replies, coins: Coins, x: Tensor, started: Tensor, attempts: int) -> None:
        self._replies, self._coins, self._attempts, self._started = replies, coins, attempts, started
        self._most = 0.3 * math.sqrt(x[0].numel()) if len(x) else 1.0
        self._least = x.new_full((len(x),), NARROWEST)  # l2 radius from which on probes are answered
        self._radius = x.new_ones(len(x)).clamp(max=self._most)  # l2 radius of the probes

    def narrow(self, point: Tensor) -> None:
        """Find the smallest radius at which probes around a point, (B, ...), are answered, by binary search."""
        low = self._least.log()
        high = torch.full_like(low, math.log(self._most))
        wanted = self._started[:, None].expand(-1, SAMPLES)
        for turn in range(SEARCH):
            middle = (low + high) / 2
            _, answered = self._replies.ask(self._drawn(f"radius {turn}", SAMPLES, point, middle.exp()), wanted)
            passed = answered.all(1)
            low, high = middle.where(~passed, low), middle.where(passed, high)
        self._least = high.exp()

    def normal(self, point: Tensor, groups: int, iteration: int) -> Tensor:
        """Direction of l2 length 1, or zero where no group had mixed answers: (B, ...) to (B, ...)."""
        total = torch.zeros_like(point)
        for group in range(groups):
            self._radius = torch.maximum(self._radius, self._least)
            probes, wrong, answered, refused = self._answered(point, f"probes {iteration} {group}")
            share = wrong.sum(1, keepdim=True) / answered.sum(1, keepdim=True).clamp(min=1)  # (B, 1)
            moves = probes - point[:, None]
            units = moves / unsqueeze_to(moves.flatten(2).norm(dim=2).clamp(min=1e-12), moves)
            total += (units * unsqueeze_to((wrong.to(share) - share) * answered, units)).sum(1)
            mixed = 4 * (share * (1 - share))[:, 0]
            self._radius = (self._radius * (0.3 * (MIXED - mixed)).exp()).clamp(NARROWEST, self._most)
            wider = torch.where(refused > GROUP / 5, 1.25, 0.97).to(self._least)
            self._least = (self._least * wider).clamp(NARROWEST, self._most)
        return total / unsqueeze_to(total.flatten(1).norm(dim=1).clamp(min=1e-12), total)

    def _answered(self, point: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A group of probes, drawn again where they were rejected.

        Returns:
            The probes, shape (B, GROUP, ...), which were wrong and which were answered, each (B, GROUP), and how many
            were rejected the first time, (B,).
        """
        left = self._started[:, None].expand(-1, GROUP)
        probes = point[:, None].repeat(1, GROUP, *[1] * (point.dim() - 1))
        wrong, answered, refused = torch.zeros_like(left), torch.zeros_like(left), torch.zeros_like(self._radius)
        for attempt in range(self._attempts):
            drawn = self._drawn(f"{name} {attempt}", GROUP, point, self._radius * WIDER**attempt)
            now_wrong, now = self._replies.ask(drawn, left)
            probes = drawn.where(unsqueeze_to(now, drawn), probes)
            wrong, answered, left = wrong | now_wrong, answered | now, left & ~now
            if attempt == 0:
                refused = left.sum(1).to(refused)
            if not bool(left.any()):
                self._replies.skip(self._attempts - attempt - 1)
                break
        return probes, wrong, answered, refused

    def _drawn(self, name: str, count: int, point: Tensor, radius: Tensor) -> Tensor:
        """Points on a sphere around a point, clipped to [0, 1]: (B, ...) and radii of shape (B,) to (B, C, ...)."""
        normal = self._coins.normal(name, (count, *point.shape[1:]))
        unit = normal / unsqueeze_to(normal.flatten(2).norm(dim=2), normal)
        return (point[:, None] + unsqueeze_to(radius[:, None], unit) * unit).clamp(0, 1)


def _deepest(
    replies: Replies, x: Tensor, budget: Budget, started: Tensor, delta: Tensor, radius: Tensor, direction: Tensor
) -> Tensor:
    """The first of several points within the budget that is answered wrongly; one that is rejected may well be."""
    normal = budget.eps * budget.steepest(direction)
    point = at(x, delta[:, None], radius[:, None], budget.norm)[:, 0]
    others = ends(x, budget, delta, radius, [point + 0.5 * normal, point + normal, x + normal])[:, :-1]
    close = unsqueeze_to(radius <= budget.eps, x)  # of what lies near x, only the first may be answered
    candidates = torch.cat([others[:, 0].where(close, others[:, -1])[:, None], others], 1)
    replies.left += FINAL
    wrong, answered = replies.ask(candidates, started[:, None].expand(-1, candidates.shape[1]))
    scores = torch.where(answered, 2.0 * wrong, 1.0)
    known = torch.where(radius <= budget.eps, 1.5, -1.0).to(scores)[:, None]  # answered wrongly in the search
    best = torch.cat([scores, known], 1).argmax(1)
    points = torch.cat([candidates, budget.project(point, x)[:, None]], 1)
    return points[torch.arange(len(x), device=x.device), best]
