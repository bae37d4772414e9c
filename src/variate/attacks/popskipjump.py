"""PopSkipJump."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.edge import BEGIN, Edge, noise
from variate.attacks.parts.noisy_search import MOST, Boundary, no_flips, price, search
from variate.attacks.parts.votes import Votes
from variate.inputs.budget import Budget
from variate.limits import Count, Limits, Momentum
from variate.oracle.oracle import LabelOracle
from variate.oracle.randomness import Coins
from variate.registry import attack

MIN_QUERIES = 500
END = 20  # one query in this many is reserved for selecting the result
CHUNK = 25  # probes are made in whole chunks
ITERATIONS = 10  # an iteration makes at most one in this many of all queries, however much the answers vary
NARROW = 0.01  # least length of a probe along the normal, relative to the distance from the input
WIDE = 0.3  # greatest length of a probe along the normal
REACH = 2.0  # length of a probe along the normal in standard deviations of the boundary, between these two
TOP = 1.1  # a boundary is searched up to this multiple of the distance of the one before
LONGER, SHORTER = 1.5, 0.5  # factors on the step length after a step that came nearer, and after one that did not


@attack(
    access="labels",
    norms=("l2", "linf"),
    modality=("image", "audio", "text", "tabular"),
    cite="Simon-Gabriel et al. 2021, arXiv:2106.07445, section 3",
    quick={"queries": 500},
)
def popskipjump(
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
    """HopSkipJump for random answers: a Bayesian boundary search, and as many probes as the noise calls for.

    The boundary on the ray to the current point is found by queries that tell most about where it is, how much it moves
    from draw to draw, and how many answers are flipped (``variate.attacks.parts.noisy_search``). Its normal is the sum
    of (wrong - mean of wrong) * u over random directions u of the probes point + size * u. Where the boundary moves
    with standard deviation w along the normal, where a probe reaches a along it, and where a share f of the answers is
    flipped, (1 + (w / a)^2) / (1 - 2 f)^2 times as many probes are made as on a deterministic network, which gives the
    same expected cosine to the true normal. A step goes along the normal and is kept unless the boundary is farther
    away there.

    Every query has draws of its own, as of an attacker who sends one input at a time; ``hopskipjump`` compares points
    under the same draws instead. Differences from the paper: the boundary moves by a normal amount, where the paper has
    a sigmoid; probes are twice as long as w along the normal, so that fewer are enough; one iteration makes at most a
    tenth of all queries; and normals are averaged over iterations, step lengths adapt, and a step that leads away is
    taken back, as in ``hopskipjump``. On a deterministic network both are about equally strong.

    Args:
        oracle: returns the label that most of its draws predict.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        queries: maximum number of inputs queried per example, at least 500.
        probes: number of probes of the first normal without noise, at least 1; iteration t takes sqrt(t) times as many.
        momentum: weight of earlier normals, in [0, 1); 0 as in the paper.
        minimal: return the nearest wrong answer found instead of using the whole budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...); x where no start is found.

    Raises:
        UsageError: if ``queries`` is below 500 or ``probes`` below 1, or ``momentum`` is not in [0, 1).
    """
    votes, coins = Votes(oracle, x, y, apart=True), oracle.coins(x)
    edge = Edge(votes, x, budget)
    started, delta, radius = edge.begin(noise(coins, x) - x[:, None])
    remaining = started.long() * (queries - queries // END - BEGIN)
    boundary = search(votes, edge, delta, 2 * radius, no_flips(x), remaining >= MOST, NARROW)
    remaining = remaining - boundary.queries
    direction, length = torch.zeros_like(x), torch.full_like(radius, 0.5)
    stale = torch.zeros_like(started)
    most = queries // ITERATIONS // CHUNK * CHUNK
    limit = queries // CHUNK  # no example takes more iterations, whatever the batch
    for iteration in range(limit):
        active = remaining >= 3 * MOST
        if not bool(active.any()):
            votes.skip((limit - iteration) * (2 * MOST + most))
            break
        again = search(votes, edge, delta, _reach(boundary), boundary.prior, active & stale, NARROW)
        remaining = remaining - again.queries
        boundary = _chosen(active & stale, again, boundary)
        point = edge.at(delta[:, None], boundary.radius[:, None])[:, 0]
        size, count = _probing(boundary, point - x, probes * math.sqrt(iteration + 1))
        count = torch.minimum(count.clamp(max=most), remaining - MOST) // CHUNK * CHUNK * active
        direction = momentum * direction + _normal(votes, coins, point, size, count, most, iteration)
        step = length * torch.maximum(boundary.radius, boundary.width)
        moved = (point + unsqueeze_to(step, x) * budget.steepest(direction)).clamp(0, 1) - x
        there = search(votes, edge, moved, _reach(boundary), boundary.prior, active, NARROW)
        remaining = remaining - count - there.queries
        doubt = (there.spread.square() + boundary.spread.square()).sqrt()
        nearer = active & (there.radius < boundary.radius + doubt)
        delta = moved.where(unsqueeze_to(nearer, x), delta)
        boundary, stale = _chosen(nearer, there, boundary), ~nearer
        length = (length * torch.where(nearer, LONGER, SHORTER)).clamp(1e-3, 2)
    radius = boundary.radius
    if minimal:
        best = budget.project(edge.closest(delta, radius, queries // END), x)
    else:
        normal = budget.eps * budget.steepest(direction)
        point = edge.at(delta[:, None], radius[:, None])[:, 0]
        best = edge.deepest(delta, radius, [point + 0.5 * normal, point + normal, x + normal], queries // END)
    return best.where(unsqueeze_to(started, x), x)


def _reach(boundary: Boundary) -> Tensor:
    """Distance up to which the boundary is searched, given one that is known: (B,)."""
    return torch.maximum(TOP * boundary.radius, boundary.radius + 2 * boundary.width)


def _probing(boundary: Boundary, offset: Tensor, probes: float) -> tuple[Tensor, Tensor]:
    """Length of the probes, and their number for the cosine that ``probes`` have without noise: (B,) each."""
    distance = offset.flatten(1).norm(dim=1)  # in l2, whatever the budget's norm
    width = distance * boundary.width / boundary.radius.clamp(min=1e-12)
    along = torch.maximum(REACH * width, NARROW * distance).clamp(1e-12, WIDE)
    count = (probes * price(width / along, boundary.flips) / CHUNK).ceil().long() * CHUNK
    return along * math.sqrt(offset[0].numel() if len(offset) else 1), count


def _normal(
    votes: Votes, coins: Coins, point: Tensor, size: Tensor, count: Tensor, most: int, iteration: int
) -> Tensor:
    """Direction in which wrong answers become more frequent, of l2 length 1, or zero where all answers agree.

    Args:
        votes: queries the network.
        coins: the attacker's coins.
        point: points on the boundary, shape (B, ...).
        size: l2 length of the probes, shape (B,).
        count: number of probes, whole chunks, shape (B,).
        most: maximum number of probes of any example, whatever the batch.
        iteration: number of the iteration.
    """
    both, total = torch.zeros_like(point), torch.zeros_like(point)
    won = torch.zeros_like(size)
    radius = unsqueeze_to(size[:, None], point[:, None])
    needed = int(count.max())
    for first in range(0, needed, CHUNK):
        drawn = coins.normal(f"probes {iteration} {first}", (CHUNK, *point.shape[1:]))
        probes = (point[:, None] + radius * drawn / unsqueeze_to(drawn.flatten(2).norm(dim=2), drawn)).clamp(0, 1)
        units = (probes - point[:, None]) / radius
        asked = first < count
        wrong = votes.once(probes, asked)  # (B, CHUNK)
        won = won + wrong.sum(1)
        both = both + (unsqueeze_to(wrong, units) * units).sum(1)
        total = total + unsqueeze_to(asked.to(point), point) * units.sum(1)
    votes.skip(most - needed)
    slope = both - unsqueeze_to(won / count.clamp(min=1), point) * total
    return slope / unsqueeze_to(slope.flatten(1).norm(dim=1).clamp(min=1e-12), slope)


def _chosen(mask: Tensor, one: Boundary, other: Boundary) -> Boundary:
    """The boundary of ``one`` where the mask is true, and of ``other`` elsewhere; ``prior`` is always the newer."""
    return Boundary(
        radius=one.radius.where(mask, other.radius),
        spread=one.spread.where(mask, other.spread),
        width=one.width.where(mask, other.width),
        flips=one.flips.where(mask, other.flips),
        prior=one.prior,
        queries=one.queries,
    )
