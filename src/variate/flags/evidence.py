"""The records of one network, as red flags query them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Final

import numpy as np

from variate import registry
from variate.records import groups
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.records.schema import Convergence, Example, Gradient, NetworkLine, Scale
from variate.statistics.crossed import Scores
from variate.statistics.rates import Deployment, Rate, rate_of

DOUBTS: Final = "doubts"  # the part of the records that is measured only for flags
Z = NormalDist().inv_cdf(0.995)  # a difference counts if it is significant at the 99 % level
NOTICED = 0.01  # and at least one point
SINGLE = Deployment("single", 1)
FEWEST = 8  # least number of differing examples: fewer may all agree by chance (sign test, 2^-8 < 0.005 < 2^-7)


@dataclass(frozen=True)
class Difference:
    """Accuracy under one claim minus accuracy under another, on the same examples and draws.

    Attributes:
        value: difference of the two rates.
        error: its standard error, over examples and draws.
        differing: number of examples on which the two differ at all.
    """

    value: float
    error: float
    differing: int

    @property
    def noticed(self) -> bool:
        """Whether it is positive, significant and more than a point."""
        return self.large and self.differing >= FEWEST and self.value > Z * self.error

    @property
    def large(self) -> bool:
        """Whether it is more than a point."""
        return self.value > NOTICED


class Evidence:
    """The records of one network.

    Args:
        records: records of any number of networks.
        network: name of the network in the records.
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
        """Whether it was evaluated over several draws."""
        return any(claim.verdict_draws > 1 for claim in self.claims)

    @property
    def claims_random(self) -> bool:
        """Whether it was built as a random network, or evaluated as one."""
        return self.random or (self.described is not None and self.described.random)

    @property
    def described(self) -> NetworkLine | None:
        """How it was built and trained; None if the records do not say."""
        return self.records.networks.get(self.network)

    @property
    def data(self) -> str | None:
        """Name of its data set; the first run's if the network's own is not recorded."""
        runs = {run.data for run in self.records.runs}
        own = self.described.training.get("data") if self.described is not None else None
        return own if own in runs else next((run.data for run in self.records.runs), None)

    @cached_property
    def gradients(self) -> list[Gradient]:
        """Measurements of the quality of its gradients."""
        fingerprints = {claim.fingerprint for claim in self.claims}
        return [line for line in self.records.gradients.values() if line.fingerprint in fingerprints]

    @property
    def scales(self) -> list[Scale]:
        """The learned scales of its noise, without parameters that were never random."""
        return [line for line in self.records.scales if line.network == self.network and line.std_max > 0]

    @property
    def convergences(self) -> list[Convergence]:
        """Its measurements of convergence in the number of attack draws."""
        fingerprints = {claim.fingerprint for claim in self.claims}
        ours = [line for line in self.records.convergences if line.network == self.network]
        return [line for line in ours if line.fingerprint in fingerprints]

    def attacked(self, *, part: str | None = None, attack: str | None = None) -> list[Claim]:
        """The claims with an attack, optionally of one part and one attack."""
        return [
            claim
            for claim in self.claims
            if claim.attack != CLEAN and part in (None, claim.part) and attack in (None, claim.attack)
        ]

    def sees_gradient(self, claim: Claim) -> bool:
        """Whether its attack uses gradients: from the registry, or else from its backward passes."""
        registered = sees_gradient(claim.attack)
        return registered if registered is not None else any(line.backwards for line in self.examples(claim).values())

    def examples(self, claim: Claim) -> dict[int, Example]:
        """The examples of a claim by their numbers."""
        return self.records.examples[claim.id]

    def answers(self, claim: Claim) -> Scores:
        """Whether each answer is correct, or its score, shape (draws, examples)."""
        return self.records.answers(claim, SINGLE.source)

    def rate(self, claim: Claim) -> Rate:
        """The accuracy (or mean score) of one draw per query."""
        return rate_of(SINGLE, self.answers(claim))

    def difference(self, one: Claim, other: Claim) -> Difference | None:
        """Accuracy under ``one`` minus accuracy under ``other``; None if they cannot be paired.

        Claims of one seed were evaluated with the same draws, so both draws and examples are paired.
        """
        if judged_on(one) != judged_on(other):
            return None
        common = sorted(self.examples(one).keys() & self.examples(other).keys())
        if len(common) < 2:
            return None
        first, second = (self._answers_to(claim, common) for claim in (one, other))
        if first.shape != second.shape:
            return None
        change = first.astype(float) - second
        draws, examples = change.shape
        variance = float(change.mean(0).var(ddof=1)) / examples
        variance += float(change.mean(1).var(ddof=1)) / draws if draws > 1 else 0.0
        return Difference(float(change.mean()), variance**0.5, int((change != 0).any(0).sum()))

    def _answers_to(self, claim: Claim, examples: Sequence[int]) -> Scores:
        columns = np.searchsorted(sorted(self.examples(claim)), examples)
        answers: Scores = self.answers(claim)[:, columns]
        return answers


def _has_single(records: Records, claim: Claim) -> bool:
    return any(Deployment.parse(name).source == SINGLE.source for name in groups.deployments_of(records, claim))


def judged_on(claim: Claim) -> tuple[str, str | None, str, str, int, int]:
    """The network, its answers, inputs, task, seed and number of draws that two claims must share to be compared."""
    return claim.fingerprint, claim.answers, claim.inputs, claim.task, claim.seed, claim.verdict_draws


def sees_gradient(attack: str) -> bool | None:
    """Whether an attack uses gradients, from the registry; None for an unregistered attack."""
    entry = registry.entries("attacks").get(attack)
    return None if entry is None else bool(entry.facts["access"] == "gradient")


def steps_of(claim: Claim) -> int:
    """Number of steps of an attack; 0 if its options do not set it."""
    return int(claim.options.get("steps", 0))
