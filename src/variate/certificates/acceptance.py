"""Right or abstain: votes at the received input, and an answer only where their certificate reaches a radius."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from variate.certificates.mechanism import Floats, Mechanism
from variate.certificates.reading import Reading
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.statistics.accepted import ABSTAINS, certified_radius
from variate.statistics.proved import at_least, draws_for, lowest, majority, votes_for
from variate.statistics.sequential import draws_always, lowest_always

CHOOSING = 100  # votes that choose a label


@dataclass(frozen=True)
class Acceptance:
    """The rule of the deployment ``certified-R``: an answer takes ``choosing`` and ``draws`` votes.

    The first votes elect a label. It is the answer if so many of the others agree that the vote is certified within R
    of the received input, else there is none. A certificate fails with probability alpha at most. Where it holds, the
    label is that of the infinite vote at every input within R of the received one, so also at the original if the
    attacker moved it by no more. Within R, an attacker can therefore buy an abstention, but no other answer than that
    of the infinite vote at the original, whatever the certificate there (with probability 1 - alpha for each query).

    Attributes:
        mechanism: what the certificate rests on.
        radius: R, as a budget.
        choosing: number of votes that elect a label.
        draws: number of votes that bound its probability.
        alpha: probability with which a certificate may be wrong; 0 for a deterministic network.
        votes_of: draws of the weights whose mean probability casts a vote.
    """

    mechanism: Mechanism
    radius: Budget
    choosing: int
    draws: int
    alpha: float
    votes_of: int = 1

    @property
    def keys(self) -> int:
        """The number of keys of one answer."""
        return (self.choosing + self.draws) * self.votes_of

    @property
    def least(self) -> int:
        """The number of votes for the elected label from which on it is accepted."""
        return votes_for(self.mechanism.probability(self.radius), self.draws, self.alpha)

    def labels(self, network: nn.Module, x: Tensor, keys: Sequence[int]) -> Tensor:
        """The answers to inputs (B, ...) from ``keys`` that no other answer uses: labels, or -1 for none, (B,)."""
        first, within = self.choosing * self.votes_of, self.mechanism.within(self.radius)
        each, reading = self.votes_of, Reading.of_classes(x)
        elected = self.mechanism.votes(network, x, keys[:first], each, reading).mode(0).values  # (B,)
        agreed = (within.votes(network, x, keys[first : self.keys], each, reading) == elected).sum(0)
        return torch.where(agreed >= self.least, elected, ABSTAINS)

    def right(self, p: Floats) -> Floats:
        """A lower bound on the probability of the right answer where a vote is right with probability ``p`` at least.

        More than half of the first votes elect the label for certain, and the others are independent of them.
        """
        return majority(p, self.choosing) * at_least(p, self.least, self.draws)

    def wrong(self, p: Floats) -> Floats:
        """An upper bound on that of a wrong answer: a vote for the wrong label that is elected has at most 1 - p."""
        return at_least(1 - p, self.least, self.draws)


def check_draws(
    mechanism: Mechanism, budgets: Sequence[Budget], draws: int, alpha: float, *, early_stop: bool = False
) -> None:
    """Raise ``UsageError`` if even draws that are all right could not certify the vote within any budget."""
    bound, needed_for = (lowest_always, draws_always) if early_stop else (lowest, draws_for)
    best = float(bound(draws, draws, alpha)) if mechanism.random else 1.0
    if best <= 0.5:
        raise UsageError(
            f"{draws} draws can certify nothing at alpha = {alpha:g}",
            expected=f"at least {needed_for(0.5, alpha) + 1} draws",
        )
    if any(best > mechanism.probability(budget) for budget in budgets):
        return
    nearest = min(budgets, key=lambda budget: budget.eps)
    needed = mechanism.probability(nearest)
    if needed >= 1:
        raise UsageError(f"no number of draws can certify {nearest}", expected="a smaller radius, or more noise")
    raise UsageError(
        f"{draws} draws cannot certify the vote within {nearest}, even if all are right",
        expected=f"at least {needed_for(needed, alpha) + 1} draws, or a radius below "
        f"{float(mechanism.radius(np.array(best), nearest.norm)):.4g}",
    )


def check_acceptance(mechanism: Mechanism, norm: str, deployments: Sequence[str], draws: int, alpha: float) -> None:
    """Raise ``UsageError`` for a deployment ``certified-R`` that would always abstain, or has no proved rate."""
    for deployment in deployments:
        size = certified_radius(deployment)
        if size is None:
            continue
        if mechanism.apart:
            raise UsageError(
                f"{deployment} has no proved rate under {mechanism.name}: its votes at another input are not bounded",
                expected="noise on the input",
                todo="variate.judge_certified measures it under attack",
            )
        check_draws(mechanism, [Budget.parse(f"{norm}:{size}")], draws, alpha)
