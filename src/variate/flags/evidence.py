"""What the records of one network say that a red flag may ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Final

import numpy as np

from variate import registry
from variate.records import groups
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.records.schema import Claim, Convergence, Example, Gradient, NetworkLine, Scale
from variate.statistics.rates import Bits, Deployment, Rate, rate_of

DOUBTS: Final = "doubts"  # the part of the records that is measured for flags alone
Z = NormalDist().inv_cdf(0.995)  # a difference is believed from 99 % on
NOTICED = 0.01  # and from one point on
SINGLE = Deployment("single", 1)
FEWEST = 8  # examples that must differ: fewer, all in one direction, are chance (sign test, 2^-8 < 0.005 < 2^-7)


@dataclass(frozen=True)
class Difference:
    """How much more often one claim leaves the right answer than another, on the same examples and draws.

    Attributes:
        value: rate of one less rate of the other.
        error: its standard error, over examples and draws.
        differing: examples on which the two differ at all.
    """

    value: float
    error: float
    differing: int

    @property
    def noticed(self) -> bool:
        """Whether it is above zero, by more than a point and more than chance."""
        return self.differing >= FEWEST and self.value > max(NOTICED, Z * self.error)


class Evidence:
    """The records of one network.

    Args:
        records: of any number of networks.
        network: its name there.
    """

    def __init__(self, records: Records, network: str) -> None:
        self.records = records
        self.network = network
        self.claims: list[Claim] = [
            claim
            for claim in groups.shown(records)
            if claim.network == network and "target" not in claim.options and _has_single(records, claim)
        ]

    @property
    def random(self) -> bool:
        """Whether it was judged over draws."""
        return any(claim.verdict_draws > 1 for claim in self.claims)

    @property
    def claims_random(self) -> bool:
        """Whether it was made random, or judged as what is."""
        return self.random or (self.described is not None and self.described.random)

    @property
    def described(self) -> NetworkLine | None:
        """How it was made, where the records say so."""
        return self.records.networks.get(self.network)

    @property
    def data(self) -> str | None:
        """The data set: its own, where the records hold networks of several."""
        runs = {run.data for run in self.records.runs}
        own = self.described.training.get("data") if self.described is not None else None
        return own if own in runs else next((run.data for run in self.records.runs), None)

    @cached_property
    def gradients(self) -> list[Gradient]:
        """What its gradients are worth."""
        prints = {claim.fingerprint for claim in self.claims}
        return [line for line in self.records.gradients.values() if line.fingerprint in prints]

    @property
    def scales(self) -> list[Scale]:
        """What was learned of its noise, without parameters that were never random."""
        return [line for line in self.records.scales if line.network == self.network and line.std_max > 0]

    @property
    def convergences(self) -> list[Convergence]:
        """The ladders of draws that were climbed."""
        prints = {claim.fingerprint for claim in self.claims}
        ours = [line for line in self.records.convergences if line.network == self.network]
        return [line for line in ours if line.fingerprint in prints]

    def attacked(self, *, part: str | None = None, attack: str | None = None) -> list[Claim]:
        """The claims of attacks, of a part and a name where they are given."""
        return [
            claim
            for claim in self.claims
            if claim.attack != CLEAN and part in (None, claim.part) and attack in (None, claim.attack)
        ]

    def sees_gradient(self, claim: Claim) -> bool:
        """Whether its attack takes gradients: as the registry says, or by what it asked if its name is not there."""
        known = sees_gradient(claim.attack)
        return known if known is not None else any(line.backwards for line in self.examples(claim).values())

    def examples(self, claim: Claim) -> dict[int, Example]:
        """The examples of a claim by their numbers."""
        return self.records.examples[claim.id]

    def answers(self, claim: Claim) -> Bits:
        """Right or wrong by draw and example."""
        return self.records.answers(claim, SINGLE.source)

    def rate(self, claim: Claim) -> Rate:
        """How often one draw is right."""
        return rate_of(SINGLE, self.answers(claim))

    def difference(self, one: Claim, other: Claim) -> Difference | None:
        """How much more often ``one`` leaves the right answer; None if they share too few examples, draws or neither.

        Claims of one seed were judged by the same draws, so that draws and examples are both paired.
        """
        if judged_on(one) != judged_on(other):
            return None
        common = sorted(self.examples(one).keys() & self.examples(other).keys())
        if len(common) < 2:
            return None
        first, second = (self._some(claim, common) for claim in (one, other))
        if first.shape != second.shape:
            return None
        gap = first.astype(float) - second
        draws, examples = gap.shape
        variance = float(gap.mean(0).var(ddof=1)) / examples
        variance += float(gap.mean(1).var(ddof=1)) / draws if draws > 1 else 0.0
        return Difference(float(gap.mean()), variance**0.5, int((gap != 0).any(0).sum()))

    def _some(self, claim: Claim, numbers: Sequence[int]) -> Bits:
        columns = np.searchsorted(sorted(self.examples(claim)), numbers)
        chosen: Bits = self.answers(claim)[:, columns]
        return chosen


def _has_single(records: Records, claim: Claim) -> bool:
    return any(Deployment.parse(way).source == SINGLE.source for way in groups.deployments_of(records, claim))


def judged_on(claim: Claim) -> tuple[str, str, int, int]:
    """What two claims must share to be compared: the very tensors, the inputs, the seed and the number of draws."""
    return claim.fingerprint, claim.inputs, claim.seed, claim.verdict_draws


def sees_gradient(attack: str) -> bool | None:
    """Whether an attack takes gradients, as the registry says; None for a name that it does not know."""
    entry = registry.entries("attacks").get(attack)
    return None if entry is None else bool(entry.facts["access"] == "gradient")


def steps_of(claim: Claim) -> int:
    """How many steps an attack was told to take; 0 where it was not told."""
    return int(claim.options.get("steps", 0))
