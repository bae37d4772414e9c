"""The boundary on a ray where answers are random: a Bayesian search that always makes the most informative query.

The chance of a wrong answer at distance r is modeled as flips + (1 - 2 flips) * Phi((r - radius) / width): a boundary
that moves from draw to draw with standard deviation ``width``, and answers that are flipped at random. All three are
unknown. Each query goes where its answer tells most about them (Simon-Gabriel et al. 2021, arXiv:2106.07445, section
3.1, with a normal distribution function in place of their sigmoid, so that later integrals are closed).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from variate.attacks.parts.edge import Edge
from variate.attacks.parts.votes import Votes

POSITIONS = 33  # candidate boundaries, and candidate queries, in a window
WIDTHS = tuple(2.0**-k for k in range(7))  # candidate widths, relative to the window
FLIPS = (0.0, 0.05, 0.15, 0.3)  # candidate shares of flipped answers
NO_FLIPS = (0.55, 0.15, 0.15, 0.15)  # prior of these shares
SURE = 1e-3  # least probability of an answer: the model is never entirely right
STAGES = (18, 15, 15)  # maximum number of queries in the first window, and in narrower ones around what it shows
COARSE = 1 / 24  # standard deviation of the boundary, relative to a window, from which on a narrower one is needed
AROUND = 3.0  # half of the narrower window, in standard deviations
MOST = sum(STAGES)  # maximum number of queries of a search
ROUND = 1e5  # information is compared after rounding, so that ties do not depend on the batch


@dataclass(frozen=True)
class Boundary:
    """What a search learned, each of shape (B,) but for ``prior``.

    Attributes:
        radius: expected distance of the boundary.
        spread: standard deviation of that distance.
        width: standard deviation of the boundary from draw to draw.
        flips: share of answers that are flipped at random.
        prior: log-probability of each share of ``FLIPS``, shape (B, F), for the next search.
        queries: points queried.
    """

    radius: Tensor
    spread: Tensor
    width: Tensor
    flips: Tensor
    prior: Tensor
    queries: Tensor


def no_flips(x: Tensor) -> Tensor:
    """Prior of the share of flipped answers before any query: (B, F)."""
    return torch.tensor(NO_FLIPS).to(x).log().expand(len(x), -1)


def price(ratio: Tensor, flips: Tensor) -> Tensor:
    """How many times as many probes random answers take for a normal as good as that of exact ones: any shape.

    (1 + ratio^2) / (1 - 2 flips)^2: the covariance of an answer with a probe's normal length along the normal is
    smaller by the square root of this.

    Args:
        ratio: standard deviation of the boundary from draw to draw, relative to that of a probe along the normal.
        flips: share of answers that are flipped at random.
    """
    return (1 + ratio.square()) / (1 - 2 * flips).square()


def search(
    votes: Votes, edge: Edge, delta: Tensor, reach: Tensor, prior: Tensor, among: Tensor, precision: float
) -> Boundary:
    """Find the boundary on the ray along ``delta``. Every query has draws of its own.

    A search ends once the standard deviation of the radius is half of the scale on which it matters: ``precision``
    times the radius, or the width. The keys of later queries do not depend on how soon it ends.

    Args:
        votes: queries the network.
        edge: the rays.
        delta: directions, shape (B, ...).
        reach: distance up to which to search, shape (B,).
        prior: log-probabilities of the shares of flipped answers, shape (B, F).
        among: examples to search for, mask of shape (B,).
        precision: precision wanted where answers are not random, relative to the radius.
    """
    belief = _Belief(torch.zeros_like(reach), reach, prior)
    asked: list[tuple[Tensor, Tensor, Tensor]] = []
    for stage, most in enumerate(STAGES):
        if stage:
            belief = belief.narrower(prior, asked)
        for query in range(most):
            known = belief.estimate()
            fine = 0.5 * torch.maximum(precision * known.radius, known.width)
            enough = known.spread <= fine
            if stage < len(STAGES) - 1:
                enough = enough | (known.spread <= COARSE * belief.size)
            active = among & ~enough
            if not bool(active.any()):
                votes.skip(most - query)
                break
            at = belief.most_informative()
            wrong = votes.once(edge.at(delta[:, None], at[:, None]), active)[:, 0] > 0
            belief.learn(at, wrong, active)
            asked.append((at, wrong, active))
    known = belief.estimate()
    queries = torch.stack([active for *_, active in asked]).sum(0) if asked else torch.zeros_like(among).long()
    return Boundary(known.radius, known.spread, known.width, known.flips, belief.next_prior(), queries)


class _Estimate(NamedTuple):
    radius: Tensor
    spread: Tensor
    width: Tensor
    flips: Tensor


class _Belief:
    """The posterior over a grid of M = positions * widths * flips models, in a window of each example.

    Args:
        low: start of the window, shape (B,).
        size: its length, shape (B,).
        prior: log-probabilities of the shares of flipped answers, shape (B, F).
    """

    def __init__(self, low: Tensor, size: Tensor, prior: Tensor) -> None:
        self.low, self.size = low, size.clamp(min=1e-12)
        self._grid = _grid(low.dtype, low.device)
        self._position, self._width, self._flips = self._grid.models
        self._log = prior.repeat(1, len(self._position) // prior.shape[1])  # (B, M), flips vary fastest

    def learn(self, at: Tensor, wrong: Tensor, active: Tensor) -> None:
        """Update on one answer of each active example at the distances ``at``, all of shape (B,)."""
        place = ((at - self.low) / self.size)[:, None]
        chance = _chance(place, self._position, self._width, self._flips)  # (B, M)
        likelihood = chance.where(wrong[:, None], 1 - chance).log()
        self._log = self._log + likelihood * active[:, None]

    def most_informative(self) -> Tensor:
        """Distances whose answers have the most mutual information with the model, the nearest of equals: (B,)."""
        weights = self._log.softmax(1)
        information = _entropy(weights @ self._grid.chances) - weights @ self._grid.entropies
        return self.low + self.size * self._grid.places[(information * ROUND).round().argmax(1)]

    def estimate(self) -> _Estimate:
        """Means and standard deviations over the models; the mean of the width is geometric."""
        weights = self._log.softmax(1)
        mean = weights @ self._position
        within = (1 / (POSITIONS - 1)) ** 2 / 12  # variance of a boundary between two positions of the grid
        spread = (weights @ self._position.square() - mean.square() + within).clamp(min=within).sqrt()
        width = (weights @ self._width.log()).exp()
        return _Estimate(self.low + self.size * mean, self.size * spread, self.size * width, weights @ self._flips)

    def narrower(self, prior: Tensor, asked: list[tuple[Tensor, Tensor, Tensor]]) -> _Belief:
        """A window around the boundary, with everything that was asked before taken into account."""
        known = self.estimate()
        half = torch.maximum(AROUND * known.spread, 1.5 * self.size / (POSITIONS - 1))
        low = (known.radius - half).clamp(min=0)
        belief = _Belief(low, known.radius + half - low, prior)
        for at, wrong, active in asked:
            belief.learn(at, wrong, active)
        return belief

    def next_prior(self) -> Tensor:
        """Prior of the share of flipped answers for the next search: what was learned, with room for a change."""
        learned = self._log.softmax(1).view(len(self._log), -1, len(FLIPS)).sum(1)  # (B, F)
        return (0.8 * learned + 0.2 * torch.tensor(NO_FLIPS).to(learned)).log()


class _Grid(NamedTuple):
    """M models of a boundary in a window of length 1, and X places to query."""

    models: tuple[Tensor, Tensor, Tensor]  # position, width and flips, each (M,)
    places: Tensor  # (X,)
    chances: Tensor  # of a wrong answer, (M, X)
    entropies: Tensor  # of that answer, (M, X)


@functools.lru_cache(maxsize=4)
def _grid(dtype: torch.dtype, device: torch.device) -> _Grid:
    places = torch.linspace(0, 1, POSITIONS, dtype=dtype, device=device)
    others = (torch.tensor(values, dtype=dtype, device=device) for values in (WIDTHS, FLIPS))
    position, width, flips = (values.flatten() for values in torch.meshgrid(places, *others, indexing="ij"))
    chances = _chance(places, position[:, None], width[:, None], flips[:, None])
    return _Grid((position, width, flips), places, chances, _entropy(chances))


def _chance(place: Tensor, position: Tensor, width: Tensor, flips: Tensor) -> Tensor:
    """The chance of a wrong answer, away from 0 and 1."""
    chance: Tensor = flips + (1 - 2 * flips) * torch.special.ndtr((place - position) / width)
    return chance.clamp(SURE, 1 - SURE)


def _entropy(chance: Tensor) -> Tensor:
    """Entropy of an answer in nats."""
    entropy: Tensor = torch.special.entr(chance) + torch.special.entr(1 - chance)
    return entropy
