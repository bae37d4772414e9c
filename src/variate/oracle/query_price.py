"""The price of a query: how many times as many queries random answers cost an attacker who sees scores.

Such an attacker estimates a slope from differences of scores, (f(x + h u) - f(x - h u)) / 2h for standard normal u, and
averages them. Every answer has fresh draws, so each difference has noise of standard deviation sqrt(2) tau, where tau
is that of one score. For the same expected cosine to the true gradient g, it takes

    K = 1 + rho^2 times as many queries, rho = tau / (sqrt(2) h |g|),

as without noise. Asking each point m times costs m + rho^2: it never pays. A larger step h does, until the network is
no longer linear at that distance: then the curvature adds to the variance, and less of the difference is along g.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.oracle.losses import margin
from variate.oracle.white_box import GradientOracle

REPEATS = (1, 4, 16)


@dataclass(frozen=True)
class Price:
    """The price of a query at one step, each of shape (B,).

    Attributes:
        step: h, along a standard normal direction.
        rho: tau / (sqrt(2) h |g|).
        by_repeats: queries for the same expected cosine, relative to a network without noise and a tiny step, by the
            number of times that each point is asked; curvature included.
    """

    step: float
    rho: Tensor
    by_repeats: dict[int, Tensor]


@dataclass(frozen=True)
class Prices:
    """What was measured.

    Attributes:
        noise: tau, the standard deviation of one score, shape (B,).
        slope: |g|, the l2 norm of the gradient of the expected score, shape (B,).
        prices: one entry for each step.
    """

    noise: Tensor
    slope: Tensor
    prices: list[Price]

    def best(self) -> tuple[Tensor, Tensor, Tensor]:
        """The lowest price over all steps and repeats, its step and its repeats, each of shape (B,)."""
        options = [(price.step, m, values) for price in self.prices for m, values in price.by_repeats.items()]
        lowest = torch.stack([values for *_, values in options]).min(0)
        steps, repeats = (torch.tensor([option[i] for option in options]).to(self.noise) for i in (0, 1))
        return lowest.values, steps[lowest.indices], repeats[lowest.indices]


def query_prices(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    steps: Sequence[float],
    samples: int = 8,
    directions: int = 8,
    repeats: Sequence[int] = REPEATS,
    keys: Sequence[int] | None = None,
) -> Prices:
    """Measure the price of a query, for the margin as the score, by an observer who sees gradients.

    Expectations over draws are taken from two halves with different keys, so that squares have no bias from noise. Both
    ends of a difference are evaluated under the same draws; only tau tells what fresh draws would add.

    Args:
        oracle: access to the network; each answer of the attacker averages over ``oracle.draws`` draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        steps: values of h, above 0.
        samples: number of draws in each half, at least 2.
        directions: number of directions u.
        repeats: numbers of times that each point is asked.
        keys: keys of the draws of both halves, so that several batches share them; None: the next ones.

    Returns:
        The prices; infinite where no slope was found above its noise.

    Raises:
        UsageError: if there are fewer than two draws, no direction, or a step is not above 0.
        GradientError: if the network has no gradient.
    """
    if samples < 2 or directions < 1 or not steps or min(steps) <= 0:
        raise UsageError(
            f"cannot measure with {samples} draws, {directions} directions and steps {list(steps)}",
            expected="two draws, one direction and steps above 0, or more",
        )
    taken = oracle.stream.take(2 * samples) if keys is None else list(keys)
    halves = [taken[:samples], taken[samples : 2 * samples]]
    scores, slopes = zip(*(oracle.each(x, y, margin, keys)[:2] for keys in halves), strict=True)
    noise = torch.cat(scores).var(0).div(oracle.draws).sqrt()  # (B,)
    first, second = (gradients.mean(0).flatten(1) for gradients in slopes)  # (B, D)
    squared = (first * second).sum(1).clamp(min=0)  # |g|^2 without bias
    drawn = oracle.coins(x).normal("directions", (directions, *x.shape[1:]))  # (B, U, ...)
    along = torch.stack([(drawn.flatten(2) * half[:, None]).sum(2) for half in (second, first)])  # (2, B, U)
    sampled = along.prod(0).mean(1).clamp(min=0)  # |g|^2 in the sample of directions
    measured = []
    for step in steps:
        secants = torch.stack([_secants(oracle, x, y, step * drawn, keys) for keys in halves]) / step  # (2, B, U)
        rho = noise / (math.sqrt(2) * step * squared.sqrt())
        curved = secants.prod(0).mean(1).clamp(min=0) / sampled  # variance of a difference; 1 if linear
        straight = (secants * along).mean((0, 2)).clamp(min=0) / sampled  # its part along g; 1 if linear
        by_repeats = {m: _finite((m * curved + rho.square()) / straight.square()) for m in repeats}
        measured.append(Price(step, _finite(rho), by_repeats))
    return Prices(noise, squared.sqrt(), measured)


def _finite(values: Tensor) -> Tensor:
    """Infinity where nothing could be measured."""
    return values.nan_to_num(math.inf, math.inf)


def _secants(oracle: GradientOracle, x: Tensor, y: Tensor, moves: Tensor, keys: list[int]) -> Tensor:
    """Half of the difference of the mean score at both ends of each move: (B, U, ...) to (B, U)."""
    count = moves.shape[1]
    rows = torch.arange(len(x), device=x.device).repeat_interleave(count)
    ends = []
    for sign in (1, -1):
        points = (x[:, None] + sign * moves).flatten(0, 1)  # (B * U, ...), possibly outside [0, 1]
        logits = oracle.logits_of(points, keys, rows=rows.cpu())  # (S, B * U, K)
        ends.append(torch.stack([margin(draw, y[rows]) for draw in logits]).mean(0).view(-1, count))
    return (ends[0] - ends[1]) / 2
